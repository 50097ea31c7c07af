namespace Sluice.Server.Metering;

/// <summary>
/// A bucket that holds a minute's worth and fills all the time, as one number: when it will be full (the generic cell rate algorithm,
/// ITU-T I.371). Times are nanoseconds on a clock that never jumps. For one thread at a time.
/// </summary>
/// <param name="perMinute">What it holds, at least 1.</param>
internal sealed class RateBucket(long perMinute)
{
    private const long Minute = 60_000_000_000;

    private long _fullAt = long.MinValue;

    public long PerMinute => perMinute;

    /// <summary>Whether it could ever give that much at once.</summary>
    public bool CanHold(long amount) => amount <= perMinute;

    /// <summary>When there will be that much; <paramref name="now"/> or earlier where there is.</summary>
    public long AvailableAt(long amount, long now) => long.Max(_fullAt, now) + CostOf(amount) - Minute;

    /// <summary>Takes, also what is not there: a debt delays what comes next.</summary>
    /// <param name="amount">Negative to give back.</param>
    /// <param name="now">The time.</param>
    public void Take(long amount, long now) => _fullAt = long.Max(_fullAt, now) + CostOf(amount);

    /// <summary>What is left, at least 0.</summary>
    public long RemainingAt(long now)
    {
        var missing = long.Max(0, _fullAt - now);
        return long.Max(0, perMinute - (long)Math.Ceiling(missing / (double)Minute * perMinute));
    }

    /// <summary>How long until it is full.</summary>
    public TimeSpan UntilFull(long now) => TimeSpan.FromTicks(long.Max(0, _fullAt - now) / 100);

    /// <summary>The same bucket with another size: what has been used stays used.</summary>
    public RateBucket Resize(long size, long now)
    {
        var used = long.Max(0, _fullAt - now) / (double)Minute * perMinute;
        return new RateBucket(size) { _fullAt = now + (long)(used / size * Minute) };
    }

    private long CostOf(long amount) => (long)((Int128)amount * Minute / perMinute);
}
