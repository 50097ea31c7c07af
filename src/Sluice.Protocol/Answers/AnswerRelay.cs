using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Answers;

/// <summary>
/// Turns what an upstream sends, event by event, into events of the dialect that asked: passed on where both speak the same one, else
/// translated. For one answer, and for one thread at a time.
/// </summary>
public abstract class AnswerRelay
{
    private const int EstimatedBytesPerToken = 4;

    /// <summary>How the stream failed; null while it has not.</summary>
    public ApiError? Error { get; private set; }

    /// <summary>
    /// Whether every choice has its finish reason. It is held until <see cref="WriteEnd"/>: what follows it is content still, and the last
    /// one counts.
    /// </summary>
    public abstract bool IsFinished { get; }

    /// <summary>Whether the upstream may end here: something has been said, or a reason says why not.</summary>
    public abstract bool HasAnswer { get; }

    /// <summary>Whether the upstream has stated usage.</summary>
    public abstract bool HasUsage { get; }

    /// <summary>
    /// Pieces of content so far: whatever a model says or thinks in, known member or not. Roles, pings, empty deltas and finish reasons are
    /// none.
    /// </summary>
    public long ContentCount { get; protected set; }

    /// <summary>Bytes of that content as the upstream wrote it, roughly.</summary>
    public long ContentBytes { get; protected set; }

    /// <summary>Takes one event.</summary>
    /// <param name="data">The event's data.</param>
    /// <param name="output">Receives any number of whole events.</param>
    public abstract FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output);

    /// <summary>Takes an answer that came as one object although a stream was asked for.</summary>
    /// <param name="json">The object.</param>
    /// <param name="output">Receives any number of whole events.</param>
    public virtual FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output) => Add(json, output);

    /// <summary>Reads an answer that came as one object, and is passed on as one.</summary>
    /// <param name="json">May be anything.</param>
    /// <param name="whole">The answer as it is passed on.</param>
    /// <returns>False where it is not a whole answer of the dialect that asked.</returns>
    public virtual bool TryReadWhole(ReadOnlySpan<byte> json, out WholeAnswer whole)
    {
        whole = null!;
        return false;
    }

    /// <summary>Writes what the end of the stream brings: finish reasons, usage where it belongs to the answer, and what closes it.</summary>
    public abstract void WriteEnd(IEventOutput output);

    /// <summary>What the upstream has stated, or without that (<see cref="HasUsage"/>) an estimate.</summary>
    public abstract AnswerUsage ReadUsage();

    /// <summary>A rough count of the tokens in a text of that many bytes, for want of the model's own.</summary>
    public static int EstimateTokens(long bytes) => (int)long.Min(int.MaxValue, (bytes + EstimatedBytesPerToken - 1) / EstimatedBytesPerToken);

    /// <summary>Ends the stream as one that has failed; the first failure counts.</summary>
    protected FrameKind Fail(ApiError error)
    {
        Error ??= error;
        return FrameKind.Failed;
    }
}
