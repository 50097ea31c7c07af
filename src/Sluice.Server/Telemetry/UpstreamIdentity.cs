namespace Sluice.Server.Telemetry;

/// <summary>What an upstream is called in metrics, spans and log lines.</summary>
/// <param name="Name">Its address as configured, or <see cref="Local"/>.</param>
/// <param name="Provider">By OpenTelemetry's list of providers, where it has one.</param>
/// <param name="Model">The model's name there.</param>
internal sealed record UpstreamIdentity(string Name, string Provider, string Model)
{
    /// <summary>The name of the hub's own engine.</summary>
    public const string Local = "local";
}
