using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Passes the events of an upstream on to a client that speaks the Responses API too. Of their bytes only the id of the response, a model
/// that has another name here, and a <c>sequence_number</c> that isn't the event's place are edited, in every kind of event, known or not.
/// </summary>
public sealed class ResponsesRelay : AnswerRelay
{
    private readonly RelayOptions _answer;
    private readonly Func<AnswerRelay>? _whole;
    private readonly ResponseText _response;
    private readonly JsonObjectText _root = new();
    private readonly JsonObjectText _inner = new();
    private readonly ArrayBufferWriter<byte> _end = new();
    private AnswerRelay? _translation;
    private long _count;

    /// <param name="answer">What is known before the first event.</param>
    /// <param name="whole">
    /// Makes events of an answer that comes as one object though a stream was asked for; null where such an answer is a failure.
    /// </param>
    public ResponsesRelay(RelayOptions answer, Func<AnswerRelay>? whole = null)
    {
        ArgumentNullException.ThrowIfNull(answer);
        (_answer, _whole) = (answer, whole);
        _response = new ResponseText(answer);
    }

    /// <inheritdoc/>
    public override bool IsFinished => _translation?.IsFinished ?? _end.WrittenCount > 0;

    /// <inheritdoc/>
    public override bool HasAnswer => _translation?.HasAnswer ?? (ContentCount > 0 || IsFinished);

    /// <inheritdoc/>
    public override bool HasUsage => _translation?.HasUsage ?? _response.Usage is not null;

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() => _translation?.ReadUsage() ?? _response.Usage ?? Estimate(ContentBytes > 0 ? ContentBytes : _response.ItemBytes / 2);

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty) return FrameKind.Empty;
        if (data.SequenceEqual("[DONE]"u8)) return IsFinished ? FrameKind.Done : Fail(ResponsesEnd.Truncated);
        // Between its parts only: an event is one line of data here.
        if (data.IndexOfAny((byte)'\r', (byte)'\n') >= 0) data = OnOneLine(data);
        try
        {
            return Utf8.IsValid(data) && _root.Read(data, 0) == data.Length ? AddEvent(data, output) : FailAsGarbage();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    /// <inheritdoc/>
    public override FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output)
    {
        if (_whole is null) return Fail(new ApiError(502, "The upstream sent no event stream.", ApiErrors.ServerErrorType, null, "upstream_no_stream"));
        _translation = _whole();
        var kind = _translation.AddWhole(json, output);
        (ContentCount, ContentBytes) = (_translation.ContentCount, _translation.ContentBytes);
        return kind == FrameKind.Failed ? Fail(_translation.Error!) : kind;
    }

    /// <inheritdoc/>
    public override bool TryReadWhole(ReadOnlySpan<byte> json, out WholeAnswer whole)
    {
        whole = null!;
        json = json.Trim(" \t\r\n\uFEFF"u8);
        if (!Utf8.IsValid(json)) return false;
        try
        {
            if (_root.Read(json, 0) != json.Length || _root.HasSubstance(_root.Find(json, "error"u8))) return false;
            if (_root.TypeOf(_root.Find(json, "output"u8)) != JsonTokenType.StartArray) return false;
            if (_root.Text(json, _root.Find(json, "status"u8)) is not (null or "completed" or "incomplete")) return false;
            var edited = _response.Edit(json, 0, isEnd: true);
            whole = new WholeAnswer(edited, _response.Usage ?? Estimate(json.Length / 2), _response.Usage is null);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public override void WriteEnd(IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (_translation is not null)
        {
            _translation.WriteEnd(output);
            return;
        }
        if (_end.WrittenCount == 0) return;
        output.Write(_end.WrittenSpan);
        output.EndEvent();
    }

    private FrameKind AddEvent(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var member = _root.Find(data, "type"u8);
        if (_root.TypeOf(member) != JsonTokenType.String) return UpstreamError.FindInFrame(data, hasChoices: false) is { } error ? Fail(error) : FailAsGarbage();
        var type = _root.Value(data, member)[1..^1];
        // It keeps an idle connection alive, which the hub does itself.
        if (type.SequenceEqual("keepalive"u8)) return FrameKind.Empty;
        if (type.SequenceEqual("error"u8) || type.SequenceEqual("response.failed"u8)) return FailAs(data);
        var isEnd = type.SequenceEqual("response.completed"u8) || type.SequenceEqual("response.incomplete"u8);
        var response = _root.Find(data, "response"u8);
        if (_root.TypeOf(response) == JsonTokenType.StartObject) _root.Set(response, default, _response.Edit(data, _root.ValueStart(response), isEnd));
        else if (isEnd) return FailAsGarbage();
        if (isEnd)
        {
            // Nothing may follow it, and a stream that breaks before its end must not look whole.
            WriteEvent(data, type, _end);
            return FrameKind.Done;
        }
        var kind = Classify(data, type);
        WriteEvent(data, type, output);
        output.EndEvent();
        _count++;
        return kind;
    }

    private FrameKind Classify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> type)
    {
        if (type.EndsWith(".delta"u8))
        {
            var delta = _root.Find(data, "delta"u8);
            if (!_root.HasSubstance(delta)) return FrameKind.Empty;
            ContentBytes += _root.Value(data, delta).Length - 2;
        }
        else if (type.SequenceEqual("response.output_item.done"u8))
        {
            var item = _root.Find(data, "item"u8);
            if (_root.TypeOf(item) == JsonTokenType.StartObject) _response.AddItem(_root.Integer(data, _root.Find(data, "output_index"u8)) ?? 0, _root.Value(data, item));
        }
        else if (IsOpening(data, type))
        {
            return FrameKind.Empty;
        }
        ContentCount++;
        return FrameKind.Content;
    }

    // Nothing has been said yet. A call, and what a server's own tools do, is more than that.
    private bool IsOpening(ReadOnlySpan<byte> data, ReadOnlySpan<byte> type)
    {
        if (type.SequenceEqual("response.created"u8) || type.SequenceEqual("response.in_progress"u8) || type.SequenceEqual("response.queued"u8)
            || type.SequenceEqual("response.content_part.added"u8) || type.SequenceEqual("response.reasoning_summary_part.added"u8))
        {
            return true;
        }
        var item = _root.Find(data, "item"u8);
        if (!type.SequenceEqual("response.output_item.added"u8) || _root.TypeOf(item) != JsonTokenType.StartObject) return false;
        _inner.Read(data, _root.ValueStart(item));
        return _inner.Text(data, _inner.Find(data, "type"u8)) is "message" or "reasoning";
    }

    private void WriteEvent(ReadOnlySpan<byte> data, ReadOnlySpan<byte> type, IBufferWriter<byte> output)
    {
        var number = _root.Find(data, "sequence_number"u8);
        if (_root.Integer(data, number) != _count)
            _root.Set(number, "\"sequence_number\""u8.ToArray(), Encoding.ASCII.GetBytes(_count.ToString(CultureInfo.InvariantCulture)));
        JsonText.WriteRaw(output, "event: "u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\ndata: "u8);
        _root.WriteTo(output, data);
        JsonText.WriteRaw(output, "\n\n"u8);
    }

    private FrameKind FailAs(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data, JsonText.Reading);
        using var document = JsonDocument.ParseValue(ref reader);
        var root = document.RootElement;
        return Fail(root.TryGet("response"u8, JsonValueKind.Object, out var response) ? ResponsesEnd.ReadFailure(response) : ResponsesEnd.ReadEvent(root));
    }

    private FrameKind FailAsGarbage() => Fail(
        new ApiError(502, "The upstream sent an event that is not valid.", ApiErrors.ServerErrorType, null, "upstream_invalid_event"));

    private AnswerUsage Estimate(long bytes) => new(_answer.EstimatedPromptTokens, 0, EstimateTokens(bytes));

    private static byte[] OnOneLine(ReadOnlySpan<byte> data)
    {
        var line = data.ToArray();
        line.AsSpan().Replace((byte)'\r', (byte)' ');
        line.AsSpan().Replace((byte)'\n', (byte)' ');
        return line;
    }
}
