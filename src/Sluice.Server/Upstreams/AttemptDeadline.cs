namespace Sluice.Server.Upstreams;

/// <summary>
/// The one timer of an attempt, set anew for what is waited for next, and the token that it and the generation's end cancel.
/// <see cref="Restart"/> is for one thread at a time.
/// </summary>
internal sealed class AttemptDeadline : IDisposable
{
    private readonly CancellationTokenSource _cancellation = new();
    private readonly ITimer _timer;
    private volatile bool _isExpired;

    public AttemptDeadline(TimeProvider time)
    {
        _timer = time.CreateTimer(
            static state =>
            {
                var deadline = (AttemptDeadline)state!;
                deadline._isExpired = true;
                deadline.Cancel();
            },
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    public CancellationToken Token => _cancellation.Token;

    /// <summary>Whether time ran out.</summary>
    public bool IsExpired => _isExpired;

    /// <summary>From now on; <see cref="Timeout.InfiniteTimeSpan"/> for no end.</summary>
    public void Restart(TimeSpan time) => _timer.Change(time, Timeout.InfiniteTimeSpan);

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
