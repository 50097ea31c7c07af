using System.Text.Json;

namespace Sluice.Protocol.Chat;

/// <summary>A <c>response_format</c> other than text.</summary>
/// <param name="Name">What the request calls the schema; empty for <c>json_object</c>.</param>
/// <param name="Schema">The JSON schema as it was sent; null asks for any object.</param>
public sealed record ResponseSchema(string Name, JsonElement? Schema)
{
    /// <summary>Whether what the engine can't hold answers to is refused instead of taken as an annotation.</summary>
    public bool IsStrict { get; init; }

    /// <summary>Whether the format is <c>json_object</c>: a <c>json_schema</c> has a name.</summary>
    public bool IsAnyObject => Name.Length == 0;
}
