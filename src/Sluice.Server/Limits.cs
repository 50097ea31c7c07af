using Sluice.Streaming;

namespace Sluice.Server;

/// <summary>Every bound of the server, with its unit and reason. Times pass on the <see cref="TimeProvider"/> of the hub.</summary>
public sealed record Limits
{
    /// <summary>
    /// Bytes of a request body. The default value is 32 MiB: a long conversation is one, and a handful of images in base64 fit.
    /// </summary>
    public int RequestBodyBytes { get; init; } = 32 << 20;

    /// <summary>
    /// Bytes of a body too large that are still read, so that the client gets its 413 and can use the connection again; beyond it
    /// the connection closes. The default value is 256 MiB.
    /// </summary>
    public long DiscardedBodyBytes { get; init; } = 256L << 20;

    /// <summary>
    /// How long the response headers wait for the first event. Until then a failure is a real HTTP status, which every client
    /// can retry; after it silence would look like a dead server. The default value is 10 s.
    /// </summary>
    public TimeSpan HeadersHeld { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Silence after which a comment is sent. Proxies cut idle connections after 60 s and up; a client may give up after 300 lines
    /// without data, so not below 10 s. The default value is 15 s.
    /// </summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long one write may be stuck before its connection is cut: the client takes nothing at all. The default value is 30 s.</summary>
    public TimeSpan WriteStalled { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Between an error event and the abort that follows it. An abort throws away what the server has not handed to the network yet,
    /// and a Node client what it has queued but not read: without this time every client misses the event. The default value is 200 ms.
    /// </summary>
    public TimeSpan ErrorEventLead { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Bytes copied from a log before they are flushed: what one reader that catches up holds in memory. The default value is 64 KiB, Kestrel's own output bound.</summary>
    public int ReadBatchBytes { get; init; } = 64 << 10;

    /// <summary>Bounds of the logs.</summary>
    public StreamLimits Streams { get; init; } = new();
}
