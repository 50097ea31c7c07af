namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>
/// Indexes a string by code points, as Python does, while it stays stored in UTF-16. A lone surrogate counts as one.
/// </summary>
internal sealed class CodePoints
{
    private readonly string _text;

    // Start of each code point; null when every unit is a code point.
    private readonly List<int>? _starts;

    public CodePoints(string text)
    {
        _text = text;
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return;
        _starts = [];
        for (int i = 0; i < text.Length; i += WidthAt(i))
        {
            _starts.Add(i);
        }
    }

    public int Count => _starts?.Count ?? _text.Length;

    public static int CountOf(string text) =>
        text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') ? new CodePoints(text).Count : text.Length;

    /// <summary>UTF-16 index of a code point; the text's length for the index one past the last.</summary>
    public int OffsetOf(int index) => _starts is null ? index : index == _starts.Count ? _text.Length : _starts[index];

    /// <summary>Number of code points before a UTF-16 index.</summary>
    public int IndexAt(int offset)
    {
        if (_starts is null) return offset;
        int found = _starts.BinarySearch(offset);
        return found < 0 ? ~found : found;
    }

    public TextValue Get(TextValue text, int index) => text.Slice(OffsetOf(index), OffsetOf(index + 1) - OffsetOf(index));

    /// <summary>Orders by code points, not by UTF-16 units.</summary>
    public static int Compare(string left, string right)
    {
        int common = left.AsSpan().CommonPrefixLength(right);
        if (common == left.Length || common == right.Length) return left.Length.CompareTo(right.Length);
        char a = left[common];
        char b = right[common];
        return char.IsSurrogate(a) == char.IsSurrogate(b) ? a.CompareTo(b) : char.IsSurrogate(a) && b >= 0xE000 ? 1
            : char.IsSurrogate(b) && a >= 0xE000 ? -1 : a.CompareTo(b);
    }

    private int WidthAt(int index) =>
        char.IsHighSurrogate(_text[index]) && index + 1 < _text.Length && char.IsLowSurrogate(_text[index + 1]) ? 2 : 1;
}
