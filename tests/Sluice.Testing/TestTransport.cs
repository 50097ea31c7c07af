using Sluice.Server.Configuration;

namespace Sluice.Testing;

/// <summary>What test hubs listen with: everything has to hold on the reactor and on the platform's sockets.</summary>
public static class TestTransport
{
    /// <summary>By the environment variable <c>SLUICE_TEST_TRANSPORT</c>, <c>sockets</c> or <c>reactor</c>; the default value is the hub's own choice.</summary>
    public static TransportKind Kind { get; } =
        Environment.GetEnvironmentVariable("SLUICE_TEST_TRANSPORT") is { Length: > 0 } name ? Enum.Parse<TransportKind>(name, ignoreCase: true) : TransportKind.Auto;
}
