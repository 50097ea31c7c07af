using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>
/// Makes of the lines the one object that a request with <c>stream: false</c> gets: the last line, with everything that came before it. Bounded
/// by <see cref="ProtocolLimits.CompletionBytesMax"/>.
/// </summary>
/// <param name="isGenerate">Whether the text stands at the top.</param>
internal sealed class OllamaFold(bool isGenerate) : AnswerFold
{
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _thinking = new();
    private readonly ArrayBufferWriter<byte> _calls = new();
    private readonly ArrayBufferWriter<byte> _logprobs = new();
    private byte[]? _last;
    private bool _isEnded;
    private long _bytes;
    private ApiError? _error;

    public override ApiError? Error => _error;

    public override void Add(ReadOnlySpan<byte> sseEvents)
    {
        while (!sseEvents.IsEmpty && _error is null)
        {
            var end = sseEvents.IndexOf((byte)'\n');
            if (end < 0) throw new ArgumentException("The last line is not whole.", nameof(sseEvents));
            AddLine(sseEvents[..end]);
            sseEvents = sseEvents[(end + 1)..];
        }
    }

    public override void End()
    {
        if (!_isEnded) _error ??= ApiErrors.ServerError("The model's answer ended before it was finished.");
    }

    public override void WriteTo(IBufferWriter<byte> output) => Write(output, null, default);

    public override void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers) => Write(output, head, sluiceMembers);

    private void AddLine(ReadOnlySpan<byte> line)
    {
        _bytes += line.Length;
        if (_bytes > ProtocolLimits.CompletionBytesMax)
        {
            _error = ApiErrors.ServerError("The answer is too large for a reply that is not streamed. You can request it with 'stream': true.");
            return;
        }
        using var document = OllamaLine.Parse(line);
        var root = document.RootElement;
        _text.Append(OllamaLine.TextOf(root, isGenerate));
        _thinking.Append(OllamaLine.ThinkingOf(root, isGenerate));
        Collect(_calls, OllamaLine.CallsOf(root));
        if (root.TryGetProperty("logprobs"u8, out var logprobs)) Collect(_logprobs, logprobs);
        _isEnded |= root.GetProperty("done"u8).GetBoolean();
        _last = line.ToArray();
    }

    private static void Collect(ArrayBufferWriter<byte> all, JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array) return;
        foreach (var element in array.EnumerateArray())
        {
            if (all.WrittenCount > 0) JsonText.WriteRaw(all, ","u8);
            Encoding.UTF8.GetBytes(element.GetRawText(), all);
        }
    }

    private void Write(IBufferWriter<byte> output, AnswerHead? head, ReadOnlySpan<byte> sluiceMembers)
    {
        var last = _last ?? WriteHead(head);
        var root = new JsonObjectText();
        root.Read(last, 0);
        if (isGenerate)
        {
            Set(root, last, "response", Quote(_text));
            Set(root, last, "thinking", _thinking.Length > 0 ? Quote(_thinking) : null);
            Set(root, last, "tool_calls", ListOf(_calls));
        }
        else
        {
            Set(root, last, "message", WriteMessage());
        }
        Set(root, last, "logprobs", ListOf(_logprobs));
        if (!sluiceMembers.IsEmpty) Set(root, last, "sluice", [.. "{"u8, .. sluiceMembers, .. "}"u8]);
        root.WriteTo(output, last);
    }

    private byte[] WriteMessage()
    {
        var message = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(message, "{\"role\":\"assistant\",\"content\":"u8);
        JsonText.WriteRaw(message, Quote(_text));
        if (_thinking.Length > 0)
        {
            JsonText.WriteRaw(message, ",\"thinking\":"u8);
            JsonText.WriteRaw(message, Quote(_thinking));
        }
        if (ListOf(_calls) is { } calls)
        {
            JsonText.WriteRaw(message, ",\"tool_calls\":"u8);
            JsonText.WriteRaw(message, calls);
        }
        JsonText.WriteRaw(message, "}"u8);
        return message.WrittenSpan.ToArray();
    }

    private static void Set(JsonObjectText root, byte[] line, string name, byte[]? value)
    {
        var found = root.Find(line, Encoding.UTF8.GetBytes(name));
        if (value is null) root.Drop(found);
        else root.Set(found, Encoding.UTF8.GetBytes($"\"{name}\""), value);
    }

    private static byte[] Quote(StringBuilder text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text.ToString());
        return output.WrittenSpan.ToArray();
    }

    private static byte[]? ListOf(ArrayBufferWriter<byte> elements) => elements.WrittenCount == 0 ? null : [.. "["u8, .. elements.WrittenSpan, .. "]"u8];

    private byte[] WriteHead(AnswerHead? head)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(output, OllamaDeltaWriter.StartOf(head?.Model ?? ""));
        OllamaDeltaWriter.WriteTime(output, DateTimeOffset.FromUnixTimeSeconds(head?.Created ?? 0));
        JsonText.WriteRaw(output, isGenerate ? "\",\"response\":\"\",\"done\":false}"u8 : "\",\"message\":{},\"done\":false}"u8);
        return output.WrittenSpan.ToArray();
    }
}
