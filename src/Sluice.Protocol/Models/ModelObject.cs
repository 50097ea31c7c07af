using System.Globalization;
using System.Text.Json.Serialization;

namespace Sluice.Protocol.Models;

/// <summary>One model that may be asked for; the reply of <c>GET /v1/models/{id}</c>. Has the members of OpenAI's object and of Anthropic's.</summary>
/// <param name="Id">Name to ask with.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="OwnedBy">Who provides it.</param>
public sealed record ModelObject([property: JsonPropertyOrder(-2)] string Id, long Created, string OwnedBy)
{
    /// <summary>Always <c>model</c>.</summary>
    [JsonPropertyOrder(-1)]
    public string Object { get; init; } = "model";

    /// <summary>Always <c>model</c>.</summary>
    public string Type { get; init; } = "model";

    /// <summary>The name that is shown.</summary>
    public string DisplayName => Id;

    /// <summary><see cref="Created"/> by RFC 3339.</summary>
    public string CreatedAt => DateTimeOffset.FromUnixTimeSeconds(Created).UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
