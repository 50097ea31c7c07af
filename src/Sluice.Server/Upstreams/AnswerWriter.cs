using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Server.Upstreams;

/// <summary>
/// Where the answer of an attempt goes: its events, and its end with what it used. Nothing else appends to a log or ends one. For one
/// producer at a time.
/// </summary>
internal abstract class AnswerWriter : IEventOutput
{
    /// <summary>Whether there is an end: what comes after it is dropped by the producer.</summary>
    public abstract bool HasEnded { get; }

    /// <summary>Events of the answer so far.</summary>
    public abstract long EventCount { get; }

    /// <inheritdoc/>
    public abstract void Advance(int count);

    /// <inheritdoc/>
    public abstract Memory<byte> GetMemory(int sizeHint = 0);

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <summary>What was written is one event, and readers learn of it at once.</summary>
    public abstract void EndEvent();

    /// <summary>One of several events that have come together. <see cref="Publish"/> must follow the last of them.</summary>
    public abstract void AppendQuietly(ReadOnlySpan<byte> sseEvent);

    /// <summary>Tells readers of events that were appended quietly.</summary>
    public abstract void Publish();

    /// <summary>Whether clients are so far behind that an append of that many bytes would take from them what they have not read.</summary>
    public abstract bool IsAhead(int bytes);

    /// <summary>Waits until that is no longer so, or clients have had their time; never throws.</summary>
    public abstract Task WaitAsync(int bytes, CancellationToken cancellation);

    /// <summary>Text, reasoning, a refusal or a part of a tool call has come. Allocates nothing.</summary>
    public abstract void AddContent();

    /// <summary>What the attempt has used so far.</summary>
    public abstract void SetUsage(AnswerUsage usage, bool isEstimated);

    /// <summary>The answer is whole. Whoever sees the end can also see the usage.</summary>
    public abstract void Complete(AnswerUsage usage, bool isEstimated);

    /// <summary>The answer ends without being whole.</summary>
    public abstract void Fail(ApiError error);

    /// <summary>The attempt has stopped because its answer was cancelled.</summary>
    public abstract void Cancel(Attempt attempt);
}
