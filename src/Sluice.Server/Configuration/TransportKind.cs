namespace Sluice.Server.Configuration;

/// <summary>Who waits for the sockets of clients and of plain upstreams.</summary>
public enum TransportKind
{
    /// <summary>The hub's own reactor on Linux, the platform elsewhere.</summary>
    Auto,

    /// <summary>The hub's own reactor; only on Linux.</summary>
    Reactor,

    /// <summary>The platform's sockets.</summary>
    Sockets,
}

internal static class TransportKindExtensions
{
    public static bool UsesReactor(this TransportKind kind) => kind != TransportKind.Sockets && Transport.ReactorThread.Exists;
}
