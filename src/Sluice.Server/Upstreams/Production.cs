namespace Sluice.Server.Upstreams;

/// <summary>What makes an answer, and can stop at it and be continued: the local engine.</summary>
internal interface ISuspendable
{
    /// <summary>Stops it, soon. Never blocks, and may be called more than once.</summary>
    void Suspend();

    /// <summary>Ends it, soon. Never blocks, and may be called more than once.</summary>
    void Cancel();

    /// <summary>
    /// What it could be continued from now; null once it has ended. The engine waits for as long as it takes to copy the tokens.
    /// </summary>
    AnswerSnapshot? TrySnapshot();
}

/// <summary>
/// The making of an answer from its beginning, or from where it was suspended, to the next suspension or the end. Only what <see
/// cref="Begin"/> was
/// called for can be suspended; where something else makes the answer, a request for it has no effect. Thread-safe.
/// </summary>
internal sealed class Production
{
    private readonly TaskCompletionSource<AnswerSnapshot> _suspended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards all below. Nothing is called under it.
    private readonly Lock _lock = new();
    private ISuspendable? _work;
    private bool _isWanted;
    private bool _isRequested;
    private AnswerSnapshot? _stopped;
    private CancellationTokenRegistration _whenCancelled;
    private int _contentLeft = int.MaxValue;

    /// <summary>Completes when the work has stopped at a request, and everything is given back.</summary>
    public Task<AnswerSnapshot> Suspended => _suspended.Task;

    /// <summary>Completes, always successfully, when it is over and its answer knows how.</summary>
    public Task Closed => _closed.Task;

    /// <summary>Whether it has been told to stop: then it ends in a suspension, or the answer has ended.</summary>
    public bool IsRequested
    {
        get { lock (_lock) return _isRequested; }
    }

    /// <summary>Whether something that can be suspended is at it.</summary>
    public bool IsBegun
    {
        get { lock (_lock) return _work is not null; }
    }

    /// <summary>Pieces of content after which it is suspended by itself. May be set from any thread.</summary>
    public int ContentLeft
    {
        set => Volatile.Write(ref _contentLeft, value);
    }

    /// <summary>A piece of content was made. Called by the thread that makes it alone, must not block, and allocates nothing.</summary>
    public void AddContent()
    {
        var left = Volatile.Read(ref _contentLeft);
        // Where another bound was set in this moment, that one holds.
        if (left == int.MaxValue || Interlocked.CompareExchange(ref _contentLeft, left - 1, left) != left || left > 1) return;
        if (RequestSuspend()) SendSuspend();
    }

    /// <summary>Decides for a suspension, where something that can be suspended is at it.</summary>
    /// <returns>Whether it was decided for here; then <see cref="SendSuspend"/> is to be called, outside of every lock.</returns>
    public bool RequestSuspend()
    {
        lock (_lock)
        {
            if (_work is null || _isRequested) return false;
            return _isRequested = true;
        }
    }

    /// <summary>Decides for a suspension as soon as something takes over that can be suspended.</summary>
    public void RequestSuspendLater()
    {
        lock (_lock) _isWanted = true;
    }

    /// <summary>Tells what is at it what was decided.</summary>
    public void SendSuspend()
    {
        ISuspendable? work;
        lock (_lock) work = _work;
        work?.Suspend();
    }

    /// <summary>Takes back what has not been decided for yet.</summary>
    public void TakeBack()
    {
        lock (_lock) _isWanted = false;
        ContentLeft = int.MaxValue;
    }

    /// <summary>Something that can be suspended is at it from now on, in the place of what was there before.</summary>
    public void Begin(ISuspendable work)
    {
        bool isRequested;
        lock (_lock)
        {
            _work = work;
            isRequested = _isRequested |= _isWanted;
        }
        if (isRequested) work.Suspend();
    }

    /// <summary>What began has refused the work, and something else may be asked.</summary>
    /// <returns>False when it had been told to stop, and <see cref="Suspend"/> has to follow.</returns>
    public bool TryRefuse()
    {
        lock (_lock)
        {
            if (_isRequested) return false;
            _work = null;
            return true;
        }
    }

    /// <summary>Takes over what tells the engine of a cancel: it holds on to a whole generation, and goes with it.</summary>
    public void Own(CancellationTokenRegistration whenCancelled)
    {
        lock (_lock)
        {
            if (_stopped is null)
            {
                _whenCancelled = whenCancelled;
                return;
            }
        }
        whenCancelled.Unregister();
    }

    /// <summary>The work has stopped, and everything is given back.</summary>
    public void Suspend(AnswerSnapshot snapshot)
    {
        lock (_lock)
        {
            // Doesn't wait for a callback that runs.
            _whenCancelled.Unregister();
            (_work, _stopped) = (null, snapshot);
        }
        _suspended.TrySetResult(snapshot);
    }

    /// <summary>How its end was is written down.</summary>
    public void Close()
    {
        // What it holds on to is a whole generation.
        lock (_lock) _work = null;
        _closed.TrySetResult();
    }

    /// <summary>
    /// What the answer could be continued from as it is now, or where the work has stopped; null where it can't be, or has ended. May be
    /// called at any
    /// time.
    /// </summary>
    public AnswerSnapshot? TrySnapshot()
    {
        ISuspendable? work;
        lock (_lock)
        {
            if (_stopped is not null) return _stopped;
            work = _work;
        }
        return work?.TrySnapshot();
    }
}
