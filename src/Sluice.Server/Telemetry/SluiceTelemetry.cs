namespace Sluice.Server.Telemetry;

/// <summary>What the hub's metrics and spans are called, to be named to whatever collects them.</summary>
public static class SluiceTelemetry
{
    /// <summary>Of the meter of all instruments.</summary>
    public const string MeterName = "Sluice";

    /// <summary>Of the source of all spans.</summary>
    public const string SourceName = "Sluice";
}
