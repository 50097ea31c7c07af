namespace Sluice.Server.Upstreams;

/// <summary>
/// The one timer of an attempt, set anew for what is waited for next, and the token that it and the generation's end cancel.
/// <see cref="Restart"/> is for one thread at a time.
/// </summary>
internal sealed class AttemptDeadline : IDisposable
{
    private readonly CancellationTokenSource _cancellation = new();
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private TimeSpan _wait = Timeout.InfiniteTimeSpan;
    private TimeSpan _timerWait = Timeout.InfiniteTimeSpan;
    private long _from;
    private volatile bool _isExpired;

    public AttemptDeadline(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(static state => ((AttemptDeadline)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public CancellationToken Token => _cancellation.Token;

    /// <summary>Whether time ran out.</summary>
    public bool IsExpired => _isExpired;

    /// <summary>From now on; <see cref="Timeout.InfiniteTimeSpan"/> for no end.</summary>
    /// <remarks>Where only the beginning moves the timer stays, for this is called for every token; when it runs out it is set for what is left.</remarks>
    public void Restart(TimeSpan time)
    {
        lock (_lock)
        {
            _from = _time.GetTimestamp();
            _wait = time;
            if (time == _timerWait) return;
            _timerWait = time;
            _timer.Change(time, Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer()
    {
        lock (_lock)
        {
            if (_wait == Timeout.InfiniteTimeSpan) return;
            var rest = _wait - _time.GetElapsedTime(_from);
            if (rest > TimeSpan.Zero)
            {
                _timer.Change(rest, Timeout.InfiniteTimeSpan);
                return;
            }
            _isExpired = true;
        }
        Cancel();
    }

    public void Cancel()
    {
        try
        {
            _cancellation.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The attempt ended at this very moment.
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        _cancellation.Dispose();
    }
}
