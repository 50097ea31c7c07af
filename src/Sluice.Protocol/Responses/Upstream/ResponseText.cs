using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// The object of a response as it is passed on: its id is the hub's, its model has the name that was asked for, how it is kept is as the
/// client asked the hub, and what is missing is made up. Every other byte is the upstream's. For one answer, and for one thread at a time.
/// </summary>
/// <param name="answer">What is known of the answer.</param>
internal sealed class ResponseText(RelayOptions answer)
{
    private readonly JsonObjectText _object = new();
    private readonly List<(string Name, byte[] Value, bool IsAdded)> _kept = ReadKept(answer.Body.Span);
    private readonly SortedDictionary<long, byte[]> _items = [];

    /// <summary>Usage as the last object has stated it; null before.</summary>
    public AnswerUsage? Usage { get; private set; }

    /// <summary>Keeps an item, for an object that doesn't repeat it.</summary>
    public void AddItem(long index, ReadOnlySpan<byte> json)
    {
        if (ItemBytes + json.Length > ProtocolLimits.CompletionBytesMax) return;
        ItemBytes += json.Length;
        _items[index] = json.ToArray();
    }

    /// <summary>Bytes of all items so far.</summary>
    public long ItemBytes { get; private set; }

    /// <summary>Writes an object.</summary>
    /// <param name="json">A text.</param>
    /// <param name="start">Offset of the object in it.</param>
    /// <param name="isEnd">Whether the answer is over, so that it has items and usage.</param>
    /// <exception cref="JsonException">It is not an object.</exception>
    public ReadOnlyMemory<byte> Edit(ReadOnlySpan<byte> json, int start, bool isEnd)
    {
        _object.Read(json, start);
        SetText(json, "id"u8, answer.Id);
        var model = _object.Find(json, "model"u8);
        if (!answer.KeepsUpstreamModel || !_object.HasSubstance(model)) SetText(json, "model"u8, answer.Model);
        if (!answer.KeepsUpstreamCreated)
        {
            var created = Encoding.ASCII.GetBytes(answer.Created.ToString(CultureInfo.InvariantCulture));
            _object.Set(_object.Find(json, "created_at"u8), "\"created_at\""u8.ToArray(), created);
        }
        foreach (var (name, value, isAdded) in _kept)
        {
            var member = _object.Find(json, Encoding.ASCII.GetBytes(name));
            if (member < 0 ? isAdded : !_object.Value(json, member).SequenceEqual(value)) _object.Set(member, Encoding.ASCII.GetBytes($"\"{name}\""), value);
        }
        if (isEnd) EditEnd(json);
        var output = new ArrayBufferWriter<byte>();
        _object.WriteTo(output, json);
        return output.WrittenMemory;
    }

    // Upstreams keep nothing, know no earlier answer, and have not seen what the hub has left out.
    private static List<(string Name, byte[] Value, bool IsAdded)> ReadKept(ReadOnlySpan<byte> body)
    {
        var kept = new List<(string, byte[], bool)>();
        if (body.IsEmpty) return kept;
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        var root = new JsonObjectText();
        root.Read(body, 0);
        kept.Add(("store", root.TypeOf(root.Find(body, "store"u8)) == JsonTokenType.False ? "false"u8.ToArray() : "true"u8.ToArray(), false));
        kept.Add(("background", root.TypeOf(root.Find(body, "background"u8)) == JsonTokenType.True ? "true"u8.ToArray() : "false"u8.ToArray(), false));
        var previous = root.Find(body, "previous_response_id"u8);
        if (root.TypeOf(previous) == JsonTokenType.String) kept.Add(("previous_response_id", root.Value(body, previous).ToArray(), true));
        var ours = root.Find(body, "sluice"u8);
        if (root.TypeOf(ours) == JsonTokenType.StartObject && ResponsesTruncation.FindDropped(body) > 0)
            kept.Add(("sluice", root.Value(body, ours).ToArray(), true));
        return kept;
    }

    private void EditEnd(ReadOnlySpan<byte> json)
    {
        var items = _object.Find(json, "output"u8);
        if (_items.Count > 0 && (_object.TypeOf(items) != JsonTokenType.StartArray || IsEmpty(_object.Value(json, items)))) _object.Set(items, "\"output\""u8.ToArray(), JoinItems());
        var usage = _object.Find(json, "usage"u8);
        if (_object.TypeOf(usage) != JsonTokenType.StartObject) return;
        var reader = new Utf8JsonReader(_object.Value(json, usage), JsonText.Reading);
        using (var document = JsonDocument.ParseValue(ref reader)) Usage = ResponsesUsage.Read(document.RootElement) ?? Usage;
        if (ResponsesUsageText.Complete(json, _object.ValueStart(usage)) is { } completed) _object.Set(usage, default, completed);
    }

    private static bool IsEmpty(ReadOnlySpan<byte> array) => array[1..^1].Trim(" \t\r\n"u8).IsEmpty;

    private ReadOnlyMemory<byte> JoinItems()
    {
        var joined = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(joined, "["u8);
        foreach (var item in _items.Values)
        {
            if (joined.WrittenCount > 1) JsonText.WriteRaw(joined, ","u8);
            JsonText.WriteRaw(joined, item);
        }
        JsonText.WriteRaw(joined, "]"u8);
        return joined.WrittenMemory;
    }

    private void SetText(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, string text)
    {
        var value = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(value, text);
        _object.Set(_object.Find(json, name), Encoding.ASCII.GetBytes($"\"{Encoding.ASCII.GetString(name)}\""), value.WrittenMemory);
    }
}
