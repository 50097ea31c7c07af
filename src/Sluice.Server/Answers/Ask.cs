using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Server.Hooks;
using Sluice.Server.Routing;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Answers;

/// <summary>What somebody asks for.</summary>
/// <param name="Outline">What the hub knows of it.</param>
/// <param name="Route">Of the model that is asked for.</param>
/// <param name="Client">The request as the client wrote it.</param>
/// <param name="Fingerprint">Of the body.</param>
internal sealed record Ask(RequestOutline Outline, Route Route, ClientRequest Client, RequestFingerprint Fingerprint)
{
    /// <summary>What the answer is written in.</summary>
    public required AnswerDialect Dialect { get; init; }

    /// <summary>Unique; of an answer that is made for this.</summary>
    public required string AnswerId { get; init; }

    /// <summary>Names the request in the log.</summary>
    public required string RequestId { get; init; }

    /// <summary>When it came, on the hub's clock.</summary>
    public required long Started { get; init; }

    /// <summary>For the hook after the answer; null where there is none.</summary>
    public HookSubject? Subject { get; init; }

    /// <summary>The client's headers that upstreams get. The default value is none.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>Whether later requests may go on from this one. The default value is false.</summary>
    public bool KeepsRequest { get; init; }

    /// <summary>Whether the reply doesn't wait for the answer. The default value is false.</summary>
    public bool IsBackground { get; init; }

    /// <summary>Whether the answer may come from a cache. The default value is yes, if there is one.</summary>
    public CacheWish CacheWish { get; init; }

    /// <summary>Whether another attempt may continue an answer that breaks off. The default value is true.</summary>
    public bool IsRescuable { get; init; } = true;

    /// <summary>The client's span, in the words of W3C's Trace Context; null without one.</summary>
    public string? TraceParent { get; init; }

    /// <summary>What goes with <see cref="TraceParent"/>.</summary>
    public string? TraceState { get; init; }
}
