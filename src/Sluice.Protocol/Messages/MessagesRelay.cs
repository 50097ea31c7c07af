using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Passes the events of an upstream of the Messages API on to a client of it. Changed are the message's id, and the model's name where it has
/// another one here; every other byte of an event's data stays, of events and blocks that the hub does not know too.
/// </summary>
/// <param name="answer">What is known before the first event.</param>
/// <remarks>Pings are left out, because the hub sends its own. The reason of the end is held until the end has come.</remarks>
public sealed class MessagesRelay(RelayOptions answer) : AnswerRelay
{
    private readonly JsonObjectText _root = new();
    private readonly JsonObjectText _inner = new();
    private readonly MessagesUsage _usage = new();
    private readonly EventBuffer _held = new();
    private bool _hasReason;
    private bool _isFinished;

    /// <inheritdoc/>
    public override bool IsFinished => _isFinished;

    /// <inheritdoc/>
    public override bool HasAnswer => ContentCount > 0 || _hasReason;

    /// <inheritdoc/>
    public override bool HasUsage => _usage.IsKnown;

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() =>
        HasUsage ? _usage.Counts : new AnswerUsage(answer.EstimatedPromptTokens, 0, EstimateTokens(ContentBytes));

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty) return FrameKind.Empty;
        try
        {
            if (!Utf8.IsValid(data) || _root.Read(data, 0) != data.Length) return FailAsGarbage();
            var type = _root.StringBytes(data, "type"u8);
            // It becomes a line of its own.
            if (type.IsEmpty || type.IndexOfAnyExceptInRange((byte)'!', (byte)'~') >= 0) return FailAsGarbage();
            if (type.SequenceEqual("ping"u8)) return FrameKind.Empty;
            if (type.SequenceEqual("error"u8)) return Fail(ReadError(data));
            if (type.SequenceEqual("message_stop"u8)) return Stop(type, data);
            if (type.SequenceEqual("message_delta"u8)) return AddEnd(type, data);
            Release(output);
            if (type.SequenceEqual("message_start"u8)) return Start(type, data, output);
            Pass(type, data, output);
            return Count(type, data);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    /// <inheritdoc/>
    public override FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (!TryReadWhole(json, out var whole))
            return Fail(new ApiError(502, "The upstream sent no message.", ApiErrors.ServerErrorType, null, "upstream_invalid_response"));
        try
        {
            var events = new EventBuffer();
            MessagesWhole.WriteEvents(whole.Json.Span, events, static events => events.EndEvent());
            var kind = FrameKind.Empty;
            for (var i = 0; i < events.Count && kind != FrameKind.Failed; i++)
            {
                var data = events[i].IndexOf("data: "u8) + "data: "u8.Length;
                kind = Add(events[i][data..], output);
            }
            return kind;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    /// <inheritdoc/>
    public override bool TryReadWhole(ReadOnlySpan<byte> json, out WholeAnswer whole) => MessagesWhole.TryRead(json, answer, out whole);

    /// <inheritdoc/>
    public override void WriteEnd(IEventOutput output) => Release(output);

    private FrameKind Start(ReadOnlySpan<byte> type, ReadOnlySpan<byte> data, IEventOutput output)
    {
        var message = _root.Find(data, "message"u8);
        if (_root.TypeOf(message) != JsonTokenType.StartObject) return FailAsGarbage();
        _inner.Read(data, _root.ValueStart(message));
        var usage = _inner.Find(data, "usage"u8);
        if (_inner.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(data, _inner.ValueStart(usage));
        MessagesWhole.SetIdentity(data, _inner, answer);
        var edited = new ArrayBufferWriter<byte>(data.Length + 64);
        _inner.WriteTo(edited, data);
        _root.Set(message, default, edited.WrittenMemory);
        var whole = new ArrayBufferWriter<byte>(data.Length + 64);
        _root.WriteTo(whole, data);
        Pass(type, whole.WrittenSpan, output);
        return FrameKind.Empty;
    }

    private FrameKind AddEnd(ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        var usage = _root.Find(data, "usage"u8);
        if (_root.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(data, _root.ValueStart(usage));
        Pass(type, data, _held);
        var delta = _root.Find(data, "delta"u8);
        if (_root.TypeOf(delta) != JsonTokenType.StartObject) return FrameKind.Empty;
        _inner.Read(data, _root.ValueStart(delta));
        if (_inner.TypeOf(_inner.Find(data, "stop_reason"u8)) != JsonTokenType.String) return FrameKind.Empty;
        _hasReason = true;
        return FrameKind.Content;
    }

    private FrameKind Stop(ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Pass(type, data, _held);
        _isFinished = true;
        return FrameKind.Done;
    }

    // Whatever a model says or thinks in, known or not.
    private FrameKind Count(ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        if (type.SequenceEqual("content_block_delta"u8))
        {
            ContentBytes += int.Max(0, data.Length - "{'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':''}}"u8.Length);
            ContentCount++;
            return FrameKind.Content;
        }
        if (!type.SequenceEqual("content_block_start"u8)) return FrameKind.Empty;
        var block = _root.Find(data, "content_block"u8);
        if (_root.TypeOf(block) != JsonTokenType.StartObject) return FailAsGarbage();
        _inner.Read(data, _root.ValueStart(block));
        var kind = _inner.StringBytes(data, "type"u8);
        // These say nothing yet.
        if (kind.SequenceEqual("text"u8) || kind.SequenceEqual("thinking"u8)) return FrameKind.Empty;
        ContentCount++;
        return FrameKind.Content;
    }

    private void Release(IEventOutput output)
    {
        if (_held.Count == 0) return;
        _held.CopyTo(output);
        _held.Clear();
    }

    private static void Pass(ReadOnlySpan<byte> type, ReadOnlySpan<byte> data, IEventOutput output)
    {
        JsonText.WriteRaw(output, "event: "u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\ndata: "u8);
        while (data.IndexOfAny((byte)'\r', (byte)'\n') is >= 0 and var end)
        {
            // White space, for it stands outside of strings.
            JsonText.WriteRaw(output, data[..end]);
            JsonText.WriteRaw(output, " "u8);
            data = data[(end + 1)..];
        }
        JsonText.WriteRaw(output, data);
        JsonText.WriteRaw(output, "\n\n"u8);
        output.EndEvent();
    }

    private ApiError ReadError(ReadOnlySpan<byte> data)
    {
        var error = _root.Find(data, "error"u8);
        return UpstreamError.ReadEvent(error < 0 || _root.TypeOf(error) == JsonTokenType.Null ? data : _root.Value(data, error));
    }

    private FrameKind FailAsGarbage() => Fail(
        new ApiError(502, "The upstream sent an event that is not valid.", ApiErrors.ServerErrorType, null, "upstream_invalid_event"));
}
