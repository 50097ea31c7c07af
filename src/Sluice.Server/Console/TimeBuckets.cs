namespace Sluice.Server.Console;

/// <summary>Counts of times in buckets that grow by a fifth each, from 0.1 ms to 105 s: fine enough for a plot, and a percentile is off by at most a tenth.</summary>
internal static class TimeBuckets
{
    /// <summary>Buckets of a distribution.</summary>
    public const int Count = 81;

    private const double First = 1e-4;
    private const double PerDoubling = 4;

    /// <summary>The bucket of a time in seconds.</summary>
    public static int IndexOf(double seconds) =>
        seconds <= First ? 0 : int.Min(Count - 1, 1 + (int)(Math.Log2(seconds / First) * PerDoubling));

    /// <summary>The time below which a share of what was counted lies, in seconds; null where nothing was counted.</summary>
    /// <param name="counts">Of each bucket.</param>
    /// <param name="share">From 0 to 1.</param>
    public static double? Percentile(ReadOnlySpan<int> counts, double share)
    {
        long all = 0;
        foreach (var count in counts) all += count;
        if (all == 0) return null;
        var rank = (long)Math.Ceiling(all * share);
        var index = 0;
        for (long seen = counts[0]; seen < rank; seen += counts[index]) index++;
        // The middle of the bucket, on the scale of its growth.
        return index == 0 ? First : First * Math.Pow(2, (index - 0.5) / PerDoubling);
    }
}
