using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>How the pieces of a value relate.</summary>
internal enum Pieces
{
    /// <summary>A piece continues the one before; a list may also come again with all that was in it.</summary>
    Continued,

    /// <summary>A piece continues the one before, and two equal lists are two pieces: log probabilities.</summary>
    Appended,

    /// <summary>A piece replaces the one before, except in lists of numbers: vLLM's <c>token_ids</c>.</summary>
    Restated,
}

/// <summary>
/// A JSON value put together from its pieces in several chunks. In a delta, texts are continued, objects are merged member by member, and
/// lists are merged by the <c>index</c> of their elements, as OpenAI's SDKs do. Outside of a delta, every chunk states a text or a list again,
/// and the last one counts.
/// </summary>
/// <param name="pieces">How they relate.</param>
internal sealed class FoldedValue(Pieces pieces)
{
    // Texts that every piece states again, in deltas too.
    private static readonly string[] s_constants =
        ["id", "type", "format", "signature", "provider", "native_finish_reason", "stop_reason"];

    private readonly StringBuilder _text = new();
    private readonly List<FoldedValue> _elements = [];
    private readonly List<long?> _indexes = [];
    private OrderedDictionary<string, FoldedValue>? _members;
    private string _raw = "null";

    public JsonValueKind Kind { get; private set; } = JsonValueKind.Null;

    /// <summary>Adds the next piece; null adds nothing.</summary>
    /// <param name="value">A piece.</param>
    /// <param name="name">The member's name; empty for an element of a list.</param>
    public void Add(JsonElement value, string name)
    {
        if (value.ValueKind == JsonValueKind.Null) return;
        var continues = Kind == value.ValueKind && pieces != Pieces.Restated;
        Kind = value.ValueKind;
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                if (!continues || s_constants.Contains(name)) _text.Clear();
                _text.Append(JsonStrings.Read(value));
                return;
            case JsonValueKind.Object:
                // The hub's own object has other members in other chunks.
                if (!continues && name != "sluice") _members = null;
                _members ??= new OrderedDictionary<string, FoldedValue>(StringComparer.Ordinal);
                AddMembers(_members, value, pieces, []);
                return;
            case JsonValueKind.Array:
                AddElements(value);
                return;
            default:
                _raw = value.GetRawText();
                return;
        }
    }

    /// <summary>Adds the members of an object to those that are there.</summary>
    public static void AddMembers(OrderedDictionary<string, FoldedValue> members, JsonElement value, Pieces pieces, ReadOnlySpan<string> known)
    {
        foreach (var property in value.EnumerateObject())
        {
            if (known.Contains(property.Name)) continue;
            if (!members.TryGetValue(property.Name, out var member))
            {
                if (property.Value.ValueKind == JsonValueKind.Null) continue;
                members.Add(property.Name, member = new FoldedValue(pieces));
            }

            member.Add(property.Value, property.Name);
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        switch (Kind)
        {
            case JsonValueKind.String:
                JsonText.WriteStringOrNull(output, _text.ToString());
                return;
            case JsonValueKind.Object:
                JsonText.WriteRaw(output, "{"u8);
                WriteMembers(output, isFirst: true);
                JsonText.WriteRaw(output, "}"u8);
                return;
            case JsonValueKind.Array:
                JsonText.WriteRaw(output, "["u8);
                for (var i = 0; i < _elements.Count; i++)
                {
                    if (i > 0) JsonText.WriteRaw(output, ","u8);
                    _elements[i].WriteTo(output);
                }

                JsonText.WriteRaw(output, "]"u8);
                return;
            default:
                Encoding.UTF8.GetBytes(_raw, output);
                return;
        }
    }

    /// <summary>Writes the members of an object without its braces.</summary>
    public void WriteMembers(IBufferWriter<byte> output, bool isFirst)
    {
        foreach (var (name, member) in _members ?? [])
        {
            if (!isFirst) JsonText.WriteRaw(output, ","u8);
            isFirst = false;
            JsonText.WriteStringOrNull(output, name);
            JsonText.WriteRaw(output, ":"u8);
            member.WriteTo(output);
        }
    }

    private void AddElements(JsonElement list)
    {
        var isReplaced = pieces switch
        {
            Pieces.Continued => IsCumulative(list),
            Pieces.Restated => !IsOfNumbers(list),
            _ => false,
        };
        if (isReplaced)
        {
            _elements.Clear();
            _indexes.Clear();
        }

        foreach (var element in list.EnumerateArray())
        {
            var index = element.ValueKind == JsonValueKind.Object && element.TryGetProperty("index"u8, out var number)
                && number.ValueKind == JsonValueKind.Number && number.TryGetInt64(out var value) ? value : (long?)null;
            var at = index is null ? -1 : _indexes.Count - 1;
            while (at >= 0 && (_indexes[at] != index || HasOtherType(_elements[at], element))) at--;
            if (at < 0)
            {
                at = _elements.Count;
                _elements.Add(new FoldedValue(pieces));
                _indexes.Add(index);
            }

            _elements[at].Add(element, "");
        }
    }

    // OpenRouter numbers reasoning and its signature alike: they are one entry for each type.
    private static bool HasOtherType(FoldedValue known, JsonElement element) =>
        known._members is { } members && members.TryGetValue("type", out var type) && type.Kind == JsonValueKind.String
        && element.TryGetProperty("type"u8, out var other) && other.ValueKind == JsonValueKind.String && !other.ValueEquals(type._text.ToString());

    private static bool IsOfNumbers(JsonElement list) => list.GetArrayLength() > 0 && list[0].ValueKind == JsonValueKind.Number;

    // Some lists, such as citations, come again with all that was in them before.
    private bool IsCumulative(JsonElement list)
    {
        if (_elements.Count == 0 || IsOfNumbers(list) || list.GetArrayLength() < _elements.Count) return false;
        var buffer = new ArrayBufferWriter<byte>();
        for (var i = 0; i < _elements.Count; i++)
        {
            buffer.ResetWrittenCount();
            _elements[i].WriteTo(buffer);
            var fresh = new FoldedValue(pieces);
            fresh.Add(list[i], "");
            var other = new ArrayBufferWriter<byte>();
            fresh.WriteTo(other);
            if (!buffer.WrittenSpan.SequenceEqual(other.WrittenSpan)) return false;
        }

        return true;
    }
}
