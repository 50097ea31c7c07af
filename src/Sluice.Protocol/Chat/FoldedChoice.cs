using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>One choice of a <see cref="ChatCompletionFold"/>.</summary>
internal sealed class FoldedChoice
{
    private readonly StringBuilder _content = new();
    private readonly StringBuilder _refusal = new();

    // Elements as they came, joined by commas.
    private readonly StringBuilder _contentLogprobs = new();
    private readonly StringBuilder _refusalLogprobs = new();
    private readonly FoldedToolCalls _tools = new();
    private readonly FoldedMembers _deltaMembers = new(Pieces.Continued, "role", "content", "refusal", "tool_calls", "function_call");
    private readonly FoldedMembers _members = new(Pieces.Restated, "index", "delta", "logprobs", "finish_reason");

    // The older form of log probabilities, and whatever else stands beside them.
    private readonly FoldedMembers _logprobMembers = new(Pieces.Appended, "content", "refusal");
    private bool _hasContent;
    private bool _hasRefusal;
    private bool _hasContentLogprobs;
    private bool _hasRefusalLogprobs;
    private string? _finishReason;

    /// <summary>Whether the finish chunk has come.</summary>
    public bool IsFinished => _finishReason is not null;

    /// <summary>Adds one element of a chunk's <c>choices</c>.</summary>
    public void Add(JsonElement choice)
    {
        var delta = choice.GetProperty("delta"u8);
        _hasContent |= Append(delta, "content"u8, _content);
        _hasRefusal |= Append(delta, "refusal"u8, _refusal);
        _tools.Add(delta);
        _deltaMembers.Add(delta);
        _members.Add(choice);
        if (choice.TryGetProperty("logprobs"u8, out var logprobs) && logprobs.ValueKind == JsonValueKind.Object)
        {
            _hasContentLogprobs |= AppendElements(logprobs, "content"u8, _contentLogprobs);
            _hasRefusalLogprobs |= AppendElements(logprobs, "refusal"u8, _refusalLogprobs);
            _logprobMembers.Add(logprobs);
        }

        if (choice.TryGetProperty("finish_reason"u8, out var reason) && reason.ValueKind == JsonValueKind.String)
        {
            _finishReason = reason.GetString();
        }
    }

    /// <summary>Writes one element of the completion's <c>choices</c>.</summary>
    public void WriteTo(IBufferWriter<byte> output, int index)
    {
        JsonText.WriteRaw(output, "{\"index\":"u8);
        JsonText.WriteInteger(output, index);
        JsonText.WriteRaw(output, ",\"message\":{\"role\":\"assistant\",\"content\":"u8);
        // A call alone has no content; the empty text of its role chunk is not one.
        JsonText.WriteStringOrNull(output, _hasContent && !(_tools.HasCalls && _content.Length == 0) ? _content.ToString() : null);
        JsonText.WriteRaw(output, ",\"refusal\":"u8);
        JsonText.WriteStringOrNull(output, _hasRefusal ? _refusal.ToString() : null);
        _tools.WriteTo(output);
        if (!_deltaMembers.Contains("annotations")) JsonText.WriteRaw(output, ",\"annotations\":[]"u8);
        _deltaMembers.WriteTo(output);
        JsonText.WriteRaw(output, "},\"logprobs\":"u8);
        if (_hasContentLogprobs || _hasRefusalLogprobs || !_logprobMembers.IsEmpty)
        {
            JsonText.WriteRaw(output, "{\"content\":"u8);
            WriteElements(output, _hasContentLogprobs, _contentLogprobs);
            JsonText.WriteRaw(output, ",\"refusal\":"u8);
            WriteElements(output, _hasRefusalLogprobs, _refusalLogprobs);
            _logprobMembers.WriteTo(output);
            JsonText.WriteRaw(output, "}"u8);
        }
        else
        {
            JsonText.WriteRaw(output, "null"u8);
        }

        JsonText.WriteRaw(output, ",\"finish_reason\":"u8);
        JsonText.WriteStringOrNull(output, _finishReason);
        _members.WriteTo(output);
        JsonText.WriteRaw(output, "}"u8);
    }

    private static bool Append(JsonElement delta, ReadOnlySpan<byte> name, StringBuilder text)
    {
        if (!delta.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return false;
        text.Append(JsonStrings.Read(value));
        return true;
    }

    private static bool AppendElements(JsonElement logprobs, ReadOnlySpan<byte> name, StringBuilder elements)
    {
        if (!logprobs.TryGetProperty(name, out var list) || list.ValueKind == JsonValueKind.Null) return false;
        foreach (var element in list.EnumerateArray())
        {
            if (elements.Length > 0) elements.Append(',');
            elements.Append(element.GetRawText());
        }

        return true;
    }

    private static void WriteElements(IBufferWriter<byte> output, bool isThere, StringBuilder elements)
    {
        if (!isThere)
        {
            JsonText.WriteRaw(output, "null"u8);
            return;
        }

        JsonText.WriteRaw(output, "["u8);
        Encoding.UTF8.GetBytes(elements.ToString(), output);
        JsonText.WriteRaw(output, "]"u8);
    }
}
