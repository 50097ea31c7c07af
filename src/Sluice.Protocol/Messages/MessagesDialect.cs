using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Messages;

/// <summary>Anthropic's Messages API.</summary>
public sealed class MessagesDialect : AnswerDialect
{
    private static readonly string[] s_passedHeaders = ["anthropic-version", "anthropic-beta"];

    private MessagesDialect()
    {
    }

    /// <summary>The only one.</summary>
    public static MessagesDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Name => "messages";

    /// <inheritdoc/>
    public override string IdPrefix => "msg_";

    /// <inheritdoc/>
    public override string Path => "/v1/messages";

    /// <inheritdoc/>
    public override string ObjectKind => "message";

    /// <inheritdoc/>
    public override string DeletedKind => "message_deleted";

    /// <inheritdoc/>
    public override string? RequestIdHeader => "request-id";

    /// <inheritdoc/>
    public override IReadOnlyList<string> PassedHeaders => s_passedHeaders;

    /// <inheritdoc/>
    public override bool WritesFromPast => true;

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error)
    {
        if (!OutlineReader.TryRead(body, out outline, out error)) return false;
        // What has these names at other doors means nothing here, and a choice of one tool ends like any other.
        outline = outline with
        {
            ChoiceCount = 1,
            IncludesUsage = true,
            HasLogprobs = false,
            HasForcedTool = false,
            UsesFunctions = false,
            ServiceTier = null,
        };
        return true;
    }

    /// <inheritdoc/>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output) =>
        MessagesNeutralWriter.Write(body, form, output);

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => new MessagesRelay(answer);

    /// <inheritdoc/>
    public override int StatusOf(ApiError error) => MessagesErrors.StatusOf(error);

    /// <inheritdoc/>
    public override void WriteErrorBody(IBufferWriter<byte> output, ApiError error, string requestId) =>
        MessagesErrors.WriteTo(output, error, requestId);

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => new MessagesFold();

    /// <inheritdoc/>
    public override DeltaWriter CreateWriter(AnswerHead head) => new MessagesDeltaWriter(head);

    /// <inheritdoc/>
    public override bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(delivered);
        var writer = new MessagesDeltaWriter(head);
        if (!writer.TryTakeUp(delivered, isWhole)) return false;
        if (delivered.Count == 0 && isWhole) writer.Begin(output, isText: true);
        writer.Usage(output, usage, isEstimated);
        return true;
    }

    /// <inheritdoc/>
    public override DeliveredDeltas? ReadDelivered(EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var (text, count, model) = (new ArrayBufferWriter<byte>(), 0, "");
        for (var i = 0; i < events.Count; i++)
        {
            var data = events[i].IndexOf("data: "u8);
            if (data < 0) continue;
            var reader = new Utf8JsonReader(events[i][(data + "data: "u8.Length)..], JsonText.Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            switch (root.GetProperty("type"u8).GetString())
            {
                case "message_start":
                    model = root.GetProperty("message"u8).GetProperty("model"u8).GetString()!;
                    break;
                case "content_block_delta" when root.GetProperty("delta"u8).GetProperty("type"u8).ValueEquals("text_delta"u8):
                    text.Write(Encoding.UTF8.GetBytes(JsonStrings.Read(root.GetProperty("delta"u8).GetProperty("text"u8))));
                    count++;
                    break;
                case "content_block_start" when root.GetProperty("content_block"u8).GetProperty("type"u8).GetString() is not ("text" or "thinking" or "redacted_thinking"):
                    return null;
            }
        }
        return new DeliveredDeltas(text.WrittenMemory, count, model, Created: 0);
    }

    /// <inheritdoc/>
    public override void WriteStreamed(ReadOnlySpan<byte> answerEvent, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (answerEvent.StartsWith("{"u8)) MessagesWhole.WriteEvents(answerEvent, output, static _ => { });
        else output.Write(answerEvent);
        output.EndEvent();
    }

    /// <inheritdoc/>
    public override void WriteEnd(IBufferWriter<byte> output)
    {
        // The last event is one of the log.
    }

    /// <inheritdoc/>
    public override void WriteFailure(IBufferWriter<byte> output, StreamFailure failure)
    {
        JsonText.WriteRaw(output, "event: error\ndata: "u8);
        MessagesErrors.WriteTo(output, failure.Error, failure.RequestId);
        JsonText.WriteRaw(output, "\n\n"u8);
    }

    /// <inheritdoc/>
    public override void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds) =>
        JsonText.WriteRaw(output, "event: ping\ndata: {\"type\":\"ping\"}\n\n"u8);

    /// <inheritdoc/>
    public override void WriteNumbered(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(events);
        for (var i = 0; i < events.Count; i++)
        {
            // Of a message as a whole only the last event has the id: with another a client would miss what follows it.
            var all = events[i];
            var last = all[..^2].LastIndexOf("\n\n"u8) + 2;
            if (last < 2) last = 0;
            JsonText.WriteRaw(output, all[..last]);
            JsonText.WriteRaw(output, "id: "u8);
            JsonText.WriteRaw(output, streamId);
            JsonText.WriteRaw(output, ":"u8);
            JsonText.WriteInteger(output, ++passedCount);
            JsonText.WriteRaw(output, "\n"u8);
            JsonText.WriteRaw(output, all[last..]);
        }
    }
}
