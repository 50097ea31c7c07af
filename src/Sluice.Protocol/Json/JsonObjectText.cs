using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Sluice.Protocol.Json;

/// <summary>
/// One JSON object of a text, to be written again with some members replaced, dropped or added; every other byte stays. Reused from
/// object to object, and then without allocation. For one thread at a time.
/// </summary>
internal sealed class JsonObjectText
{
    private struct Member
    {
        public int NameStart;
        public int NameEnd;
        public int ValueStart;
        public int ValueEnd;
        public JsonTokenType Type;
        public string? EscapedName;
        public ReadOnlyMemory<byte> Replacement;
        public bool IsReplaced;
        public bool IsDropped;
    }

    // An open stream has five of these: most see a few members, and some none at all.
    private const int MembersMin = 4;

    private readonly List<(ReadOnlyMemory<byte> Name, ReadOnlyMemory<byte> Value)> _added = [];
    private Member[] _members = [];
    private int _start;
    private int _end;

    /// <summary>Members of the object, dropped ones counted and added ones not.</summary>
    public int Count { get; private set; }

    /// <summary>Whether it is to be written otherwise than it was read.</summary>
    public bool IsEdited { get; private set; }

    /// <summary>Takes up the object at <paramref name="start"/>, and forgets the last one.</summary>
    /// <param name="json">The text; what follows the object is not looked at.</param>
    /// <param name="start">Offset of the object, or of white space before it.</param>
    /// <returns>Offset behind the object.</returns>
    /// <exception cref="JsonException">There is no well-formed object.</exception>
    public int Read(ReadOnlySpan<byte> json, int start)
    {
        Count = 0;
        IsEdited = false;
        _added.Clear();
        var reader = new Utf8JsonReader(json[start..], JsonText.Reading);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException("Not an object.");
        _start = start + (int)reader.TokenStartIndex;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (Count == _members.Length) Array.Resize(ref _members, int.Max(MembersMin, 2 * Count));
            ref var member = ref _members[Count++];
            member = default;
            member.NameStart = start + (int)reader.TokenStartIndex;
            member.NameEnd = member.NameStart + reader.ValueSpan.Length + 2;
            if (reader.ValueIsEscaped) member.EscapedName = ReadName(ref reader);
            reader.Read();
            member.Type = reader.TokenType;
            member.ValueStart = start + (int)reader.TokenStartIndex;
            reader.Skip();
            member.ValueEnd = start + (int)reader.BytesConsumed;
        }
        _end = start + (int)reader.BytesConsumed;
        return _end;
    }

    // A name with half of a surrogate pair is nobody's, and stays as it is escaped.
    private static string ReadName(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Encoding.UTF8.GetString(reader.ValueSpan);
        }
    }

    /// <summary>The last member of a name, as parsers that meet one twice take it; -1 when there is none.</summary>
    public int Find(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        for (var i = Count - 1; i >= 0; i--)
        {
            if (IsNamed(json, i, name)) return i;
        }
        return -1;
    }

    /// <summary>Whether member <paramref name="index"/> has the name.</summary>
    public bool IsNamed(ReadOnlySpan<byte> json, int index, ReadOnlySpan<byte> name)
    {
        ref var member = ref _members[index];
        return member.EscapedName is null
            ? json[(member.NameStart + 1)..(member.NameEnd - 1)].SequenceEqual(name)
            : Encoding.UTF8.GetString(name) == member.EscapedName;
    }

    /// <summary>The name of member <paramref name="index"/>.</summary>
    public string Name(ReadOnlySpan<byte> json, int index)
    {
        ref var member = ref _members[index];
        return member.EscapedName ?? Encoding.UTF8.GetString(json[(member.NameStart + 1)..(member.NameEnd - 1)]);
    }

    /// <summary><see cref="JsonTokenType.None"/> for index -1.</summary>
    public JsonTokenType TypeOf(int index) => index < 0 ? JsonTokenType.None : _members[index].Type;

    public int ValueStart(int index) => _members[index].ValueStart;

    /// <summary>The value's bytes as they were read.</summary>
    public ReadOnlySpan<byte> Value(ReadOnlySpan<byte> json, int index) => json[_members[index].ValueStart.._members[index].ValueEnd];

    /// <summary>What is between the quotation marks of the string with that name, as it is escaped; nothing where there is none.</summary>
    public ReadOnlySpan<byte> StringBytes(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var index = Find(json, name);
        return TypeOf(index) == JsonTokenType.String ? Value(json, index)[1..^1] : default;
    }

    /// <summary>The text of a string; null when the member is none, or is not there.</summary>
    public string? Text(ReadOnlySpan<byte> json, int index)
    {
        if (TypeOf(index) != JsonTokenType.String) return null;
        var reader = new Utf8JsonReader(Value(json, index));
        reader.Read();
        return reader.GetString();
    }

    /// <summary>The value of an integer; null when the member is none, or is not there.</summary>
    public long? Integer(ReadOnlySpan<byte> json, int index)
    {
        if (TypeOf(index) != JsonTokenType.Number) return null;
        var reader = new Utf8JsonReader(Value(json, index));
        reader.Read();
        return reader.TryGetInt64(out var value) ? value : null;
    }

    /// <summary>Whether the value says something: no null, and no empty string, array or object.</summary>
    public bool HasSubstance(int index)
    {
        if (index < 0) return false;
        ref var member = ref _members[index];
        return member.Type != JsonTokenType.Null && member.ValueEnd - member.ValueStart > 2;
    }

    /// <summary>Leaves a member out; index -1 is none.</summary>
    public void Drop(int index)
    {
        if (index < 0) return;
        _members[index].IsDropped = true;
        IsEdited = true;
    }

    /// <summary>Leaves out every member of a name but the last, so that nobody can take the first for it.</summary>
    public void DropEarlier(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var last = Find(json, name);
        for (var i = 0; i < last; i++)
        {
            if (IsNamed(json, i, name)) Drop(i);
        }
    }

    /// <summary>Leaves out every member whose name is not among these.</summary>
    public void KeepOnly(ReadOnlySpan<byte> json, IReadOnlyCollection<string> names)
    {
        for (var i = 0; i < Count; i++)
        {
            if (!names.Contains(Name(json, i))) Drop(i);
        }
    }

    /// <summary>Gives a member another value; adds it where the index is -1.</summary>
    /// <param name="index">From <see cref="Find"/>.</param>
    /// <param name="name">The name in quotation marks, for one that is added.</param>
    /// <param name="value">JSON; must not change until the object has been written.</param>
    public void Set(int index, ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value)
    {
        IsEdited = true;
        if (index < 0)
        {
            _added.Add((name, value));
            return;
        }
        _members[index].Replacement = value;
        _members[index].IsReplaced = true;
        _members[index].IsDropped = false;
    }

    /// <summary>Gives a member its own value back.</summary>
    public void Restore(int index) => _members[index].IsReplaced = false;

    /// <summary>Writes the object.</summary>
    public void WriteTo(IBufferWriter<byte> output, ReadOnlySpan<byte> json)
    {
        var cursor = _start;
        var isFirst = true;
        for (var i = 0; i < Count; i++)
        {
            ref var member = ref _members[i];
            if (member.IsDropped)
            {
                cursor = member.ValueEnd;
                continue;
            }
            WriteGap(output, json, cursor, member.NameStart, isFirst);
            isFirst = false;
            if (member.IsReplaced)
            {
                JsonText.WriteRaw(output, json[member.NameStart..member.ValueStart]);
                JsonText.WriteRaw(output, member.Replacement.Span);
            }
            else
            {
                JsonText.WriteRaw(output, json[member.NameStart..member.ValueEnd]);
            }
            cursor = member.ValueEnd;
        }
        if (isFirst) JsonText.WriteRaw(output, "{"u8);
        foreach (var (name, value) in _added)
        {
            if (!isFirst) JsonText.WriteRaw(output, ","u8);
            isFirst = false;
            JsonText.WriteRaw(output, name.Span);
            JsonText.WriteRaw(output, ":"u8);
            JsonText.WriteRaw(output, value.Span);
        }
        JsonText.WriteRaw(output, _added.Count > 0 || Count == 0 || isFirst ? "}"u8 : json[_members[Count - 1].ValueEnd.._end]);
    }

    // What stood before the member: the brace for the first, the comma for another, with their white space.
    private void WriteGap(IBufferWriter<byte> output, ReadOnlySpan<byte> json, int cursor, int nameStart, bool isFirst)
    {
        if (isFirst && cursor != _start) JsonText.WriteRaw(output, "{"u8);
        else JsonText.WriteRaw(output, json[cursor..nameStart]);
    }
}
