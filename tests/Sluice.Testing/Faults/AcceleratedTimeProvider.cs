namespace Sluice.Testing.Faults;

/// <summary>The system's clock, running faster: for real sockets and waits of many seconds in a test of a few. Thread-safe.</summary>
/// <param name="factor">Seconds of this clock in one of the system's, at least 1.</param>
public sealed class AcceleratedTimeProvider(int factor) : TimeProvider
{
    private readonly long _start = System.GetTimestamp();
    private readonly DateTimeOffset _startTime = System.GetUtcNow();

    /// <inheritdoc/>
    public override long TimestampFrequency => System.TimestampFrequency;

    /// <inheritdoc/>
    public override long GetTimestamp() => (System.GetTimestamp() - _start) * factor;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => _startTime + GetElapsedTime(0);

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(System.CreateTimer(callback, state, Slow(dueTime), Slow(period)), factor);

    private TimeSpan Slow(TimeSpan time) => Slow(time, factor);

    private static TimeSpan Slow(TimeSpan time, int factor) => time > TimeSpan.Zero ? time / factor : time;

    private sealed class Timer(ITimer timer, int factor) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(Slow(dueTime, factor), Slow(period, factor));

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
