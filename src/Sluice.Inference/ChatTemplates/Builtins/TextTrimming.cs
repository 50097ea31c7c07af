using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Python's <c>strip</c> and its one-sided forms.</summary>
internal static class TextTrimming
{
    /// <param name="text">What is stripped.</param>
    /// <param name="characters">The characters to strip; null for whitespace.</param>
    /// <param name="atStart">Strip the beginning.</param>
    /// <param name="atEnd">Strip the end.</param>
    public static TextValue Strip(TextValue text, TextValue? characters, bool atStart = true, bool atEnd = true)
    {
        int start = 0;
        int end = text.Length;
        string? set = characters?.Text;
        while (atStart && start < end && WidthAtStart(text.Text, start, set) is > 0 and var width) start += width;
        while (atEnd && end > start && WidthAtEnd(text.Text, end, set) is > 0 and var width) end -= width;
        return text.Slice(start, Math.Max(0, end - start));
    }

    private static int WidthAtStart(string text, int index, string? set)
    {
        if (set is null) return PythonCharacters.IsSpace(text[index]) ? 1 : 0;
        int width = index + 1 < text.Length && char.IsSurrogatePair(text[index], text[index + 1]) ? 2 : 1;
        return set.AsSpan().IndexOf(text.AsSpan(index, width)) >= 0 ? width : 0;
    }

    private static int WidthAtEnd(string text, int end, string? set)
    {
        if (set is null) return PythonCharacters.IsSpace(text[end - 1]) ? 1 : 0;
        int width = end > 1 && char.IsSurrogatePair(text[end - 2], text[end - 1]) ? 2 : 1;
        return set.AsSpan().IndexOf(text.AsSpan(end - width, width)) >= 0 ? width : 0;
    }
}
