using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Completions;

/// <summary>OpenAI's older completions: a text goes on.</summary>
public sealed class CompletionDialect : AnswerDialect
{
    private CompletionDialect()
    {
    }

    /// <summary>The only one.</summary>
    public static CompletionDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Name => "completion";

    /// <inheritdoc/>
    public override string Operation => "text_completion";

    /// <inheritdoc/>
    public override string IdPrefix => "cmpl-";

    /// <inheritdoc/>
    public override string Path => "/v1/completions";

    /// <inheritdoc/>
    public override string ObjectKind => "text_completion";

    /// <inheritdoc/>
    public override string DeletedKind => "text_completion.deleted";

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error) =>
        CompletionOutlineReader.TryRead(body, out outline, out error);

    /// <inheritdoc/>
    /// <remarks>A text that goes on is no conversation, so there is no such form.</remarks>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output) =>
        TryReadOutline(body.Span, out var outline, out var error) ? ApiErrors.NoCompletions(outline.Model) : error;

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => new CompletionRelay(answer);

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => new CompletionFold();

    /// <inheritdoc/>
    public override DeltaWriter CreateWriter(AnswerHead head) => new CompletionChunkWriter(head);

    /// <inheritdoc/>
    public override bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(delivered);
        try
        {
            CompletionStop.Write(head, delivered, finished, usage, isEstimated, output);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public override void WriteStreamed(ReadOnlySpan<byte> answerEvent, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (answerEvent.StartsWith("{"u8)) WriteChunk(answerEvent, output);
        else output.Write(answerEvent);
        output.EndEvent();
    }

    /// <inheritdoc/>
    public override void WriteEnd(IBufferWriter<byte> output) => ChatChunkWriter.WriteDone(output);

    /// <inheritdoc/>
    public override void WriteFailure(IBufferWriter<byte> output, StreamFailure failure) => ChatChunkWriter.WriteError(output, failure.Error);

    /// <inheritdoc/>
    public override void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds) => ChatChunkWriter.WriteHeartbeat(output, hasIds);

    /// <inheritdoc/>
    public override void WriteNumbered(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events) =>
        NumberedEvents.Write(output, streamId, passedCount, events);

    // A whole answer has the shape of a chunk; a line break of its JSON would end the line of the event.
    private static void WriteChunk(ReadOnlySpan<byte> whole, IEventOutput output)
    {
        JsonText.WriteRaw(output, "data: "u8);
        while (!whole.IsEmpty)
        {
            var end = whole.IndexOfAny((byte)'\n', (byte)'\r');
            JsonText.WriteRaw(output, end < 0 ? whole : whole[..end]);
            whole = end < 0 ? default : whole[(end + 1)..];
        }

        JsonText.WriteRaw(output, "\n\n"u8);
    }
}
