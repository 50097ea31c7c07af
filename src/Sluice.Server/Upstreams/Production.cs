namespace Sluice.Server.Upstreams;

/// <summary>
/// The making of an answer from its beginning, or from where it was suspended, to the next suspension or the end. Only the local engine can be
/// suspended; where something else makes the answer, asking for it has no effect. Thread-safe.
/// </summary>
internal sealed class Production
{
    private readonly TaskCompletionSource<SuspendedGeneration> _suspended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards all below. Nothing is called under it.
    private readonly Lock _lock = new();
    private Action? _suspend;
    private Func<SuspendedGeneration?>? _snapshot;
    private bool _isWanted;
    private bool _isAsked;
    private SuspendedGeneration? _end;
    private CancellationTokenRegistration _whenCancelled;

    /// <summary>Completes when the engine has given everything back.</summary>
    public Task<SuspendedGeneration> Suspended => _suspended.Task;

    /// <summary>Completes, always successfully, when the stretch is over and its answer knows how.</summary>
    public Task Settled => _settled.Task;

    /// <summary>Whether it has been told to stop: then it ends in a suspension, or the answer has ended.</summary>
    public bool IsAsked
    {
        get { lock (_lock) return _isAsked; }
    }

    /// <summary>Whether the local engine is at it.</summary>
    public bool IsArmed
    {
        get { lock (_lock) return _suspend is not null; }
    }

    /// <summary>A stretch that is over.</summary>
    public static Production EndedAt(SuspendedGeneration suspended)
    {
        var stretch = new Production { _isAsked = true };
        stretch.Suspend(suspended);
        stretch.Settle();
        return stretch;
    }

    /// <summary>Decides for a suspension, now or as soon as the local engine takes over.</summary>
    /// <returns>Whether it is decided for now; then <see cref="Deliver"/> is to be called, outside of every lock.</returns>
    public bool Ask()
    {
        lock (_lock)
        {
            _isWanted = true;
            if (_suspend is null || _isAsked) return false;
            return _isAsked = true;
        }
    }

    /// <summary>Tells the engine what was decided.</summary>
    public void Deliver()
    {
        Action? suspend;
        lock (_lock) suspend = _suspend;
        suspend?.Invoke();
    }

    /// <summary>Takes back what has not been decided for yet.</summary>
    public void Withdraw()
    {
        lock (_lock) _isWanted = false;
    }

    /// <summary>The local engine is at it.</summary>
    /// <param name="suspend">Stops it; never blocks, and may be called more than once.</param>
    /// <param name="snapshot">What it could be gone on from; null once it has ended.</param>
    public void Arm(Action suspend, Func<SuspendedGeneration?> snapshot)
    {
        bool isAsked;
        lock (_lock)
        {
            (_suspend, _snapshot) = (suspend, snapshot);
            isAsked = _isAsked |= _isWanted;
        }
        if (isAsked) suspend();
    }

    /// <summary>The local engine won't do it.</summary>
    /// <returns>False when it had been told to stop, and <see cref="Suspend"/> has to follow.</returns>
    public bool TryDisarm()
    {
        lock (_lock)
        {
            if (_isAsked) return false;
            (_suspend, _snapshot) = (null, null);
            return true;
        }
    }

    /// <summary>Takes over what tells the engine of a cancel: it holds on to a whole generation, and goes with it.</summary>
    public void Own(CancellationTokenRegistration whenCancelled)
    {
        lock (_lock)
        {
            if (_end is null)
            {
                _whenCancelled = whenCancelled;
                return;
            }
        }
        whenCancelled.Unregister();
    }

    /// <summary>It has stopped, and everything is given back.</summary>
    public void Suspend(SuspendedGeneration suspended)
    {
        lock (_lock)
        {
            _end = suspended;
            // Doesn't wait for a callback that runs.
            _whenCancelled.Unregister();
            (_suspend, _snapshot) = (null, null);
        }
        _suspended.TrySetResult(suspended);
    }

    /// <summary>How its end was is written down.</summary>
    public void Settle()
    {
        // What they hold on to is a whole generation.
        lock (_lock) (_suspend, _snapshot) = (null, null);
        _settled.TrySetResult();
    }

    /// <summary>
    /// What the answer could be gone on from as it is now, or was suspended at; null where it can't be, or has ended. May be called at any time; the
    /// engine waits for as long as it takes to copy the tokens.
    /// </summary>
    public SuspendedGeneration? TrySnapshot()
    {
        Func<SuspendedGeneration?>? snapshot;
        lock (_lock)
        {
            if (_end is not null) return _end;
            snapshot = _snapshot;
        }
        return snapshot?.Invoke();
    }
}
