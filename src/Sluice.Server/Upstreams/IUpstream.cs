using Sluice.Server.Telemetry;

namespace Sluice.Server.Upstreams;

/// <summary>Something that answers requests: the hub's own engine, or another server.</summary>
internal interface IUpstream
{
    /// <summary>What it is called.</summary>
    UpstreamIdentity Identity { get; }

    /// <summary>Whether it can be given the beginning of an answer to go on from.</summary>
    bool Continues { get; }

    /// <summary>
    /// Makes one attempt to answer. Nothing is appended to the generation's log before there is content, so that until then
    /// another attempt can be made that the client doesn't see.
    /// </summary>
    /// <exception cref="OperationCanceledException"><see cref="Attempt.Cancellation"/> was; the log is open still.</exception>
    Task<AttemptResult> RunAsync(Attempt attempt);
}
