using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>What an answer has to be where it isn't any text: a <c>response_format</c>, or what vLLM has in its place.</summary>
/// <param name="Name">What the request calls the schema; empty for <c>json_object</c>. Of a pattern or texts the parameter that has them.</param>
/// <param name="Schema">The JSON schema as it was sent; null asks for any object, where there is neither a pattern nor texts.</param>
public sealed record ResponseSchema(string Name, JsonElement? Schema)
{
    /// <summary>Whether what the engine can't hold answers to is refused instead of taken as an annotation.</summary>
    public bool IsStrict { get; init; }

    /// <summary>A regular expression that the whole answer has to match; null where there is none.</summary>
    public string? Pattern { get; init; }

    /// <summary>The texts of which the answer has to be one, at least one; null where there are none.</summary>
    public IReadOnlyList<string>? Texts { get; init; }

    /// <summary>Whether the answer is JSON.</summary>
    public bool IsJson => Pattern is null && Texts is null;

    /// <summary>Whether the format is <c>json_object</c>: a <c>json_schema</c> has a name.</summary>
    public bool IsAnyObject => Name.Length == 0;

    /// <summary>The 400 for what can't be followed.</summary>
    /// <param name="path">The place in the schema.</param>
    /// <param name="reason">What is wrong, as the end of a sentence.</param>
    public ApiError Refuse(IReadOnlyList<string> path, string reason) =>
        IsJson ? ApiErrors.InvalidSchema("response_format", Name, path, reason) : ApiErrors.InvalidGuide(Name, reason);
}
