namespace Sluice.Protocol.Errors;

/// <content>What a request may ask of OpenAI's API and Anthropic's has no word for.</content>
public static partial class ApiErrors
{
    /// <summary>400: a parameter that the model's server does not know.</summary>
    /// <param name="path">The parameter.</param>
    /// <param name="reason">A clause that says why, or what to do; null where there is no more to say.</param>
    public static ApiError NotInMessages(string path, string? reason = null) => Invalid(
        $"Unsupported parameter: '{path}' is not supported with this model{(reason is null ? "" : $": {reason}")}.", path, "unsupported_parameter");

    /// <summary>400: a parameter that the model's server knows, with a value that it does not take.</summary>
    /// <param name="path">The parameter.</param>
    /// <param name="reason">A clause that says what it takes.</param>
    public static ApiError ValueNotInMessages(string path, string reason) => Invalid(
        $"Unsupported value: '{path}' does not support this value with this model: {reason}.", path, "unsupported_value");
}
