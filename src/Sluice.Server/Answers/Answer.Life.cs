using Sluice.Protocol.Errors;
using Sluice.Server.Metering;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

// Where the answer stands. Every change is made under the one lock and returns what follows from it; Perform does that, outside of the
// lock.
internal sealed partial class Answer
{
    private abstract record Life
    {
        /// <summary>It is being made, or its end is being written down.</summary>
        public sealed record Running(Production Production) : Life;

        /// <summary>Nobody makes it, until somebody wants it.</summary>
        public sealed record Suspended(AnswerSnapshot Snapshot) : Life;

        /// <summary>Its log has ended, and everything about it is written down.</summary>
        public sealed record Ended : Life
        {
            public static Ended Instance { get; } = new();
        }
    }

    // What follows from a change.
    private readonly record struct Effects
    {
        // Its place among those that the table keeps is another one.
        public bool Moves { get; init; }

        // A request of the same bytes may adopt it.
        public bool IsOffered { get; init; }

        // Of the requests that are being answered, for the metrics.
        public int InFlight { get; init; }

        // To be told that it is to stop.
        public Production? Suspends { get; init; }

        public bool Cancels { get; init; }

        // A suspended one that was cancelled: its end has to be written.
        public (AnswerSnapshot From, Production Production)? Ending { get; init; }

        // Its memory is given back.
        public bool IsOver { get; init; }
    }

    // Guards all below, and what the transitions say. The table's lock may be held when it is taken, and is never taken under it.
    private readonly Lock _lock = new();
    private Life _life;
    private readonly List<AnswerConnection> _connections = [];
    private int _readerCount;
    private int _holdCount;
    private bool _hasSent;
    private bool _isAbandoned;
    private bool _isForgotten;
    private bool _isLeftToStore;

    // Suspended because a budget has ended: its readers have not left, but were sent away.
    private bool _isHeldBack;
    private ITimer? _grace;
    private long _detachedAt;
    private TaskCompletionSource<ApiError?>? _continuing;
    private Following? _following;

    /// <summary>How it is made now; null where it isn't.</summary>
    public Production? Production
    {
        get { lock (_lock) return (_life as Life.Running)?.Production; }
    }

    /// <summary>What it is to be continued from where it is suspended; else null.</summary>
    public AnswerSnapshot? Suspended
    {
        get { lock (_lock) return (_life as Life.Suspended)?.Snapshot; }
    }

    /// <summary>Whether nobody makes it, until somebody wants it.</summary>
    public bool IsSuspended => Suspended is not null;

    /// <summary>Whether its log has ended, and everything about it is written down.</summary>
    public bool IsEnded
    {
        get { lock (_lock) return _life is Life.Ended; }
    }

    /// <summary>Whether it is suspended, or about to be.</summary>
    public bool IsStopping
    {
        get { lock (_lock) return Stage is ProductionStage.Suspending or ProductionStage.Suspended; }
    }

    /// <summary>Whether the local engine has stopped at it, so that what it took is known.</summary>
    public bool HasStopped
    {
        get { lock (_lock) return _life is Life.Suspended or Life.Running { Production.Suspended.IsCompletedSuccessfully: true }; }
    }

    /// <summary>What it could be continued from as it is now; null where it can't be, or has ended.</summary>
    public AnswerSnapshot? TrySnapshot() => Suspended ?? Production?.TrySnapshot();

    public bool HasReader
    {
        get { lock (_lock) return _readerCount > 0; }
    }

    /// <summary>Connections that read it.</summary>
    public int ReaderCount
    {
        get { lock (_lock) return _readerCount; }
    }

    /// <summary>Whether somebody reads it, or is about to.</summary>
    public bool IsAwaited
    {
        get { lock (_lock) return IsWanted; }
    }

    // Under the lock, as the next ones.
    private bool IsWanted => _readerCount + _holdCount > 0;

    private bool IsAdoptable => !IsWanted && !_hasSent && !_isAbandoned && _time.GetElapsedTime(_detachedAt) <= _limits.Adoptable;

    private bool IsOver => _isForgotten && !IsWanted && _produced.Task.IsCompleted;

    private ProductionStage Stage => _life switch
    {
        Life.Suspended => ProductionStage.Suspended,
        Life.Running { Production.IsRequested: true } => ProductionStage.Suspending,
        Life.Running { Production.IsBegun: true } => ProductionStage.Suspendable,
        _ => ProductionStage.Opaque,
    };

    /// <summary>Takes part like a reader without reading yet, so that the answer is not given up meanwhile.</summary>
    /// <returns>False when it is gone; else <see cref="Release"/> has to follow.</returns>
    public bool TryHold()
    {
        lock (_lock)
        {
            if (_isForgotten) return false;
            _holdCount++;
            EndGrace();
            return true;
        }
    }

    /// <summary>The opposite of <see cref="TryHold"/>.</summary>
    public void Release()
    {
        Effects effects;
        lock (_lock)
        {
            _holdCount--;
            effects = Leave();
        }
        Perform(effects);
    }

    /// <summary>One reader less. With the last one the time begins that the answer has without any.</summary>
    /// <param name="connection">Which one.</param>
    /// <param name="hasSent">Whether anything of it has gone to that reader's client.</param>
    public void Detach(AnswerConnection connection, bool hasSent)
    {
        Effects effects;
        lock (_lock)
        {
            _hasSent |= hasSent;
            _connections.Remove(connection);
            _readerCount--;
            effects = Leave();
        }
        Perform(effects);
    }

    /// <summary>Has the local engine stop at it, whoever reads; where something else makes it there is no effect.</summary>
    /// <returns>Completes when the engine has stopped.</returns>
    public Task SuspendAsync()
    {
        Production? production;
        lock (_lock)
        {
            production = (_life as Life.Running)?.Production;
            if (production is null) return Task.CompletedTask;
            if (!production.RequestSuspend()) production.RequestSuspendLater();
        }
        if (!production.IsRequested) return Task.CompletedTask;
        production.SendSuspend();
        return production.Closed;
    }

    /// <summary>The local engine has stopped at it, or would not continue it.</summary>
    public void SetSuspended(AnswerSnapshot snapshot)
    {
        Effects effects;
        AnswerConnection[] dismissed = [];
        lock (_lock)
        {
            EndGrace();
            _life = new Life.Suspended(snapshot);
            Record.Pause();
            _table.Journal?.Accounting?.Pause(this);
            _isHeldBack = Record.Hold is { Cut: not null, Waits: true };
            if (_isHeldBack) dismissed = [.. _connections];
            effects = IsWanted ? default : Apply(_ => Leaving.DecideSuspended(Owner.Key is not null, _hasSent, Owner.Retention));
            effects = effects with { Moves = true, InFlight = -1 };
        }
        Perform(effects);
        foreach (var connection in dismissed) connection.Cursor.Dismiss(HeldBack);
        // It may have been cancelled before.
        Perform(EndCancelled());
    }

    // For those who read what has to wait for more budget.
    private StreamEnd HeldBack => new(StreamEndKind.Failed, LimitErrors.Suspended(Record.Hold!.Cut));

    /// <summary>A turn at continuing an answer that is suspended, or about to be: those who come at a time share one.</summary>
    /// <param name="stopped">Null where another one has the turn. Else it is the caller's, and begins when this completes.</param>
    /// <returns>How it went; null where there is nothing to continue.</returns>
    public TaskCompletionSource<ApiError?>? TryTakeTurn(out Task? stopped)
    {
        lock (_lock)
        {
            stopped = null;
            if (_continuing is not null) return _continuing;
            if (Stage is not (ProductionStage.Suspending or ProductionStage.Suspended)) return null;
            stopped = _life is Life.Running(var production) ? production.Closed : Task.CompletedTask;
            return _continuing = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>The turn is over.</summary>
    public void EndTurn(ApiError? error)
    {
        TaskCompletionSource<ApiError?> turn;
        lock (_lock) (turn, _continuing) = (_continuing!, null);
        turn.SetResult(error);
    }

    /// <summary>Takes up a suspended answer in order to continue it.</summary>
    /// <returns>What it is continued from, and how it is made now; null where it is not suspended.</returns>
    public (AnswerSnapshot From, Production Production)? TakeUp()
    {
        AnswerSnapshot from;
        var production = new Production();
        lock (_lock)
        {
            if (_life is not Life.Suspended suspended) return null;
            (from, _life, _isHeldBack) = (suspended.Snapshot, new Life.Running(production), false);
            Record.Resume();
            _table.Journal?.Accounting?.Continue(this);
        }
        Perform(new Effects { Moves = true, InFlight = 1 });
        return (from, production);
    }

    /// <summary>Ends it, if it has not ended: whoever makes it is told to stop, and one that nobody makes ends soon.</summary>
    public void Cancel(CancellationCause cause)
    {
        if (Following is { } following)
        {
            following.Cancel(cause);
            return;
        }
        Generation.Cancel(cause);
        Perform(EndCancelled());
    }

    /// <summary>Ends a suspended one here, because another process will continue it: that one counts and logs the whole of it.</summary>
    public void LeaveToStore()
    {
        lock (_lock) _isLeftToStore = true;
        Cancel(CancellationCause.Shutdown);
    }

    /// <summary>
    /// Another hub goes on with it, from where the engine has stopped here: its events come from there, for those who read it. That hub counts and logs
    /// the whole of it.
    /// </summary>
    /// <returns>False where it has not stopped.</returns>
    public bool TryFollow(Following following)
    {
        lock (_lock)
        {
            if (_life is not Life.Suspended || Log.End is not null || Generation.CancellationCause is not null) return false;
            EndGrace();
            _life = new Life.Running(new Production());
            _isLeftToStore = true;
            Record.Resume();
            Volatile.Write(ref _following, following);
        }
        Perform(new Effects { InFlight = 1 });
        return true;
    }

    /// <summary>Its log has ended: writes down what it took.</summary>
    public void End()
    {
        bool isLeftToStore;
        lock (_lock) isLeftToStore = _isLeftToStore;
        try
        {
            // What another hub makes from the beginning was never counted here.
            if (isLeftToStore || Following is null) _table.Journal?.End(this, isLeftToStore);
        }
        finally
        {
            SetEnded();
        }
    }

    /// <summary>The log has ended, and nothing more is written down about it.</summary>
    public void SetEnded()
    {
        lock (_lock)
        {
            EndGrace();
            _life = Life.Ended.Instance;
        }
        Generation.Retire();
        // What is kept for minutes takes no more than it has to, and the pool's arrays are there for those that run.
        if (Owner.Retention != Retention.Off && _limits.Retention > TimeSpan.Zero) Log.Pack(_table.Blocks);
        Perform(new Effects { Moves = true });
        _produced.SetResult();
        lock (_lock) if (!IsOver) return;
        Generation.Dispose();
    }

    /// <summary>It has left the table: its memory is given back when nobody writes or reads it any more.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _isForgotten = true;
            if (!IsOver) return;
        }
        Generation.Dispose();
    }

    // Under the lock, as all below but Perform.
    private Effects Leave()
    {
        // The hub that makes it sees that nobody reads it here.
        if (IsWanted || _following is not null) return new Effects { IsOver = IsOver };
        _detachedAt = _time.GetTimestamp();
        var effects = Log.End is null && !_isForgotten
            ? Apply(stage => Leaving.Decide(_isHeldBack ? DisconnectPolicy.Default : Owner.OnDisconnect, Owner.Key is not null, _hasSent, Owner.Retention, stage))
            : default;
        return effects with { IsOffered = Owner.Key is null && !_hasSent && !_isAbandoned && !_isForgotten, IsOver = IsOver };
    }

    private Effects Apply(Func<ProductionStage, Leaving> decide)
    {
        var production = (_life as Life.Running)?.Production;
        while (true)
        {
            var leaving = decide(Stage);
            // Between the look at it and this the engine may have refused, and then somebody else is asked.
            if (leaving.Act == LeavingAct.Suspend && production?.RequestSuspend() != true) continue;
            if (leaving.SuspendsLater) production?.RequestSuspendLater();
            if (leaving.Timer == LeavingTimer.Detached && production is not null) production.ContentLeft = _limits.DetachedContentMax;
            if (leaving.Timer != LeavingTimer.None) Schedule(leaving.Timer);
            _isAbandoned |= leaving.Act == LeavingAct.Cancel;
            return new Effects
            {
                Suspends = leaving.Act == LeavingAct.Suspend ? production : null,
                Cancels = leaving.Act == LeavingAct.Cancel,
            };
        }
    }

    private void Schedule(LeavingTimer timer)
    {
        var time = timer switch
        {
            LeavingTimer.Unseen => _limits.UnseenGrace,
            LeavingTimer.Detached => _limits.Detached,
            _ => _limits.Adoptable,
        };
        _grace = _time.CreateTimer(_ => Perform(EndTime(timer)), null, time, Timeout.InfiniteTimeSpan);
    }

    private void EndGrace()
    {
        if (_life is Life.Running(var production)) production.TakeBack();
        _grace?.Dispose();
        _grace = null;
    }

    private Effects EndTime(LeavingTimer timer)
    {
        lock (_lock)
        {
            if (IsWanted || _grace is null) return default;
            return Apply(stage => Leaving.DecideTimeUp(timer, Owner.Retention, stage));
        }
    }

    private Effects EndCancelled()
    {
        lock (_lock)
        {
            if (_life is not Life.Suspended suspended || Generation.CancellationCause is null) return default;
            EndGrace();
            var production = new Production();
            _life = new Life.Running(production);
            return new Effects { Moves = true, InFlight = 1, Ending = (suspended.Snapshot, production) };
        }
    }

    private void Perform(in Effects effects)
    {
        if (effects.Moves) _table.Place(this);
        if (effects.IsOffered) _table.AddOrphan(this);
        if (effects.InFlight != 0) Record.AddInFlight(effects.InFlight);
        effects.Suspends?.SendSuspend();
        if (effects.Cancels) Cancel(CancellationCause.ClientLeft);
        if (effects.Ending is var (from, production)) _ = WriteEndAsync(from, production);
        if (effects.IsOver) Generation.Dispose();
    }

    private async Task WriteEndAsync(AnswerSnapshot from, Production production)
    {
        // It is called within a cancel, which must not wait.
        await Task.Yield();
        if (from.TryAsk(Generation, Owner, Record, CreateWriter(), production, seal: null, _time) is { } attempt) CancelledEnd.Write(attempt);
        else Log.Cancel();
        await Log.WhenEnded;
        End();
        production.Close();
    }
}
