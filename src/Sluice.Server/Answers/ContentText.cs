using System.Text;
using System.Text.Json;

namespace Sluice.Server.Answers;

/// <summary>
/// Writes messages as OpenTelemetry's conventions for generative AI have them, within a number of bytes: texts are cut between characters, what
/// comes after the last byte is left out, and what is there stays JSON.
/// </summary>
internal sealed class ContentText : IDisposable
{
    // Names, braces and quotation marks of a part, roughly.
    private const int PartBytes = 48;

    private readonly MemoryStream _bytes = new();
    private readonly Utf8JsonWriter _json;
    private long _left;

    /// <param name="bytesMax">Of all texts, and what stands around them.</param>
    public ContentText(int bytesMax)
    {
        _left = bytesMax;
        _json = new Utf8JsonWriter(_bytes, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        _json.WriteStartArray();
    }

    /// <summary>Whether anything was left out.</summary>
    public bool IsCut { get; private set; }

    /// <summary>Whether nothing was written.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <summary>Begins a message; false where there is no room for one.</summary>
    public bool TryBeginMessage(string role)
    {
        if (!TryTake(PartBytes)) return false;
        _json.WriteStartObject();
        _json.WriteString("role"u8, role);
        _json.WriteStartArray("parts"u8);
        return true;
    }

    /// <summary>Ends a message.</summary>
    /// <param name="finishReason">Of an answer; null for none.</param>
    public void EndMessage(string? finishReason = null)
    {
        _json.WriteEndArray();
        if (finishReason is not null) _json.WriteString("finish_reason"u8, finishReason);
        _json.WriteEndObject();
    }

    /// <summary>A part with a text.</summary>
    /// <param name="type">Such as <c>text</c> or <c>reasoning</c>.</param>
    /// <param name="text">Null or empty for no part.</param>
    public void AddText(string type, string? text)
    {
        if (string.IsNullOrEmpty(text) || !TryTake(PartBytes)) return;
        _json.WriteStartObject();
        _json.WriteString("type"u8, type);
        WriteText("content", text);
        _json.WriteEndObject();
    }

    /// <summary>A part that is no text, and is left out but for what it is.</summary>
    public void AddMedia(string type)
    {
        IsCut = true;
        if (!TryTake(PartBytes)) return;
        _json.WriteStartObject();
        _json.WriteString("type"u8, type.Length > 64 ? "unknown" : type);
        _json.WriteEndObject();
    }

    /// <summary>A call of a tool.</summary>
    public void AddCall(string? id, string? name, string? arguments)
    {
        if (!TryTake(PartBytes + (id?.Length ?? 0) + (name?.Length ?? 0))) return;
        _json.WriteStartObject();
        _json.WriteString("type"u8, "tool_call"u8);
        if (id is not null) _json.WriteString("id"u8, id);
        _json.WriteString("name"u8, name);
        WriteText("arguments", arguments ?? "");
        _json.WriteEndObject();
    }

    /// <summary>What a tool has said.</summary>
    public void AddResponse(string? id, string? response)
    {
        if (!TryTake(PartBytes + (id?.Length ?? 0))) return;
        _json.WriteStartObject();
        _json.WriteString("type"u8, "tool_call_response"u8);
        if (id is not null) _json.WriteString("id"u8, id);
        WriteText("response", response ?? "");
        _json.WriteEndObject();
    }

    /// <summary>A value as it is, or not at all: half a schema is none.</summary>
    public void AddValue(JsonElement value)
    {
        var text = value.GetRawText();
        if (TryTake(Encoding.UTF8.GetByteCount(text))) _json.WriteRawValue(text);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _json.Dispose();
        _bytes.Dispose();
    }

    /// <summary>All of it, an array.</summary>
    public override string ToString()
    {
        _json.WriteEndArray();
        _json.Flush();
        return Encoding.UTF8.GetString(_bytes.ToArray());
    }

    private void WriteText(string name, string text)
    {
        var length = text.Length;
        if (Encoding.UTF8.GetByteCount(text) > _left)
        {
            // A character has a byte at least, and at most four in two places.
            length = (int)long.Min(length, _left);
            while (length > 0 && Encoding.UTF8.GetByteCount(text.AsSpan(0, length)) > _left) length -= int.Max(1, (int)((Encoding.UTF8.GetByteCount(text.AsSpan(0, length)) - _left) / 4));
            if (length > 0 && char.IsHighSurrogate(text[length - 1])) length--;
            IsCut = true;
        }
        _left -= Encoding.UTF8.GetByteCount(text.AsSpan(0, length));
        _json.WriteString(name, text.AsSpan(0, length));
    }

    private bool TryTake(int bytes)
    {
        if (bytes > _left)
        {
            IsCut = true;
            return false;
        }
        _left -= bytes;
        IsEmpty = false;
        return true;
    }
}
