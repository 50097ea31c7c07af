namespace Sluice.Benchmarks;

/// <summary>Measurements of named rows by two programs, taken in turn.</summary>
internal sealed class Series
{
    private readonly Dictionary<string, (List<double> Ours, List<double> Theirs)> _rows = [];

    public void Add(string row, double? ours, double? theirs)
    {
        if (!_rows.TryGetValue(row, out (List<double> Ours, List<double> Theirs) lists))
        {
            _rows[row] = lists = ([], []);
        }

        if (ours is { } o)
        {
            lists.Ours.Add(o);
        }

        if (theirs is { } t)
        {
            lists.Theirs.Add(t);
        }
    }

    /// <summary>A Markdown table: medians, range, and the ratio of the medians with the range of the round-by-round ratios.</summary>
    /// <param name="peer">Product and version, for the heading.</param>
    /// <param name="smallerIsBetter">Whether the ratio is theirs / ours (times) or ours / theirs (rates).</param>
    public void Print(string peer, bool smallerIsBetter)
    {
        Console.WriteLine($"| row | Sluice | {peer} | ratio | ratio by round |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach ((string row, (List<double> ours, List<double> theirs)) in _rows)
        {
            double Ratio(double o, double t) => smallerIsBetter ? t / o : o / t;
            double[] rounds = [.. ours.Zip(theirs, Ratio)];
            string ratio = rounds.Length == 0
                ? "| |"
                : FormattableString.Invariant($"**{Ratio(Median(ours), Median(theirs)):F2}** | {rounds.Min():F2}-{rounds.Max():F2} |");
            Console.WriteLine($"| {row} | {Range(ours)} | {Range(theirs)} | {ratio}");
        }
    }

    private static double Median(List<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static string Range(List<double> values) => values.Count == 0
        ? ""
        : FormattableString.Invariant($"{Median(values):F1} ({values.Min():F1}-{values.Max():F1})");
}
