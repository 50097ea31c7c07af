using System.Globalization;

namespace Sluice.Protocol.Errors;

/// <content>Refusals of embeddings.</content>
public static partial class ApiErrors
{
    /// <summary>A 400: the model answers with text.</summary>
    public static ApiError NotAnEmbeddingModel(string model) => Invalid(
        $"The model '{Elide(model)}' is not an embedding model here: ask for one that is, or that runs on an upstream of the kind 'openai' or 'azure'.",
        "model",
        "model_not_found");

    /// <summary>A 400: the model makes vectors.</summary>
    public static ApiError OnlyEmbeds(string model) => Invalid(
        $"The model '{Elide(model)}' makes vectors of texts and writes none: ask for it at /v1/embeddings.", "model", "model_not_found");

    /// <summary>A 400: the model scores pairs of texts.</summary>
    public static ApiError OnlyRanks(string model) => Invalid(
        $"The model '{Elide(model)}' scores how texts fit and makes no vectors of them: ask for it at /v1/rerank.", "model", "model_not_found");

    /// <summary>A 400: the model scores nothing.</summary>
    public static ApiError NotARerankModel(string model) => Invalid(
        $"The model '{Elide(model)}' ranks nothing here: ask for one whose file has the pooling 'rank', or that runs on an upstream of the kind 'openai'.",
        "model",
        "model_not_found");

    /// <summary>A 400: a query and a document together are longer than the model reads.</summary>
    public static ApiError PairTooLong(int limit, int tokens, int index) => Invalid(
        string.Create(CultureInfo.InvariantCulture, $"This model's maximum input is {limit} tokens, and 'query' with documents[{index}] has {tokens}. Split the document."),
        "documents",
        "context_length_exceeded");

    /// <summary>A 400: what is to be embedded is not what it should be.</summary>
    /// <param name="what">A clause.</param>
    public static ApiError InvalidEmbeddingInput(string what) => Invalid($"'input' is invalid: {what}.", "input", "invalid_value");

    /// <summary>A 400: a text is longer than the model reads.</summary>
    public static ApiError InputTooLong(int limit, int tokens, int index) => Invalid(
        string.Create(CultureInfo.InvariantCulture, $"This model's maximum input is {limit} tokens, and element {index} of 'input' has {tokens}. Split it."),
        "input",
        "context_length_exceeded");

    /// <summary>A 400: so many values there are not.</summary>
    /// <param name="most">Those of the model; null where the value is no number of dimensions at all.</param>
    public static ApiError InvalidDimensions(int? most) => Invalid(
        most is { } count ? string.Create(CultureInfo.InvariantCulture, $"'dimensions' is at most {count} for this model.") : "'dimensions' must be a whole number from 1 on.",
        "dimensions",
        "invalid_value");
}
