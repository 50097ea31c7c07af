using System.Globalization;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Three passes: \p{N}{1,3}; runs of U+4E00 to U+9FA5, Hiragana and Katakana; and between them, with A for ASCII punctuation and symbols,
/// A[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+, the rest as pieces.
/// </summary>
internal static class DeepSeekPattern
{
    /// <summary>End of the piece at <paramref name="start"/>.</summary>
    /// <param name="text">The text; its marks count as letters.</param>
    /// <param name="start">Below <paramref name="limit"/>, and no digit.</param>
    /// <param name="limit">Where the next digit stands, or the end.</param>
    public static int End(in ScannedText text, int start, int limit)
    {
        var end = start;
        while (end < limit && IsIdeograph(text.CodePoint(end))) end++;
        if (end > start) return end;
        while (end < limit && !IsIdeograph(text.CodePoint(end))) end++;
        return RestEnd(text, start, end);
    }

    private static int RestEnd(in ScannedText text, int start, int limit)
    {
        var classes = text.Classes[..limit];
        if (start + 1 < limit && IsAsciiSign(text.Ascii(start)) && char.IsAsciiLetter((char)text.Ascii(start + 1)))
        {
            var end = start + 2;
            while (end < limit && char.IsAsciiLetter((char)text.Ascii(end))) end++;
            return end;
        }

        if (classes[start] == CharacterClass.Letter)
        {
            return PatternRuns.RunEnd(classes, start + 1, CharacterClass.Letter);
        }

        if (LeadsWord(text, classes, start))
        {
            return PatternRuns.RunEnd(classes, start + 2, CharacterClass.Letter);
        }

        var first = text.Ascii(start) == ' ' && start + 1 < limit ? start + 1 : start;
        if (IsSign(text, first))
        {
            var end = first + 1;
            while (end < limit && IsSign(text, end)) end++;
            while (end < limit && (classes[end] & CharacterClass.NewLine) != 0) end++;
            return end;
        }

        if ((classes[start] & CharacterClass.WhiteSpace) != 0)
        {
            return PatternRuns.LineOrSpaceEnd(classes, start);
        }

        // Control and format characters and the like: all of them up to where something matches.
        var rest = start + 1;
        while (rest < limit && classes[rest] == CharacterClass.None && !IsSign(text, rest) && !LeadsWord(text, classes, rest)) rest++;
        return rest;
    }

    // A sign that a word may take with it: white space, or what is neither punctuation nor symbol.
    private static bool LeadsWord(in ScannedText text, ReadOnlySpan<CharacterClass> classes, int index) =>
        index + 1 < classes.Length && classes[index + 1] == CharacterClass.Letter && (classes[index] & CharacterClass.NewLine) == 0 && !IsSign(text, index);

    private static bool IsSign(in ScannedText text, int index) => text.Category(index) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherSymbol;

    private static bool IsAsciiSign(byte b) => b is > (byte)' ' and < 0x7F && !char.IsAsciiLetterOrDigit((char)b);

    private static bool IsIdeograph(int codePoint) => codePoint is (>= 0x4E00 and <= 0x9FA5) or (>= 0x3040 and <= 0x30FF);
}
