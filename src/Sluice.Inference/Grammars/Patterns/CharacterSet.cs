using System.Text;

namespace Sluice.Inference.Grammars.Patterns;

/// <summary>Code points without surrogates, as sorted ranges that don't touch. Immutable.</summary>
internal sealed class CharacterSet
{
    public const int Last = 0x10FFFF;
    private const int FoldedRangeMax = 128;

    private CharacterSet(List<(int First, int Last)> ranges) => Ranges = ranges;

    public IReadOnlyList<(int First, int Last)> Ranges { get; }

    public static CharacterSet All { get; } = Of((0, Last));

    public static CharacterSet Digit { get; } = Of(('0', '9'));

    public static CharacterSet Word { get; } = Of(('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'));

    // Spec: ECMA-262, WhiteSpace and LineTerminator.
    public static CharacterSet Space { get; } = Of(
        ('\t', '\r'), (' ', ' '), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F),
        (0x3000, 0x3000), (0xFEFF, 0xFEFF));

    /// <summary>What a dot means.</summary>
    public static CharacterSet NoLineEnd { get; } = Of(('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029)).Complement();

    /// <summary>What a dot means in Python.</summary>
    public static CharacterSet NoLineFeed { get; } = Of(('\n', '\n')).Complement();

    public static CharacterSet Of(params IEnumerable<(int First, int Last)> ranges)
    {
        var merged = new List<(int First, int Last)>();
        foreach ((int first, int last) in ranges.SelectMany(WithoutSurrogates).Order())
        {
            if (merged.Count > 0 && first <= merged[^1].Last + 1)
            {
                merged[^1] = (merged[^1].First, Math.Max(last, merged[^1].Last));
            }
            else
            {
                merged.Add((first, last));
            }
        }

        return new CharacterSet(merged);
    }

    public CharacterSet Complement()
    {
        var rest = new List<(int, int)>();
        int next = 0;
        foreach ((int first, int last) in Ranges)
        {
            rest.Add((next, first - 1));
            next = last + 1;
        }

        rest.Add((next, Last));
        return Of(rest);
    }

    /// <summary>The same characters in upper and lower case too. Of long ranges beyond ASCII, which are scripts without case, nothing is added.</summary>
    public CharacterSet IgnoreCase()
    {
        var ranges = new List<(int, int)>(Ranges);
        foreach ((int first, int last) in Ranges)
        {
            int end = last - first < FoldedRangeMax ? last : Math.Min(last, 0x7F);
            for (int character = first; character <= end; character++)
            {
                var rune = new Rune(character);
                int upper = Rune.ToUpperInvariant(rune).Value;
                int lower = Rune.ToLowerInvariant(rune).Value;
                ranges.Add((upper, upper));
                ranges.Add((lower, lower));
            }
        }

        return Of(ranges);
    }

    private static IEnumerable<(int First, int Last)> WithoutSurrogates((int First, int Last) range) =>
        new[] { (range.First, Last: Math.Min(range.Last, 0xD7FF)), (First: Math.Max(range.First, 0xE000), range.Last) }
            .Where(part => part.First <= part.Last);
}
