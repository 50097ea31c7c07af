using Sluice.Server.Runtime;

namespace Sluice.Server.Configuration;

/// <summary>What the hub does within an application. Immutable, and not changed by a reload of the configuration.</summary>
public sealed record EmbeddingOptions
{
    /// <summary>
    /// The claim that says which of the application's users owns an answer, together with the claim's issuer. The default value, null, is
    /// <c>sub</c>, or else the name identifier, or else the name.
    /// </summary>
    public string? OwnerClaim { get; init; }

    /// <summary>
    /// Whether the hub gives the host the time that its answers need when it stops: <see cref="SluiceOptions.Drain"/> and
    /// <see cref="Limits.StopRest"/>. The default value, false, leaves the host's own shutdown timeout, and answers run on for what
    /// that has room for.
    /// </summary>
    public bool ManagesShutdown { get; init; }
}
