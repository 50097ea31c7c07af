namespace Sluice.Server.Telemetry;

/// <summary>The sum of what was measured with the same tags, or its distribution. Thread-safe.</summary>
/// <param name="tags">The tags.</param>
/// <param name="bounds">Upper bounds of a histogram's buckets, rising; empty for what isn't one.</param>
internal sealed class MeasuredSeries(KeyValuePair<string, object?>[] tags, double[] bounds)
{
    // Guards the members below.
    private readonly Lock _lock = new();
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    public IReadOnlyList<KeyValuePair<string, object?>> Tags => tags;

    public void Add(double value)
    {
        var bucket = 0;
        while (bucket < bounds.Length && value > bounds[bucket]) bucket++;
        lock (_lock)
        {
            _counts[bucket]++;
            _sum += value;
        }
    }

    /// <summary>The sum, and of each bucket how often it was hit; the last bucket has no bound.</summary>
    public (double Sum, long[] Counts) Read()
    {
        lock (_lock) return (_sum, [.. _counts]);
    }
}
