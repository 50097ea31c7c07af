using System.Text.Json.Serialization;

namespace Sluice.Protocol.Models;

/// <summary>The reply of <c>GET /v1/models</c>.</summary>
/// <param name="Data">In the order in which they are shown.</param>
public sealed record ModelList(IReadOnlyList<ModelObject> Data)
{
    /// <summary>Always <c>list</c>.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; init; } = "list";
}
