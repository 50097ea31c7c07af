using System.Text.Json.Serialization;

namespace Sluice.Protocol.Models;

/// <summary>One model that may be asked for; the reply of <c>GET /v1/models/{id}</c>.</summary>
/// <param name="Id">Name to ask with.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="OwnedBy">Who provides it.</param>
public sealed record ModelObject([property: JsonPropertyOrder(-2)] string Id, long Created, string OwnedBy)
{
    /// <summary>Always <c>model</c>.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; init; } = "model";
}
