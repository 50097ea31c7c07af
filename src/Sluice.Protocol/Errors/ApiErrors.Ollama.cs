namespace Sluice.Protocol.Errors;

// What only Ollama's API asks for.
public static partial class ApiErrors
{
    /// <summary>A member that another program than Ollama can't take.</summary>
    /// <param name="path">Of the parameter.</param>
    /// <param name="remedy">What to do in its place.</param>
    public static ApiError NotInOllama(string path, string remedy) => Invalid($"Unsupported parameter: '{path}': {remedy}.", path, "unsupported_parameter");

    /// <summary>A prompt without a template was meant for a model of another server.</summary>
    public static ApiError OnlyLocalText() => Invalid(
        "'raw' and 'suffix' work with models of the hub's own engine only; /v1/completions reaches those of other servers.", "raw", "unsupported_parameter");

    /// <summary>A part of Ollama's API that manages models.</summary>
    /// <param name="path">Of the request.</param>
    /// <param name="remedy">What to do in its place.</param>
    public static ApiError NotServed(string path, string remedy) => Invalid($"{path} is not served here: {remedy}.", param: null, code: "unsupported");
}
