namespace Sluice.Server.Configuration;

/// <summary>Where administrators ask for usage, and with which keys.</summary>
public sealed record AdminOptions
{
    /// <summary>An address that only this machine can reach; null where <see cref="SocketPath"/> is set.</summary>
    public ListenAddress? Address { get; init; }

    /// <summary>Full path of a Unix socket, which only the hub's user may open, so that nobody needs a key; null where <see cref="Address"/> is set.</summary>
    public string? SocketPath { get; init; }

    /// <summary>Of which a request to <see cref="Address"/> must bear one. They open nothing else.</summary>
    public IReadOnlyList<string> Keys { get; init; } = [];
}
