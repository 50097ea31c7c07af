namespace Sluice.Cli.Bench;

/// <summary>
/// Counts of times in bins that grow by 1 %: memory does not depend on how many there are, and a quantile is right within half a per cent.
/// Times below 1 µs and above 2 h count as these. Thread-safe.
/// </summary>
internal sealed class LatencyHistogram
{
    private const double Growth = 1.01;
    private static readonly double s_logGrowth = Math.Log(Growth);
    private static readonly int s_binCount = (int)(Math.Log(TimeSpan.FromHours(2).TotalMicroseconds) / s_logGrowth) + 1;
    private readonly long[] _bins = new long[s_binCount];
    private long _count;
    private long _sumTicks;
    private long _maxTicks;

    public long Count => Interlocked.Read(ref _count);

    public TimeSpan Max => new(Interlocked.Read(ref _maxTicks));

    public TimeSpan Mean => Count == 0 ? TimeSpan.Zero : new TimeSpan(Interlocked.Read(ref _sumTicks) / Count);

    public void Add(TimeSpan time)
    {
        var bin = (int)(Math.Log(Math.Max(time.TotalMicroseconds, 1)) / s_logGrowth);
        Interlocked.Increment(ref _bins[Math.Min(bin, s_binCount - 1)]);
        Interlocked.Increment(ref _count);
        Interlocked.Add(ref _sumTicks, time.Ticks);
        for (var max = Interlocked.Read(ref _maxTicks); time.Ticks > max;)
        {
            var seen = Interlocked.CompareExchange(ref _maxTicks, time.Ticks, max);
            if (seen == max) break;
            max = seen;
        }
    }

    /// <summary>The time that this share of all times does not exceed; zero where there is none.</summary>
    /// <param name="share">Above 0, at most 1.</param>
    public TimeSpan Quantile(double share)
    {
        var rank = (long)Math.Ceiling(Count * share);
        long seen = 0;
        for (var bin = 0; bin < s_binCount; bin++)
        {
            seen += Interlocked.Read(ref _bins[bin]);
            // The middle of the bin, but never more than what there was.
            if (seen >= rank && seen > 0) return Min(TimeSpan.FromMicroseconds(Math.Pow(Growth, bin + 0.5)), Max);
        }
        return Max;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
