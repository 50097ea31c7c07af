namespace Sluice.Server.Upstreams;

/// <summary>
/// The point from which on an attempt's answer is the client's: there is content. Of several attempts at a time one passes it.
/// Thread-safe.
/// </summary>
internal sealed class CommitPoint(TimeProvider time)
{
    private readonly TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Attempt? _winner;
    private long _passedAt;

    /// <summary>Completes, always successfully, when an attempt passes.</summary>
    public Task Passed => _passed.Task;

    /// <summary>The attempt that has passed; null before.</summary>
    public Attempt? Winner => Volatile.Read(ref _winner);

    /// <summary>From a timestamp of the same clock to the passing, which must have happened.</summary>
    public TimeSpan ElapsedSince(long started) => time.GetElapsedTime(started, Volatile.Read(ref _passedAt));

    /// <summary>False when another attempt was faster: then this one must not write anything.</summary>
    public bool TryPass(Attempt attempt)
    {
        var winner = Interlocked.CompareExchange(ref _winner, attempt, null);
        if (winner is not null) return ReferenceEquals(winner, attempt);
        Volatile.Write(ref _passedAt, time.GetTimestamp());
        _passed.TrySetResult();
        return true;
    }
}
