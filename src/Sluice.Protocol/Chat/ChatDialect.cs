using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat;

/// <summary>OpenAI's chat completions.</summary>
public sealed class ChatDialect : AnswerDialect
{
    private ChatDialect()
    {
    }

    /// <summary>The only one.</summary>
    public static ChatDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Name => "chat";

    /// <inheritdoc/>
    public override string IdPrefix => "chatcmpl-";

    /// <inheritdoc/>
    public override string Path => "/v1/chat/completions";

    /// <inheritdoc/>
    public override string ObjectKind => "chat.completion";

    /// <inheritdoc/>
    public override string DeletedKind => "chat.completion.deleted";

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error) =>
        OutlineReader.TryRead(body, out outline, out error);

    /// <inheritdoc/>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output)
    {
        output.Write(body.Span);
        return null;
    }

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => new ChunkNormalizer(answer);

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => new ChatCompletionFold();

    /// <inheritdoc/>
    public override DeltaWriter CreateWriter(AnswerHead head) => new ChatDeltaWriter(head);

    /// <inheritdoc/>
    public override bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(delivered);
        try
        {
            ChatStop.Write(head, delivered, isWhole, finished, usage, isEstimated, output);
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
        if (answerEvent.StartsWith("{"u8)) WholeCompletion.WriteChunk(answerEvent, output);
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
}
