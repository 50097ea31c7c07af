using System.Text;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>Seeded text of every kind that breaks writers: controls, quotes, line separators, all planes.</summary>
internal static class ArbitraryText
{
    private static readonly string[] Awkward =
    [
        "\n\n", "data: x", "[DONE]", "\u2028", "\u2029", "\"", "\\", "\0", "\u001f", "\u007f", "\u0085", "<script>", "\uFEFF", "\uFFFD", "👨‍👩‍👧", "e\u0301", "\r\n", "\t\b\f", "漢字",
    ];

    public static string Next(Random random, int piecesMax = 40)
    {
        var text = new StringBuilder();
        for (var i = random.Next(piecesMax); i > 0; i--)
        {
            if (random.Next(4) == 0) text.Append(Awkward[random.Next(Awkward.Length)]);
            else text.Append(NextRune(random).ToString());
        }

        return text.ToString();
    }

    private static Rune NextRune(Random random)
    {
        int[] ends = [0x20, 0x80, 0x800, 0x10000, 0x110000];
        while (true)
        {
            if (Rune.TryCreate(random.Next(ends[random.Next(ends.Length)]), out var rune)) return rune;
        }
    }
}
