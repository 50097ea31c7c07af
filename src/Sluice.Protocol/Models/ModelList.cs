using System.Text.Json.Serialization;

namespace Sluice.Protocol.Models;

/// <summary>The reply of <c>GET /v1/models</c>: one document for the clients of OpenAI's API, of Anthropic's, and for Codex.</summary>
/// <param name="Data">In the order in which they are shown.</param>
/// <param name="HasMore">Whether there are more behind them.</param>
public sealed record ModelList(IReadOnlyList<ModelObject> Data, bool HasMore = false)
{
    /// <summary>Always <c>list</c>.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; init; } = "list";

    /// <summary>Null where there is none.</summary>
    public string? FirstId => Data.Count > 0 ? Data[0].Id : null;

    /// <summary>Null where there is none.</summary>
    public string? LastId => Data.Count > 0 ? Data[^1].Id : null;

    /// <summary>The same as Codex reads them; left out for everybody else.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<CodexModel>? Models { get; init; }
}
