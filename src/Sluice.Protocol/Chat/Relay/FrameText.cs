using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>One frame as the hub writes it, taken apart. Reused from frame to frame. For one thread at a time.</summary>
internal sealed class FrameText
{
    private static ReadOnlySpan<byte> Prefix => "data: "u8;

    private readonly JsonArrayText _elements = new();
    private readonly ArrayBufferWriter<byte> _json = new();
    private readonly ArrayBufferWriter<byte> _text = new();
    private int _choices;

    /// <summary>The chunk.</summary>
    public ReadOnlySpan<byte> Json => _json.WrittenSpan;

    public JsonObjectText Root { get; } = new();

    /// <summary>Of the last <see cref="ReadChoice"/>.</summary>
    public JsonObjectText Choice { get; } = new();

    /// <summary>Of the last <see cref="ReadChoice"/>.</summary>
    public JsonObjectText Delta { get; } = new();

    public int ChoiceCount => _elements.Count;

    /// <summary>Whether the last choice that was read carries its finish reason.</summary>
    public bool HasFinish => Choice.TypeOf(Choice.Find(Json, "finish_reason"u8)) == JsonTokenType.String;

    /// <summary>Takes up an event; false for a comment.</summary>
    /// <exception cref="JsonException">It is no chunk.</exception>
    public bool TryRead(ReadOnlySpan<byte> sseEvent)
    {
        // A comment may stand before the lines of an event, with a blank line of its own.
        while (sseEvent.StartsWith(":"u8)) sseEvent = sseEvent[(sseEvent.IndexOf("\n\n"u8) + 2)..];
        if (!sseEvent.StartsWith(Prefix)) return false;
        _json.ResetWrittenCount();
        _json.Write(sseEvent[Prefix.Length..].TrimEnd((byte)'\n'));
        Root.Read(Json, 0);
        _choices = Root.Find(Json, "choices"u8);
        if (Root.TypeOf(_choices) != JsonTokenType.StartArray) throw new JsonException("Not a chunk.");
        _elements.Read(Json, Root.ValueStart(_choices));
        return true;
    }

    /// <summary>Takes up one choice.</summary>
    /// <returns>Its index.</returns>
    public long ReadChoice(int element)
    {
        Choice.Read(Json, _elements[element].Start);
        var delta = Choice.Find(Json, "delta"u8);
        if (Choice.TypeOf(delta) == JsonTokenType.StartObject) Delta.Read(Json, Choice.ValueStart(delta));
        else Delta.Read("{}"u8, 0);
        return Choice.Integer(Json, Choice.Find(Json, "index"u8)) ?? -1;
    }

    /// <summary>The text of a member of the delta that is a string, UTF-8; valid until the next call.</summary>
    /// <exception cref="InvalidOperationException">It has half of a surrogate pair.</exception>
    public ReadOnlySpan<byte> ReadText(int member)
    {
        var value = Delta.Value(Json, member);
        var reader = new Utf8JsonReader(value);
        reader.Read();
        _text.ResetWrittenCount();
        _text.Advance(reader.CopyString(_text.GetSpan(value.Length)));
        return _text.WrittenSpan;
    }

    /// <summary>Writes the event with the only choice that it has, and its delta, as they have been edited.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        var delta = new ArrayBufferWriter<byte>();
        Delta.WriteTo(delta, Json);
        Choice.Set(Choice.Find(Json, "delta"u8), default, delta.WrittenMemory);
        var choices = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(choices, "["u8);
        Choice.WriteTo(choices, Json);
        JsonText.WriteRaw(choices, "]"u8);
        Root.Set(_choices, default, choices.WrittenMemory);
        JsonText.WriteRaw(output, Prefix);
        Root.WriteTo(output, Json);
        JsonText.WriteRaw(output, "\n\n"u8);
    }
}
