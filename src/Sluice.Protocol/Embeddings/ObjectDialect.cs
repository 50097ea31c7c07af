using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Embeddings;

/// <summary>
/// A door whose answers are one object and never a stream: vectors and scores. It shares retries, fallbacks and figures with the other doors,
/// and nothing of what streams need.
/// </summary>
public abstract class ObjectDialect : AnswerDialect
{
    private protected ObjectDialect()
    {
    }

    /// <inheritdoc/>
    public override string Operation => Name;

    /// <inheritdoc/>
    public override string ObjectKind => "list";

    /// <inheritdoc/>
    public override string DeletedKind => "list";

    /// <inheritdoc/>
    public override bool IsKept => false;

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error)
    {
        if (!OutlineReader.TryRead(body, out outline, out error)) return false;
        outline = outline with { IsStream = false, IncludesUsage = false, ChoiceCount = 1, HasLogprobs = false, UsesFunctions = false };
        return true;
    }

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => new ObjectFold();

    /// <inheritdoc/>
    public override DeltaWriter CreateWriter(AnswerHead head) => throw new NotSupportedException("An answer that is one object has no deltas.");

    /// <inheritdoc/>
    public override bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated,
        IEventOutput output) => false;

    /// <inheritdoc/>
    public override void WriteStreamed(ReadOnlySpan<byte> answerEvent, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        output.Write(answerEvent);
        output.EndEvent();
    }

    /// <inheritdoc/>
    public override void WriteEnd(IBufferWriter<byte> output)
    {
        // An object ends with itself.
    }

    /// <inheritdoc/>
    public override void WriteFailure(IBufferWriter<byte> output, StreamFailure failure) => ChatChunkWriter.WriteError(output, failure.Error);

    /// <inheritdoc/>
    public override void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds) => ChatChunkWriter.WriteHeartbeat(output, hasIds);

    /// <inheritdoc/>
    public override void WriteNumbered(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events) =>
        NumberedEvents.Write(output, streamId, passedCount, events);
}
