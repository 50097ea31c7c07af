using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>Folds the events of a response: its last event has the whole object, and until it comes the items that are closed are what there is.</summary>
internal sealed class ResponsesFold : AnswerFold
{
    private readonly JsonObjectText _event = new();
    private readonly JsonObjectText _object = new();
    private readonly ArrayBufferWriter<byte> _items = new();
    private byte[]? _first;
    private byte[]? _last;
    private ApiError? _error;

    /// <inheritdoc/>
    public override ApiError? Error => _error;

    /// <inheritdoc/>
    public override void Add(ReadOnlySpan<byte> sseEvents)
    {
        // A whole answer, which the request asked for.
        if (sseEvents.StartsWith("{"u8))
        {
            _last = sseEvents.ToArray();
            return;
        }
        while (!sseEvents.IsEmpty && _error is null)
        {
            var end = sseEvents.IndexOf("\n\n"u8);
            AddEvent(end < 0 ? sseEvents : sseEvents[..end]);
            sseEvents = end < 0 ? default : sseEvents[(end + 2)..];
        }
    }

    /// <inheritdoc/>
    public override void End()
    {
        if (_last is null) _error ??= ApiErrors.ServerError("The answer ended without its last event.");
    }

    /// <inheritdoc/>
    public override void WriteTo(IBufferWriter<byte> output) => JsonText.WriteRaw(output, _last);

    /// <inheritdoc/>
    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers) =>
        WriteSoFar(output, head, sluiceMembers, "running", failure: null);

    /// <inheritdoc/>
    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers, string state, ApiError? failure)
    {
        ArgumentNullException.ThrowIfNull(head);
        var json = _last ?? _first ?? Empty(head);
        _object.Read(json, 0);
        if (_last is null && _first is not null)
        {
            var items = new ArrayBufferWriter<byte>();
            JsonText.WriteRaw(items, "["u8);
            JsonText.WriteRaw(items, _items.WrittenSpan);
            JsonText.WriteRaw(items, "]"u8);
            _object.Set(_object.Find(json, "output"u8), "\"output\""u8.ToArray(), items.WrittenMemory);
        }
        if (_last is null && state is "failed" or "cancelled")
        {
            _object.Set(_object.Find(json, "status"u8), "\"status\""u8.ToArray(), Quote(state));
            if (failure is not null) _object.Set(_object.Find(json, "error"u8), "\"error\""u8.ToArray(), WriteError(failure));
        }
        var ours = _object.Find(json, "sluice"u8);
        var value = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(value, "{"u8);
        if (_object.HasSubstance(ours))
        {
            JsonText.WriteRaw(value, _object.Value(json, ours)[1..^1]);
            JsonText.WriteRaw(value, ","u8);
        }
        JsonText.WriteRaw(value, sluiceMembers);
        JsonText.WriteRaw(value, "}"u8);
        _object.Set(ours, "\"sluice\""u8.ToArray(), value.WrittenMemory);
        _object.WriteTo(output, json);
    }

    private void AddEvent(ReadOnlySpan<byte> lines)
    {
        var start = lines.IndexOf("data: "u8);
        if (start < 0 || (start > 0 && lines[start - 1] != (byte)'\n')) return;
        var json = lines[(start + "data: "u8.Length)..];
        if (!json.StartsWith("{"u8)) return;
        try
        {
            _event.Read(json, 0);
            var type = _event.Text(json, _event.Find(json, "type"u8));
            if (type == "response.output_item.done") AddItem(json);
            else if (type == "response.created") _first = Response(json);
            else if (type is "response.completed" or "response.incomplete") _last = Response(json);
        }
        catch (JsonException)
        {
            _error = ApiErrors.ServerError("The answer holds an event that is not valid JSON.");
        }
    }

    private void AddItem(ReadOnlySpan<byte> json)
    {
        var item = _event.Find(json, "item"u8);
        if (_event.TypeOf(item) != JsonTokenType.StartObject) return;
        if (_items.WrittenCount > 0) JsonText.WriteRaw(_items, ","u8);
        JsonText.WriteRaw(_items, _event.Value(json, item));
    }

    private byte[]? Response(ReadOnlySpan<byte> json)
    {
        var response = _event.Find(json, "response"u8);
        return _event.TypeOf(response) == JsonTokenType.StartObject ? _event.Value(json, response).ToArray() : null;
    }

    private static ReadOnlyMemory<byte> Quote(string text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text);
        return output.WrittenMemory;
    }

    private static ReadOnlyMemory<byte> WriteError(ApiError failure)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(output, "{\"code\":"u8);
        JsonText.WriteStringOrNull(output, ResponseObject.CodeOf(failure));
        JsonText.WriteRaw(output, ",\"message\":"u8);
        JsonText.WriteStringOrNull(output, failure.Message);
        JsonText.WriteRaw(output, "}"u8);
        return output.WrittenMemory;
    }

    private static byte[] Empty(AnswerHead head)
    {
        var output = new ArrayBufferWriter<byte>();
        new ResponseObject(head, new ResponsesTools(default)).WriteTo(output, "in_progress", null, default, null, isEstimated: false, default);
        return output.WrittenSpan.ToArray();
    }
}
