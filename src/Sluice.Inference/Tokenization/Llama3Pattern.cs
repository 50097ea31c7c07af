namespace Sluice.Inference.Tokenization;

/// <summary>
/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+.
/// </summary>
internal static class Llama3Pattern
{
    /// <summary>End of the piece at <paramref name="start"/>.</summary>
    /// <param name="text">The text; its marks may count as letters.</param>
    /// <param name="start">Below <paramref name="limit"/>.</param>
    /// <param name="limit">Where the text counts as ended.</param>
    /// <param name="digitsMax">The n above.</param>
    /// <param name="takesNewLines">Whether line breaks belong to the punctuation before them.</param>
    public static int End(in ScannedText text, int start, int limit, int digitsMax, bool takesNewLines)
    {
        var classes = text.Classes[..limit];
        var contraction = PatternRuns.ContractionEnd(text, start, limit, ignoreCase: true);
        if (contraction > 0)
        {
            return contraction;
        }

        if (classes[start] == CharacterClass.Letter)
        {
            return PatternRuns.RunEnd(classes, start + 1, CharacterClass.Letter);
        }

        if (classes[start] == CharacterClass.Number)
        {
            var end = Math.Min(classes.Length, start + digitsMax);
            return PatternRuns.RunEnd(classes[..end], start + 1, CharacterClass.Number);
        }

        if ((classes[start] & CharacterClass.NewLine) == 0 && start + 1 < classes.Length && classes[start + 1] == CharacterClass.Letter)
        {
            return PatternRuns.RunEnd(classes, start + 2, CharacterClass.Letter);
        }

        var first = text.Ascii(start) == ' ' && start + 1 < classes.Length ? start + 1 : start;
        if (classes[first] == CharacterClass.None)
        {
            var end = PatternRuns.RunEnd(classes, first + 1, CharacterClass.None);
            while (takesNewLines && end < classes.Length && (classes[end] & CharacterClass.NewLine) != 0)
            {
                end++;
            }

            return end;
        }

        return PatternRuns.LineOrSpaceEnd(classes, start);
    }
}
