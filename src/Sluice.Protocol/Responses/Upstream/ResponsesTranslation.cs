using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Translates the events of an upstream that speaks the Responses API. Items count as they are when they are done: whatever their deltas have
/// left out is made up then, and items without any events are taken from the last one.
/// </summary>
public sealed partial class ResponsesTranslation : TranslatedRelay
{
    private readonly JsonObjectText _root = new();
    private readonly JsonObjectText _inner = new();
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly Dictionary<long, ResponsesItem> _items = [];
    private readonly HashSet<long> _doneIndexes = [];
    private readonly HashSet<string> _doneIds = new(StringComparer.Ordinal);
    private readonly Queue<(long Index, byte[] Json)> _waiting = new();
    private readonly StopTexts? _stops;
    private long _waitingBytes;

    // Calls don't overlap in other dialects: others wait for the end of this one.
    private ResponsesItem? _call;

    /// <param name="answer">What is known before the first event.</param>
    /// <param name="writer">Of the dialect that asked.</param>
    /// <param name="stops">Sequences before which the text is cut, because the API has none; none of them empty.</param>
    public ResponsesTranslation(RelayOptions answer, DeltaWriter writer, IReadOnlyList<string> stops)
        : base(answer, writer)
    {
        ArgumentNullException.ThrowIfNull(stops);
        if (stops.Count > 0) _stops = new StopTexts(stops);
    }

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty) return FrameKind.Empty;
        if (data.SequenceEqual("[DONE]"u8)) return IsFinished ? FrameKind.Done : Fail(ResponsesEnd.Truncated);
        var before = ContentCount;
        try
        {
            if (AddEvent(data, output) is { } special) return special;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
        if (_stops?.Found is { } stop) return EndAt(stop);
        return ContentCount > before ? FrameKind.Content : FrameKind.Empty;
    }

    /// <inheritdoc/>
    public override FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output)
    {
        try
        {
            var reader = new Utf8JsonReader(json, JsonText.Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            var response = document.RootElement;
            var status = response.TryGet("status"u8, JsonValueKind.String, out var member) ? member.GetString() : "completed";
            if (status == "failed") return Fail(ResponsesEnd.ReadFailure(response));
            if (!response.TryGet("output"u8, JsonValueKind.Array, out _)) return FailAsGarbage();
            if (status is not ("completed" or "incomplete")) return Fail(ResponsesEnd.Truncated);
            return Finish(response, status == "incomplete", output);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    // Null for an event of which there is no more to say than what it has brought.
    private FrameKind? AddEvent(ReadOnlySpan<byte> data, IEventOutput output)
    {
        _root.Read(data, 0);
        var member = _root.Find(data, "type"u8);
        if (_root.TypeOf(member) != JsonTokenType.String) return UpstreamError.FindInFrame(data, hasChoices: false) is { } error ? Fail(error) : FailAsGarbage();
        var type = _root.Value(data, member)[1..^1];
        if (!type.StartsWith("response."u8)) return type.SequenceEqual("error"u8) ? FailAs(data, ResponsesEnd.ReadEvent) : null;
        type = type["response."u8.Length..];
        if (type.EndsWith(".delta"u8) || type.EndsWith(".done"u8)) return AddPiece(data, type, output);
        if (type.SequenceEqual("output_item.added"u8)) return Open(data, output);
        if (type.SequenceEqual("completed"u8)) return Finish(data, isIncomplete: false, output);
        if (type.SequenceEqual("incomplete"u8)) return Finish(data, isIncomplete: true, output);
        // What else there is belongs to tools that the server runs, or says nothing of the answer.
        return type.SequenceEqual("failed"u8)
            ? FailAs(data, static root => ResponsesEnd.ReadFailure(root.TryGet("response"u8, JsonValueKind.Object, out var response) ? response : root)) : null;
    }

    private FrameKind? AddPiece(ReadOnlySpan<byte> data, ReadOnlySpan<byte> type, IEventOutput output)
    {
        if (type.SequenceEqual("output_text.delta"u8)) return Piece(data, ResponsesPart.Text, "delta"u8, isWhole: false, output);
        if (type.SequenceEqual("function_call_arguments.delta"u8) || type.SequenceEqual("custom_tool_call_input.delta"u8))
            return Piece(data, ResponsesPart.Input, "delta"u8, isWhole: false, output);
        if (type.SequenceEqual("reasoning_summary_text.delta"u8)) return Piece(data, ResponsesPart.Summary, "delta"u8, isWhole: false, output);
        if (type.SequenceEqual("reasoning_text.delta"u8)) return Piece(data, ResponsesPart.Thought, "delta"u8, isWhole: false, output);
        if (type.SequenceEqual("refusal.delta"u8)) return Piece(data, ResponsesPart.Refusal, "delta"u8, isWhole: false, output);
        if (type.SequenceEqual("output_item.done"u8)) return Close(data, output);
        if (type.SequenceEqual("output_text.done"u8)) return Piece(data, ResponsesPart.Text, "text"u8, isWhole: true, output);
        if (type.SequenceEqual("function_call_arguments.done"u8)) return Piece(data, ResponsesPart.Input, "arguments"u8, isWhole: true, output);
        if (type.SequenceEqual("custom_tool_call_input.done"u8)) return Piece(data, ResponsesPart.Input, "input"u8, isWhole: true, output);
        if (type.SequenceEqual("reasoning_summary_text.done"u8)) return Piece(data, ResponsesPart.Summary, "text"u8, isWhole: true, output);
        if (type.SequenceEqual("reasoning_text.done"u8)) return Piece(data, ResponsesPart.Thought, "text"u8, isWhole: true, output);
        return type.SequenceEqual("refusal.done"u8) ? Piece(data, ResponsesPart.Refusal, "refusal"u8, isWhole: true, output) : null;
    }

    private FrameKind? Open(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var index = Number(data, "output_index"u8);
        var member = _root.Find(data, "item"u8);
        if (_root.TypeOf(member) != JsonTokenType.StartObject || _doneIndexes.Contains(index)) return null;
        _inner.Read(data, _root.ValueStart(member));
        var item = new ResponsesItem(ResponsesItem.KindOf(_inner.Text(data, _inner.Find(data, "type"u8))));
        _items[index] = item;
        if (item.Kind is not (ResponsesItemKind.Function or ResponsesItemKind.Custom) || _call is not null) return null;
        var id = _inner.Text(data, _inner.Find(data, "call_id"u8)) ?? _inner.Text(data, _inner.Find(data, "id"u8));
        if (id is { Length: > 0 } && _inner.Text(data, _inner.Find(data, "name"u8)) is { Length: > 0 } name) BeginCall(item, id, name, output);
        return null;
    }

    // A piece of the item that the event names, or its part as a whole. One that says otherwise is kept for the item's end.
    private FrameKind? Piece(ReadOnlySpan<byte> data, ResponsesPart part, ReadOnlySpan<byte> name, bool isWhole, IEventOutput output)
    {
        var index = Number(data, "output_index"u8);
        var member = _root.Find(data, name);
        if (!_root.HasSubstance(member) || _root.TypeOf(member) != JsonTokenType.String || _doneIndexes.Contains(index)) return null;
        if (!_items.TryGetValue(index, out var item))
        {
            // Its beginning is missing, and a call can't do without.
            if (part == ResponsesPart.Input) return null;
            item = new ResponsesItem(part is ResponsesPart.Text or ResponsesPart.Refusal ? ResponsesItemKind.Message : ResponsesItemKind.Reasoning);
            _items[index] = item;
        }
        if (part == ResponsesPart.Input && item != _call) return null;
        var logprobs = part == ResponsesPart.Text ? ReadLogprobs(data, isWhole && item.HasBegun(part, PartIndex(data, part))) : default;
        Pass(item, part, PartIndex(data, part), Unescape(_root.Value(data, member)), isWhole, logprobs, output);
        return null;
    }

    private long PartIndex(ReadOnlySpan<byte> data, ResponsesPart part) => part switch
    {
        ResponsesPart.Input => 0,
        ResponsesPart.Summary => Number(data, "summary_index"u8),
        _ => Number(data, "content_index"u8),
    };

    private FrameKind? Close(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var index = Number(data, "output_index"u8);
        var member = _root.Find(data, "item"u8);
        if (_root.TypeOf(member) != JsonTokenType.StartObject || _doneIndexes.Contains(index)) return null;
        var json = _root.Value(data, member);
        var item = _items.GetValueOrDefault(index);
        if (_call is null || item == _call)
        {
            CloseItem(index, json, output);
            FlushWaiting(output);
            return null;
        }
        if ((_waitingBytes += json.Length) > ProtocolLimits.CompletionBytesMax) return FailAsGarbage();
        _doneIndexes.Add(index);
        _waiting.Enqueue((index, json.ToArray()));
        return null;
    }

    private void FlushWaiting(IEventOutput output)
    {
        while (_call is null && _waiting.TryDequeue(out var next))
        {
            _waitingBytes -= next.Json.Length;
            CloseItem(next.Index, next.Json, output);
        }
    }

    private FrameKind Finish(ReadOnlySpan<byte> data, bool isIncomplete, IEventOutput output)
    {
        var member = _root.Find(data, "response"u8);
        if (_root.TypeOf(member) != JsonTokenType.StartObject) return FailAsGarbage();
        var reader = new Utf8JsonReader(_root.Value(data, member), JsonText.Reading);
        using var document = JsonDocument.ParseValue(ref reader);
        return Finish(document.RootElement, isIncomplete, output);
    }

    private FrameKind Finish(JsonElement response, bool isIncomplete, IEventOutput output)
    {
        if (response.TryGetProperty("usage"u8, out var usage)) Stated = ResponsesUsage.Read(usage);
        if (response.TryGet("output"u8, JsonValueKind.Array, out var items)) CloseUnseen(items, output);
        _call = null;
        FlushWaiting(output);
        EndText(output);
        if (_stops?.Found is { } stop) return EndAt(stop);
        SetFinish(0, ResponsesEnd.Read(response, isIncomplete));
        return FrameKind.Done;
    }

    // Items whose end never came.
    private void CloseUnseen(JsonElement items, IEventOutput output)
    {
        var index = 0L;
        foreach (var item in items.EnumerateArray())
        {
            if (_stops?.Found is not null) return;
            var isSeen = _doneIndexes.Contains(index) || (item.TryGet("id"u8, JsonValueKind.String, out var id) && _doneIds.Contains(id.GetString()!));
            if (!isSeen) CloseItem(index, item, output);
            index++;
        }
    }

    private FrameKind EndAt(string stop)
    {
        SetFinish(0, new AnswerFinish(AnswerEnd.Stop) { StopText = stop });
        return FrameKind.Done;
    }

    private FrameKind FailAs(ReadOnlySpan<byte> data, Func<JsonElement, Errors.ApiError> read)
    {
        var reader = new Utf8JsonReader(data, JsonText.Reading);
        using var document = JsonDocument.ParseValue(ref reader);
        return Fail(read(document.RootElement));
    }

    // Of servers that state none there is one at a time.
    private long Number(ReadOnlySpan<byte> data, ReadOnlySpan<byte> name) => _root.Integer(data, _root.Find(data, name)) ?? 0;

    private ReadOnlySpan<byte> Unescape(ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(value);
        reader.Read();
        _text.ResetWrittenCount();
        _text.Advance(reader.CopyString(_text.GetSpan(value.Length)));
        return _text.WrittenSpan;
    }
}
