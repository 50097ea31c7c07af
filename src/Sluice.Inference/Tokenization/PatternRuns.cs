namespace Sluice.Inference.Tokenization;

/// <summary>What the patterns have in common.</summary>
internal static class PatternRuns
{
    /// <summary>End of a contraction such as <c>'re</c>, or 0.</summary>
    public static int ContractionEnd(in ScannedText text, int start, int limit, bool ignoreCase)
    {
        if (text.Ascii(start) != '\'' || start + 1 >= limit)
        {
            return 0;
        }

        var fold = ignoreCase ? 0x20 : 0;
        var first = FoldCase(text.Ascii(start + 1), fold);
        if (first is 's' or 't' or 'm' or 'd')
        {
            return start + 2;
        }

        if (start + 2 >= limit)
        {
            return 0;
        }

        var second = FoldCase(text.Ascii(start + 2), fold);
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? start + 3 : 0;
    }

    private static char FoldCase(byte ascii, int fold) => (char)(ascii is >= (byte)'A' and <= (byte)'Z' ? ascii | fold : ascii);

    /// <summary>First code point from <paramref name="start"/> on that is of another class.</summary>
    public static int RunEnd(ReadOnlySpan<CharacterClass> classes, int start, CharacterClass kind)
    {
        var length = classes[start..].IndexOfAnyExcept(kind);
        return length < 0 ? classes.Length : start + length;
    }

    private static int WhiteSpaceRunEnd(ReadOnlySpan<CharacterClass> classes, int start)
    {
        var length = classes[start..].IndexOfAnyExcept(CharacterClass.WhiteSpace, CharacterClass.WhiteSpace | CharacterClass.NewLine);
        return length < 0 ? classes.Length : start + length;
    }

    /// <summary>\s*[\r\n]+|\s+(?!\S)|\s+ at white space: up to the last line break, else as <see cref="WhiteSpaceEnd"/>.</summary>
    public static int LineOrSpaceEnd(ReadOnlySpan<CharacterClass> classes, int start)
    {
        for (var end = WhiteSpaceRunEnd(classes, start); end > start; end--)
        {
            if ((classes[end - 1] & CharacterClass.NewLine) != 0)
            {
                return end;
            }
        }

        return WhiteSpaceEnd(classes, start);
    }

    /// <summary>\s+(?!\S)|\s+: the last white space before something else goes with that.</summary>
    public static int WhiteSpaceEnd(ReadOnlySpan<CharacterClass> classes, int start)
    {
        var end = WhiteSpaceRunEnd(classes, start);
        return end < classes.Length && end > start + 1 ? end - 1 : end;
    }
}
