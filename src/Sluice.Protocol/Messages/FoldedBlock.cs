using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>One block of a message that is folded: what it began as, and what was added to it.</summary>
/// <param name="index">Its number.</param>
/// <param name="start">The block of its first event.</param>
internal sealed class FoldedBlock(long index, byte[] start)
{
    // Texts as they are escaped: together they are the text of the whole, also where a pair of surrogates came in two pieces.
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly ArrayBufferWriter<byte> _thinking = new();
    private readonly ArrayBufferWriter<byte> _input = new();
    private readonly ArrayBufferWriter<byte> _citations = new();
    private readonly JsonObjectText _delta = new();
    private byte[]? _signature;

    public long Index => index;

    /// <param name="json">An event.</param>
    /// <param name="at">Where its delta begins.</param>
    public void Add(ReadOnlySpan<byte> json, int at)
    {
        _delta.Read(json, at);
        switch (_delta.Text(json, _delta.Find(json, "type"u8)))
        {
            case "text_delta":
                JsonText.WriteRaw(_text, _delta.StringBytes(json, "text"u8));
                break;
            case "thinking_delta":
                JsonText.WriteRaw(_thinking, _delta.StringBytes(json, "thinking"u8));
                break;
            case "input_json_delta":
                JsonText.WriteRaw(_input, _delta.StringBytes(json, "partial_json"u8));
                break;
            case "signature_delta":
                _signature = [.. "\""u8, .. _delta.StringBytes(json, "signature"u8), .. "\""u8];
                break;
            case "citations_delta" when _delta.Find(json, "citation"u8) is >= 0 and var citation:
                if (_citations.WrittenCount > 0) JsonText.WriteRaw(_citations, ","u8);
                JsonText.WriteRaw(_citations, _delta.Value(json, citation));
                break;
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        var block = new JsonObjectText();
        block.Read(start, 0);
        SetText(block, "text"u8, "\"text\""u8.ToArray(), _text);
        SetText(block, "thinking"u8, "\"thinking\""u8.ToArray(), _thinking);
        if (_signature is not null) block.Set(block.Find(start, "signature"u8), "\"signature\""u8.ToArray(), _signature);
        if (_citations.WrittenCount > 0)
            block.Set(block.Find(start, "citations"u8), "\"citations\""u8.ToArray(), (byte[])[.. "["u8, .. _citations.WrittenSpan, .. "]"u8]);
        if (_input.WrittenCount > 0) block.Set(block.Find(start, "input"u8), "\"input\""u8.ToArray(), ReadInput());
        block.WriteTo(output, start);
    }

    private void SetText(JsonObjectText block, ReadOnlySpan<byte> name, byte[] quoted, ArrayBufferWriter<byte> more)
    {
        if (more.WrittenCount == 0) return;
        block.Set(block.Find(start, name), quoted, (byte[])[.. "\""u8, .. block.StringBytes(start, name), .. more.WrittenSpan, .. "\""u8]);
    }

    // A call that was cut off has no input that anybody could use; the reason of the end says why.
    private ReadOnlyMemory<byte> ReadInput()
    {
        try
        {
            var quoted = new Utf8JsonReader((byte[])[.. "\""u8, .. _input.WrittenSpan, .. "\""u8]);
            quoted.Read();
            var json = new byte[_input.WrittenCount];
            var text = json.AsMemory(0, quoted.CopyString(json));
            var reader = new Utf8JsonReader(text.Span, JsonText.Reading);
            while (reader.Read())
            {
            }
            return text;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return "{}"u8.ToArray();
        }
    }
}
