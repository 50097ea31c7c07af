namespace Sluice.Protocol.Errors;

/// <content>Refusals of embeddings.</content>
public static partial class ApiErrors
{
    /// <summary>A 400: the model answers with text.</summary>
    public static ApiError NotAnEmbeddingModel(string model) => Invalid(
        $"The model '{Elide(model)}' is not an embedding model here: ask for one that runs on an upstream of the kind 'openai' or 'azure'.",
        "model",
        "model_not_found");
}
