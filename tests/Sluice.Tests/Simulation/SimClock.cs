namespace Sluice.Tests.Simulation;

/// <summary>
/// The time of a simulation. A timer that runs out is posted to the scheduler, so that whatever is ready may come before it, or dispose of
/// it.
/// </summary>
internal sealed class SimClock(SimScheduler scheduler) : TimeProvider
{
    private static readonly long s_start = new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc).Ticks;
    private readonly List<SimTimer> _timers = [];
    private long _now = s_start;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Since the beginning.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(_now - s_start);

    /// <summary>Time that passed while something was ready to run: what a busy machine adds to every wait.</summary>
    public TimeSpan Lag { get; private set; }

    /// <summary>Timers that are set.</summary>
    public int PendingCount => _timers.Count(static timer => timer.Due is not null);

    public override DateTimeOffset GetUtcNow()
    {
        scheduler.CheckThread();
        return new DateTimeOffset(_now, TimeSpan.Zero);
    }

    public override long GetTimestamp() => _now;

    /// <summary>Goes to the next timer that runs out; false when none is set.</summary>
    public bool AdvanceToNext()
    {
        var next = long.MaxValue;
        foreach (var timer in _timers) next = long.Min(next, timer.Due ?? long.MaxValue);
        if (next == long.MaxValue) return false;
        Advance(TimeSpan.FromTicks(long.Max(0, next - _now)));
        return true;
    }

    public void Advance(TimeSpan time)
    {
        _now += time.Ticks;
        if (!scheduler.IsIdle) Lag += time;
        scheduler.Note(_now);
        foreach (var timer in _timers.Where(timer => timer.Due <= _now).OrderBy(static timer => timer.Due).ToList())
        {
            timer.Due = timer.Period > 0 ? _now + timer.Period : null;
            scheduler.Post(static state => ((SimTimer)state!).Run(), timer);
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        scheduler.CheckThread();
        var timer = new SimTimer(this, callback, state);
        _timers.Add(timer);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class SimTimer(SimClock clock, TimerCallback callback, object? state) : ITimer
    {
        private bool _isDisposed;

        public long? Due { get; set; }

        public long Period { get; private set; }

        // One that was set anew after it ran out runs all the same, as the system's do.
        public void Run()
        {
            if (!_isDisposed) callback(state);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Due = _isDisposed || dueTime == Timeout.InfiniteTimeSpan ? null : clock._now + dueTime.Ticks;
            Period = period == Timeout.InfiniteTimeSpan ? 0 : period.Ticks;
            return !_isDisposed;
        }

        public void Dispose()
        {
            _isDisposed = true;
            // Whoever still knows the timer must not hold on to what it was for.
            (callback, state) = (static _ => { }, null);
            clock._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }
    }
}
