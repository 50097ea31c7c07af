using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Makes of a stream's events the message that a request without <c>stream</c> is answered with. Members and blocks that it does not know it
/// keeps. Bounded by <see cref="ProtocolLimits.CompletionBytesMax"/>.
/// </summary>
internal sealed class MessagesFold : AnswerFold
{
    private static readonly byte[] s_content = "\"content\""u8.ToArray();
    private static readonly byte[] s_usage = "\"usage\""u8.ToArray();
    private static readonly byte[] s_sluice = "\"sluice\""u8.ToArray();

    private readonly JsonObjectText _root = new();
    private readonly List<FoldedBlock> _blocks = [];
    private readonly List<byte[]> _ends = [];
    private byte[]? _start;
    private byte[]? _whole;
    private bool _isEnded;
    private long _bytes;
    private ApiError? _error;

    public override ApiError? Error => _error;

    public override void Add(ReadOnlySpan<byte> sseEvents)
    {
        if (sseEvents.StartsWith("{"u8))
        {
            (_whole, _isEnded) = (sseEvents.ToArray(), true);
            return;
        }
        while (!sseEvents.IsEmpty && _error is null)
        {
            var end = sseEvents.IndexOf("\n\n"u8);
            if (end < 0) throw new ArgumentException("The last event is not whole.", nameof(sseEvents));
            var lines = sseEvents[..end];
            sseEvents = sseEvents[(end + 2)..];
            var data = lines.IndexOf("data: "u8);
            if (data < 0) continue;
            try
            {
                AddEvent(lines[(data + "data: "u8.Length)..]);
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                _error ??= ApiErrors.ServerError("The model's server sent events that can't be read as a message.");
            }
        }
    }

    public override void End()
    {
        if (!_isEnded) _error ??= ApiErrors.ServerError("The model's answer ended before it was finished.");
    }

    public override void WriteTo(IBufferWriter<byte> output) => Write(output, null, default);

    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers) => Write(output, head, sluiceMembers);

    private void AddEvent(ReadOnlySpan<byte> json)
    {
        _bytes += json.Length;
        if (_bytes > ProtocolLimits.CompletionBytesMax)
        {
            _error = ApiErrors.ServerError("The answer is too large for a reply that is not streamed. You can request it with 'stream': true.");
            return;
        }
        _root.Read(json, 0);
        switch (_root.Text(json, _root.Find(json, "type"u8)))
        {
            case "message_start" when _root.Find(json, "message"u8) is >= 0 and var message:
                _start = _root.Value(json, message).ToArray();
                break;
            case "content_block_start" when _root.Find(json, "content_block"u8) is >= 0 and var block:
                _blocks.Add(new FoldedBlock(_root.Integer(json, _root.Find(json, "index"u8)) ?? _blocks.Count, _root.Value(json, block).ToArray()));
                break;
            case "content_block_delta" when _root.Find(json, "delta"u8) is >= 0 and var delta:
                var index = _root.Integer(json, _root.Find(json, "index"u8)) ?? _blocks.Count - 1;
                _blocks.FindLast(block => block.Index == index)?.Add(json, _root.ValueStart(delta));
                break;
            case "message_delta":
                _ends.Add(json.ToArray());
                break;
            case "message_stop":
                _isEnded = true;
                break;
        }
    }

    private void Write(IBufferWriter<byte> output, AnswerHead? head, ReadOnlySpan<byte> sluiceMembers)
    {
        var message = _whole ?? _start ?? WriteHead(head);
        _root.Read(message, 0);
        if (_whole is null)
        {
            var content = new ArrayBufferWriter<byte>();
            JsonText.WriteRaw(content, "["u8);
            for (var i = 0; i < _blocks.Count; i++)
            {
                if (i > 0) JsonText.WriteRaw(content, ","u8);
                _blocks[i].WriteTo(content);
            }
            JsonText.WriteRaw(content, "]"u8);
            _root.Set(_root.Find(message, "content"u8), s_content, content.WrittenMemory);
            var usage = _root.Find(message, "usage"u8);
            var counts = _root.TypeOf(usage) == JsonTokenType.StartObject ? _root.Value(message, usage).ToArray() : "{}"u8.ToArray();
            foreach (var end in _ends) counts = TakeEnd(message, end, counts);
            _root.Set(usage, s_usage, counts);
        }
        if (!sluiceMembers.IsEmpty) _root.Set(_root.Find(message, "sluice"u8), s_sluice, (byte[])[.. "{"u8, .. sluiceMembers, .. "}"u8]);
        _root.WriteTo(output, message);
    }

    // What comes last counts, of the message's members and of its usage.
    private byte[] TakeEnd(byte[] message, byte[] end, byte[] counts)
    {
        var (root, delta) = (new JsonObjectText(), new JsonObjectText());
        root.Read(end, 0);
        var deltaMember = root.Find(end, "delta"u8);
        if (root.TypeOf(deltaMember) == JsonTokenType.StartObject)
        {
            delta.Read(end, root.ValueStart(deltaMember));
            for (var i = 0; i < delta.Count; i++) SetMember(_root, message, delta, end, i);
        }
        var usage = root.Find(end, "usage"u8);
        if (root.TypeOf(usage) != JsonTokenType.StartObject) return counts;
        delta.Read(end, root.ValueStart(usage));
        var all = new JsonObjectText();
        all.Read(counts, 0);
        for (var i = 0; i < delta.Count; i++) SetMember(all, counts, delta, end, i);
        var output = new ArrayBufferWriter<byte>();
        all.WriteTo(output, counts);
        return output.WrittenSpan.ToArray();
    }

    private static void SetMember(JsonObjectText target, byte[] targetJson, JsonObjectText source, byte[] sourceJson, int member)
    {
        var name = source.Name(sourceJson, member);
        var quoted = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(quoted, name);
        var escaped = System.Text.Encoding.UTF8.GetBytes(name);
        target.Set(target.Find(targetJson, escaped), quoted.WrittenMemory, source.Value(sourceJson, member).ToArray());
    }

    private static byte[] WriteHead(AnswerHead? head)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(output, "{\"id\":"u8);
        JsonText.WriteStringOrNull(output, head?.Id);
        JsonText.WriteRaw(output, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        JsonText.WriteStringOrNull(output, head?.Model);
        JsonText.WriteRaw(output, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}"u8);
        return output.WrittenSpan.ToArray();
    }
}
