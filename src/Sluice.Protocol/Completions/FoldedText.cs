using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Completions;

/// <summary>One choice of a <see cref="CompletionFold"/>.</summary>
internal sealed class FoldedText
{
    private readonly StringBuilder _text = new();
    private readonly FoldedMembers _members = new(Pieces.Restated, "index", "text", "logprobs", "finish_reason");

    // The arrays of log probabilities by their names: their elements as they came, joined by commas.
    private readonly OrderedDictionary<string, StringBuilder> _logprobs = new(StringComparer.Ordinal);
    private string? _finishReason;

    /// <summary>Whether the finish has come.</summary>
    public bool IsFinished => _finishReason is not null;

    /// <summary>Adds one element of a chunk's <c>choices</c>.</summary>
    public void Add(JsonElement choice)
    {
        if (choice.TryGetProperty("text"u8, out var text) && text.ValueKind != JsonValueKind.Null) _text.Append(JsonStrings.Read(text));
        if (choice.TryGetProperty("logprobs"u8, out var logprobs) && logprobs.ValueKind == JsonValueKind.Object) AddLogprobs(logprobs);
        if (choice.TryGetProperty("finish_reason"u8, out var reason) && reason.ValueKind == JsonValueKind.String) _finishReason = reason.GetString();
        _members.Add(choice);
    }

    /// <summary>Writes one element of the completion's <c>choices</c>.</summary>
    public void WriteTo(IBufferWriter<byte> output, int index)
    {
        JsonText.WriteRaw(output, "{\"index\":"u8);
        JsonText.WriteInteger(output, index);
        JsonText.WriteRaw(output, ",\"text\":"u8);
        JsonText.WriteStringOrNull(output, _text.ToString());
        JsonText.WriteRaw(output, ",\"logprobs\":"u8);
        if (_logprobs.Count == 0)
        {
            JsonText.WriteRaw(output, "null"u8);
        }
        else
        {
            var separator = "{"u8;
            foreach (var (name, elements) in _logprobs)
            {
                JsonText.WriteRaw(output, separator);
                separator = ","u8;
                JsonText.WriteStringOrNull(output, name);
                JsonText.WriteRaw(output, ":["u8);
                Encoding.UTF8.GetBytes(elements.ToString(), output);
                JsonText.WriteRaw(output, "]"u8);
            }

            JsonText.WriteRaw(output, "}"u8);
        }

        JsonText.WriteRaw(output, ",\"finish_reason\":"u8);
        JsonText.WriteStringOrNull(output, _finishReason);
        _members.WriteTo(output);
        JsonText.WriteRaw(output, "}"u8);
    }

    private void AddLogprobs(JsonElement logprobs)
    {
        foreach (var member in logprobs.EnumerateObject())
        {
            if (member.Value.ValueKind != JsonValueKind.Array) continue;
            if (!_logprobs.TryGetValue(member.Name, out var elements)) _logprobs.Add(member.Name, elements = new StringBuilder());
            foreach (var element in member.Value.EnumerateArray())
            {
                if (elements.Length > 0) elements.Append(',');
                elements.Append(element.GetRawText());
            }
        }
    }
}
