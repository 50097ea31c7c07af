using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.Responses.Upstream;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses;

/// <summary>OpenAI's Responses API.</summary>
public sealed class ResponsesDialect : AnswerDialect
{
    private const int EchoDepth = 8;

    private ResponsesDialect()
    {
    }

    /// <summary>The only one.</summary>
    public static ResponsesDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Name => "responses";

    /// <inheritdoc/>
    public override string IdPrefix => "resp_";

    /// <inheritdoc/>
    public override string Path => "/v1/responses";

    /// <inheritdoc/>
    public override string ObjectKind => "response";

    /// <inheritdoc/>
    public override string DeletedKind => "response";

    /// <inheritdoc/>
    public override bool WritesFromPast => true;

    /// <inheritdoc/>
    public override long PositionAfter(long startingAfter) => startingAfter + 1;

    /// <inheritdoc/>
    public override bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error)
    {
        // The answer repeats parts of the request one level down or two.
        if (!OutlineReader.TryRead(body, out outline, out error, ProtocolLimits.JsonDepthMax - EchoDepth)) return false;
        // One answer, and its end always has usage.
        outline = outline with
        {
            ChoiceCount = 1,
            IncludesUsage = true,
            UsesFunctions = false,
            HasLogprobs = body.IndexOf("\"message.output_text.logprobs\""u8) >= 0,
        };
        return true;
    }

    /// <inheritdoc/>
    public override ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output) =>
        ResponsesRequest.WriteNeutral(body, form, output);

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte>? Shorten(ReadOnlyMemory<byte> body, ApiError error)
    {
        ArgumentNullException.ThrowIfNull(error);
        return ResponsesTruncation.Shorten(body, error);
    }

    /// <inheritdoc/>
    public override AnswerRelay CreateRelay(RelayOptions answer) => new ResponsesRelay(answer);

    /// <inheritdoc/>
    public override AnswerFold CreateFold() => new ResponsesFold();

    /// <inheritdoc/>
    public override DeltaWriter CreateWriter(AnswerHead head) => new ResponsesDeltaWriter(head);

    /// <inheritdoc/>
    public override bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated,
        IEventOutput output)
    {
        if (!isWhole) return false;
        try
        {
            var writer = new ResponsesDeltaWriter(head);
            writer.Restore(delivered);
            writer.Cancel(output, usage, isEstimated);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            // An upstream's own events may have any shape.
            return false;
        }
    }

    /// <inheritdoc/>
    public override DeliveredDeltas? ReadDelivered(EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(events);
        var (text, count, model, created) = (new ArrayBufferWriter<byte>(), 0, "", 0L);
        for (var i = 0; i < events.Count; i++)
        {
            var data = events[i].IndexOf("data: "u8);
            if (data < 0) continue;
            var reader = new Utf8JsonReader(events[i][(data + "data: "u8.Length)..], JsonText.Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            switch (root.GetProperty("type"u8).GetString())
            {
                case "response.created":
                    var response = root.GetProperty("response"u8);
                    model = response.GetProperty("model"u8).GetString()!;
                    created = response.GetProperty("created_at"u8).TryGetInt64(out var time) ? time : 0;
                    break;
                case "response.output_text.delta":
                    text.Write(Encoding.UTF8.GetBytes(JsonStrings.Read(root.GetProperty("delta"u8))));
                    count++;
                    break;
                case "response.output_item.added" when root.GetProperty("item"u8).GetProperty("type"u8).GetString() is not ("message" or "reasoning"):
                case "response.refusal.delta":
                    return null;
            }
        }
        return new DeliveredDeltas(text.WrittenMemory, count, model, created);
    }

    /// <inheritdoc/>
    public override void WriteStreamed(ReadOnlySpan<byte> answerEvent, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (answerEvent.StartsWith("{"u8)) ResponseObject.WriteUnfolded(answerEvent, output);
        else output.Write(answerEvent);
        output.EndEvent();
    }

    /// <inheritdoc/>
    public override void WriteEnd(IBufferWriter<byte> output) => ChatChunkWriter.WriteDone(output);

    /// <inheritdoc/>
    public override void WriteFailure(IBufferWriter<byte> output, StreamFailure failure) => ResponseObject.WriteFailure(output, failure);

    /// <inheritdoc/>
    public override void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds) => ChatChunkWriter.WriteHeartbeat(output, hasIds);

    /// <inheritdoc/>
    /// <remarks>OpenAI sends it too. It bears the number of the last event, so that the numbers of the others have no gap.</remarks>
    public override void WriteKeepAlive(IBufferWriter<byte> output, long eventCount)
    {
        JsonText.WriteRaw(output, "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":"u8);
        JsonText.WriteInteger(output, eventCount - 1);
        JsonText.WriteRaw(output, "}\n\n"u8);
    }

    /// <inheritdoc/>
    public override void WriteNumbered(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events) =>
        NumberedEvents.Write(output, streamId, passedCount, events);
}
