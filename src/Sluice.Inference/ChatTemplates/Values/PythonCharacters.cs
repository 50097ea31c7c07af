namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Character classes as Python has them.</summary>
internal static class PythonCharacters
{
    /// <summary>Whitespace; unlike .NET, Python counts the four separators U+001C to U+001F.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    /// <summary>Ends a line for <c>splitlines</c>; "\r\n" is one end.</summary>
    public static bool IsLineEnd(char c) =>
        c is '\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029';

    /// <summary>Length of the text without whitespace at its end.</summary>
    public static int TrimmedEnd(ReadOnlySpan<char> text)
    {
        int end = text.Length;
        while (end > 0 && IsSpace(text[end - 1])) end--;
        return end;
    }

    /// <summary>The first position from <paramref name="position"/> that is not whitespace.</summary>
    public static int SkipSpace(ReadOnlySpan<char> text, int position)
    {
        while (position < text.Length && IsSpace(text[position])) position++;
        return position;
    }
}
