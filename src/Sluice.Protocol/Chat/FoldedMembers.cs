using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>The members of an object that a fold doesn't know, put together from all chunks: see <see cref="FoldedValue"/>.</summary>
/// <param name="pieces">How what different chunks say relates.</param>
/// <param name="known">Names that somebody else takes care of.</param>
internal sealed class FoldedMembers(Pieces pieces, params string[] known)
{
    private readonly OrderedDictionary<string, FoldedValue> _members = new(StringComparer.Ordinal);

    public bool IsEmpty => _members.Count == 0;

    public bool Contains(string name) => _members.ContainsKey(name);

    /// <summary>Adds the members of one chunk's object.</summary>
    public void Add(JsonElement element) => FoldedValue.AddMembers(_members, element, pieces, known);

    /// <summary>Removes an object, to be written by the caller; null if there is none.</summary>
    public FoldedValue? Take(string name) =>
        _members.TryGetValue(name, out var member) && member.Kind == JsonValueKind.Object && _members.Remove(name) ? member : null;

    /// <summary>Writes every member behind a comma.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        foreach (var (name, member) in _members)
        {
            JsonText.WriteRaw(output, ","u8);
            JsonText.WriteStringOrNull(output, name);
            JsonText.WriteRaw(output, ":"u8);
            member.WriteTo(output);
        }
    }
}
