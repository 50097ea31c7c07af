using System.Globalization;

namespace Sluice.Protocol.Errors;

/// <content>The errors of text completions.</content>
public static partial class ApiErrors
{
    /// <summary>400: fewer alternatives than are to be returned.</summary>
    public static ApiError BestOfBelowN(int bestOf, int n) => Invalid(
        string.Create(CultureInfo.InvariantCulture, $"Invalid 'best_of': it must be at least 'n', which is {n}, but got {bestOf} instead."),
        "best_of",
        "invalid_value");

    /// <summary>400: the best of several alternatives is known only at their end.</summary>
    public static ApiError BestOfWithStream() => Invalid(
        "Unsupported value: 'best_of' must be equal to 'n' when 'stream' is enabled.", "best_of", "unsupported_value");

    /// <summary>400: the local engine chooses among no more alternatives than it returns.</summary>
    public static ApiError BestOfNotLocal() => Invalid(
        "Unsupported value: 'best_of' must be equal to 'n' with the local engine; leave it out, or ask for more choices with 'n'.", "best_of", "unsupported_value");

    /// <summary>400: nothing to generate, and nothing to return.</summary>
    public static ApiError NoTokensWithoutEcho() => Invalid(
        "Invalid 'max_tokens': 0 is only allowed when 'echo' is enabled. Expected a value >= 1.", "max_tokens", "integer_below_min_value");

    /// <summary>400: a gap is filled, and the text around it is not part of the answer.</summary>
    public static ApiError EchoWithSuffix() => Invalid(
        "Unsupported value: 'echo' can't be enabled together with 'suffix' with the local engine.", "echo", "unsupported_value");

    /// <summary>400: the model was not trained to fill a gap.</summary>
    public static ApiError SuffixNotSupported(string model) => Invalid(
        $"Unsupported parameter: the model `{Elide(model)}` has no tokens for a text with a gap; leave 'suffix' out, or use a model that fills in the middle.",
        "suffix",
        "unsupported_parameter");

    /// <summary>400: a token id that the model doesn't have.</summary>
    /// <param name="message">One sentence.</param>
    public static ApiError UnknownToken(string message) => Invalid($"Invalid 'prompt': {message}", "prompt", "invalid_value");

    /// <summary>400: a prompt is longer than the model's context.</summary>
    /// <param name="limitTokens">The model's context length.</param>
    /// <param name="promptTokens">Length of the prompt.</param>
    public static ApiError PromptTooLong(int limitTokens, int promptTokens) => Invalid(
        string.Create(
            CultureInfo.InvariantCulture,
            $"This model's maximum context length is {limitTokens} tokens. However, your prompt has {promptTokens} tokens. Please reduce the length of the prompt."),
        "prompt",
        "context_length_exceeded");

    /// <summary>404: the model is there, and none of what serves it has this endpoint.</summary>
    public static ApiError NoCompletions(string model) => new(
        404,
        $"The model `{Elide(model)}` has no completions: none of its upstreams has this endpoint. Use /v1/chat/completions for it.",
        InvalidRequestType,
        Param: null,
        Code: "model_not_found");
}
