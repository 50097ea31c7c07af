namespace Sluice.Inference.Tokenization;

/// <summary>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S), the rest as pieces.</summary>
internal static class Gpt2Pattern
{
    /// <summary>End of the piece at <paramref name="start"/>, as if the text ended at <paramref name="limit"/>.</summary>
    public static int End(in ScannedText text, int start, int limit)
    {
        var classes = text.Classes[..limit];
        var contraction = PatternRuns.ContractionEnd(text, start, limit, ignoreCase: false);
        if (contraction > 0)
        {
            return contraction;
        }

        var first = text.Ascii(start) == ' ' && start + 1 < limit ? start + 1 : start;
        return (classes[first] & CharacterClass.WhiteSpace) == 0
            ? PatternRuns.RunEnd(classes, first + 1, classes[first])
            : PatternRuns.WhiteSpaceEnd(classes, start);
    }
}
