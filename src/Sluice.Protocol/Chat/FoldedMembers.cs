using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>
/// The members that a fold does not know: texts that come in a delta are joined, arrays too, and of everything else the last counts.
/// </summary>
/// <param name="known">Names that somebody else takes care of.</param>
internal sealed class FoldedMembers(string[] known)
{
    private sealed class Member
    {
        public JsonValueKind Kind;

        // Text of a string; elements of an array, joined by commas; JSON of anything else.
        public StringBuilder Text { get; } = new();
    }

    // Names that a text states anew in each chunk, rather than going on.
    private static readonly string[] s_constants = ["provider", "type", "id", "native_finish_reason", "stop_reason", "signature", "format"];
    private readonly OrderedDictionary<string, Member> _members = new(StringComparer.Ordinal);

    public bool Contains(string name) => _members.ContainsKey(name);

    public void Add(JsonElement element)
    {
        foreach (var property in element.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.Null || known.Contains(property.Name)) continue;
            if (!_members.TryGetValue(property.Name, out var member)) _members.Add(property.Name, member = new Member());
            Add(member, property);
        }
    }

    /// <summary>The JSON of an object, which is not written any more; null where there is none.</summary>
    public string? Take(string name) =>
        _members.TryGetValue(name, out var member) && member.Kind == JsonValueKind.Object && _members.Remove(name) ? member.Text.ToString() : null;

    public void WriteTo(IBufferWriter<byte> output)
    {
        foreach (var (name, member) in _members)
        {
            JsonText.WriteRaw(output, ","u8);
            JsonText.WriteStringOrNull(output, name);
            JsonText.WriteRaw(output, ":"u8);
            if (member.Kind == JsonValueKind.String)
            {
                JsonText.WriteStringOrNull(output, member.Text.ToString());
                continue;
            }
            if (member.Kind == JsonValueKind.Array) JsonText.WriteRaw(output, "["u8);
            Encoding.UTF8.GetBytes(member.Text.ToString(), output);
            if (member.Kind == JsonValueKind.Array) JsonText.WriteRaw(output, "]"u8);
        }
    }

    private static void Add(Member member, JsonProperty property)
    {
        var value = property.Value;
        var goesOn = member.Kind == value.ValueKind && !s_constants.Contains(property.Name);
        member.Kind = value.ValueKind;
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                if (!goesOn) member.Text.Clear();
                member.Text.Append(value.GetString());
                return;
            case JsonValueKind.Array:
                if (!goesOn) member.Text.Clear();
                foreach (var element in value.EnumerateArray())
                {
                    if (member.Text.Length > 0) member.Text.Append(',');
                    member.Text.Append(element.GetRawText());
                }
                return;
            // The hub's own object, of which different chunks have different members.
            case JsonValueKind.Object when goesOn && property.Name == "sluice":
                var (old, more) = (member.Text.ToString(), value.GetRawText()[1..^1]);
                if (!old.Contains(more, StringComparison.Ordinal)) member.Text.Clear().Append(old.AsSpan(0, old.Length - 1)).Append(',').Append(more).Append('}');
                return;
            default:
                member.Text.Clear().Append(value.GetRawText());
                return;
        }
    }
}
