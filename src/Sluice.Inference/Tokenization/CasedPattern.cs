using System.Globalization;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// With U for [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], V for [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C for an optional contraction in any case:
/// [^\r\n\p{L}\p{N}]?U*V+C|[^\r\n\p{L}\p{N}]?U+V*C|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+.
/// </summary>
internal static class CasedPattern
{
    [Flags]
    private enum Case
    {
        None = 0,
        Upper = 1,
        Lower = 2,
        Both = Upper | Lower,
    }

    /// <summary>End of the piece at <paramref name="start"/>.</summary>
    /// <param name="text">The text.</param>
    /// <param name="start">Below its count.</param>
    /// <param name="digitsMax">The n above.</param>
    /// <param name="hasContractions">Whether there is a C.</param>
    public static int End(in ScannedText text, int start, int digitsMax, bool hasContractions)
    {
        var classes = text.Classes;
        var word = WordEnd(text, start);
        if (word > 0)
        {
            var contraction = hasContractions && word < classes.Length ? PatternRuns.ContractionEnd(text, word, classes.Length, ignoreCase: true) : 0;
            return Math.Max(word, contraction);
        }

        if (classes[start] == CharacterClass.Number)
        {
            return PatternRuns.RunEnd(classes[..Math.Min(classes.Length, start + digitsMax)], start + 1, CharacterClass.Number);
        }

        var first = text.Ascii(start) == ' ' && start + 1 < classes.Length ? start + 1 : start;
        if (classes[first] == CharacterClass.None)
        {
            var end = PatternRuns.RunEnd(classes, first + 1, CharacterClass.None);
            while (end < classes.Length && ((classes[end] & CharacterClass.NewLine) != 0 || text.Ascii(end) == '/'))
            {
                end++;
            }

            return end;
        }

        return PatternRuns.LineOrSpaceEnd(classes, start);
    }

    // The alternatives in their order, each first with a sign before the word and then without.
    private static int WordEnd(in ScannedText text, int start)
    {
        var canLead = start + 1 < text.Count && (text.Classes[start] & (CharacterClass.Letter | CharacterClass.Number | CharacterClass.NewLine)) == 0;
        var end = canLead ? SmallEnd(text, start + 1) : 0;
        if (end == 0) end = SmallEnd(text, start);
        if (end == 0 && canLead) end = CapitalsEnd(text, start + 1);
        return end == 0 ? CapitalsEnd(text, start) : end;
    }

    // U*V+: where no small letter follows the capitals, the last of them that has no case serves as one.
    private static int SmallEnd(in ScannedText text, int start)
    {
        var capitals = RunEnd(text, start, Case.Upper);
        var end = RunEnd(text, capitals, Case.Lower);
        if (end > capitals) return end;
        while (capitals > start && CaseOf(text, capitals - 1) != Case.Both) capitals--;
        return capitals > start ? capitals : 0;
    }

    // U+V*, tried only where U*V+ has failed.
    private static int CapitalsEnd(in ScannedText text, int start)
    {
        var end = RunEnd(text, start, Case.Upper);
        return end > start ? end : 0;
    }

    private static int RunEnd(in ScannedText text, int start, Case wanted)
    {
        while (start < text.Count && (CaseOf(text, start) & wanted) != 0) start++;
        return start;
    }

    private static Case CaseOf(in ScannedText text, int index) => text.Ascii(index) switch
    {
        >= (byte)'a' and <= (byte)'z' => Case.Lower,
        >= (byte)'A' and <= (byte)'Z' => Case.Upper,
        < 0x80 => Case.None,
        _ => text.Category(index) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.TitlecaseLetter => Case.Upper,
            UnicodeCategory.LowercaseLetter => Case.Lower,
            UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.NonSpacingMark
                or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark => Case.Both,
            _ => Case.None,
        },
    };
}
