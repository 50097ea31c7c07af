namespace Sluice.Server.Configuration;

/// <summary>Finds what a mistyped word was meant to be.</summary>
internal static class Suggestion
{
    private const int PrefixLengthMin = 3;

    /// <summary>The nearest of <paramref name="candidates"/> that the word begins or nearly is; null when more than a third of the letters differ.</summary>
    public static string? Find(string word, IEnumerable<string> candidates)
    {
        var (best, bestDistance) = ((string?)null, int.MaxValue);
        foreach (var candidate in candidates)
        {
            var distance = Distance(word.ToLowerInvariant().Replace('-', '_'), candidate.ToLowerInvariant().Replace('-', '_'));
            if (word.Length >= PrefixLengthMin && candidate.StartsWith(word, StringComparison.OrdinalIgnoreCase)) distance = int.Min(distance, 1);
            if (distance < bestDistance) (best, bestDistance) = (candidate, distance);
        }
        return bestDistance <= int.Max(1, int.Min(3, word.Length / 3)) ? best : null;
    }

    // Levenshtein with swaps of neighbours counted once (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var table = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) table[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) table[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var substitution = table[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                var best = int.Min(substitution, int.Min(table[i - 1, j], table[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = int.Min(best, table[i - 2, j - 2] + 1);
                table[i, j] = best;
            }
        }
        return table[a.Length, b.Length];
    }
}
