namespace Sluice.Cli.Pull;

/// <summary>Bounds of a download.</summary>
internal static class PullLimits
{
    /// <summary>Redirects followed for one file: the hub needs one or two, more is a loop.</summary>
    public const int RedirectsMax = 8;

    /// <summary>Seconds to wait for a connection, and for the next bytes of a body, before the network counts as gone.</summary>
    public const int IdleSeconds = 60;

    /// <summary>Bytes read at a time: large enough that the disk and the hash cost little per call.</summary>
    public const int BufferBytes = 1 << 20;

    /// <summary>Bytes that must stay free on the disk beyond the file.</summary>
    public const long FreeBytesMin = 64L << 20;
}
