using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>How an attempt to read an answer went.</summary>
internal enum AttachOutcome
{
    /// <summary>There is a reader.</summary>
    Attached,

    /// <summary>Enough others read it.</summary>
    TooMany,

    /// <summary>Events behind the cursor are no longer kept.</summary>
    Dropped,

    /// <summary>It is no longer there, or somebody else has taken it over.</summary>
    Gone,
}

/// <summary>What becomes of an answer when its last reader leaves.</summary>
internal enum Leaving
{
    /// <summary>It goes on, for the time being.</summary>
    Stays,

    /// <summary>The local engine stops at it, until somebody comes.</summary>
    Suspended,

    /// <summary>It ends.</summary>
    Cancelled,
}

/// <summary>
/// One answer and those who read it. It belongs to the hub: it may go on without a reader, and stays for a while after its end. Thread-safe.
/// </summary>
internal sealed class Answer
{
    private readonly AnswerTable _table;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly TaskCompletionSource _produced = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guards all below.
    private readonly Lock _lock = new();
    private int _readerCount;
    private int _holdCount;
    private bool _hasSent;
    private bool _isAbandoned;
    private bool _isForgotten;
    private ITimer? _grace;
    private long _detachedAt;
    private long _restoredCount = -1;
    private Production _stretch = new();
    private SuspendedGeneration? _suspended;
    private CancellationTokenRegistration _whenCancelled;
    private TaskCompletionSource<ApiError?>? _continuing;

    public Answer(AnswerTable table, Generation generation, AnswerIdentity owner, string model, RequestFigures record, Limits limits, TimeProvider time)
    {
        (_table, Generation, Owner, Model, Record, _limits, _time) = (table, generation, owner, model, record, limits, time);
        Created = time.GetUtcNow().ToUnixTimeSeconds();
        record.ContentSpent = () => Abandon(onlyLocal: true);
    }

    public Generation Generation { get; }

    public StreamLog Log => Generation.Log;

    public string Id => Generation.Id;

    public AnswerIdentity Owner { get; }

    /// <summary>The model that was asked for.</summary>
    public string Model { get; }

    /// <summary>Unix time in seconds.</summary>
    public long Created { get; init; }

    /// <summary>Whether the rest of it was lost with the process that made it: what there is can be looked at, but nobody can go on with it.</summary>
    public bool IsLost => Log.End?.Failure is ApiError { Code: ApiErrors.StreamLostCode };

    public RequestFigures Record { get; }

    /// <summary>Tells of the request that began it; null where nobody is told.</summary>
    public RequestMeter? Meter { get; set; }

    /// <summary>Of that request, for the log.</summary>
    public string? RequestId { get; set; }

    /// <summary>How it is made now, or was last.</summary>
    public Production Production
    {
        get { lock (_lock) return _stretch; }
    }

    /// <summary>Whether nobody makes it, until somebody wants it.</summary>
    public bool IsSuspended
    {
        get { lock (_lock) return _suspended is not null && Log.End is null; }
    }

    /// <summary>How long it was suspended already when it came from a store; then zero.</summary>
    public TimeSpan SuspendedAge { get; set; }

    /// <summary>Completes, always successfully, when the log has ended and everything about it is written down.</summary>
    public Task Produced => _produced.Task;

    /// <summary>The word of the API for where it stands.</summary>
    public string State => Generation.State switch
    {
        GenerationState.Running => IsSuspended ? "suspended" : HasReader ? "running" : "detached",
        GenerationState.Completed => "completed",
        GenerationState.Failed => "failed",
        _ => "cancelled",
    };

    private bool HasReader
    {
        get { lock (_lock) return _readerCount > 0; }
    }

    /// <summary>
    /// Whether the same request has to be made anew: this one broke off, or was given up. A refusal that the request itself is at fault for stands.
    /// </summary>
    public bool IsBroken
    {
        get
        {
            switch (Log.End)
            {
                case null:
                    lock (_lock) return _isAbandoned;
                case { Kind: StreamEndKind.Completed or StreamEndKind.Stopped }:
                    return false;
                case not null when IsLost:
                    return true;
                case { Kind: StreamEndKind.Failed, Failure: ApiError { Status: >= 400 and < 500 and not 408 and not 409 and not 429 } }:
                    return Log.EventCount > 0;
                default:
                    return true;
            }
        }
    }

    /// <summary>For an attempt at it.</summary>
    public AnswerWriter CreateWriter() => new LogWriter(Log, Record, new ReaderGrace(Log, _limits.ReaderGrace, _time));

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
        lock (_lock) _holdCount--;
        LeaveIfLast();
    }

    /// <summary>
    /// Sees to it that the answer is being made, or has ended: one that is suspended, or about to be, is gone on with. Those who come at a time
    /// share one attempt. To be called by somebody who has a reader or a hold.
    /// </summary>
    /// <param name="begin">Goes on; says why not, and then the answer stays suspended.</param>
    /// <param name="end">As in <see cref="SetSuspended"/>.</param>
    public async Task<ApiError?> ContinueAsync(Func<SuspendedGeneration, Production, Task<ApiError?>> begin, Action end)
    {
        TaskCompletionSource<ApiError?> continuing;
        Task? settled = null;
        lock (_lock)
        {
            if (_continuing is { } other) continuing = other;
            else if (!_stretch.IsAsked) return null;
            else (continuing, settled) = (_continuing = new(TaskCreationOptions.RunContinuationsAsynchronously), _stretch.Settled);
        }
        if (settled is null) return await continuing.Task;
        ApiError? error = ApiErrors.ServerError();
        try
        {
            await settled;
            error = await BeginAsync(begin, end);
        }
        finally
        {
            lock (_lock) _continuing = null;
            continuing.SetResult(error);
        }
        return error;
    }

    /// <summary>Opens a reader behind the first <paramref name="position"/> events, of which there must be that many.</summary>
    /// <param name="position">Events that the client has.</param>
    /// <param name="adopts">Whether another request's answer is taken over, which nobody may have seen anything of.</param>
    /// <param name="reader">The reader, to be disposed; null unless the outcome is <see cref="AttachOutcome.Attached"/>.</param>
    public AttachOutcome TryAttach(long position, bool adopts, out AnswerConnection? reader)
    {
        reader = null;
        lock (_lock)
        {
            if (_isForgotten) return AttachOutcome.Gone;
            if (adopts && (_readerCount + _holdCount > 0 || _hasSent || _isAbandoned || _time.GetElapsedTime(_detachedAt) > _limits.Adoptable)) return AttachOutcome.Gone;
            if (_readerCount >= _limits.ReadersPerAnswer) return AttachOutcome.TooMany;
            if (position < Log.FirstEvent && !Log.IsSpilled) return AttachOutcome.Dropped;
            if (Log.TryOpenReader(position) is not { } cursor) return AttachOutcome.TooMany;
            _readerCount++;
            EndGrace();
            reader = new AnswerConnection(this, cursor);
            return AttachOutcome.Attached;
        }
    }

    /// <summary>Waits until there are <paramref name="position"/> events; false when there won't be, or not in time.</summary>
    public async Task<bool> ReachAsync(long position, CancellationToken cancellation)
    {
        if (Log.EventCount >= position) return true;
        using var reader = Log.TryOpenReader(Log.EventCount);
        if (reader is null) return false;
        var isTimeUp = false;
        var wait = Log.EventCount == _restoredCount ? _limits.RestoredCursorWait : _limits.CursorWait;
        await using var timer = _time.CreateTimer(_ => { Volatile.Write(ref isTimeUp, true); reader.Wake(); }, null, wait, Timeout.InfiniteTimeSpan);
        await using var left = cancellation.UnsafeRegister(static state => ((StreamLogReader)state!).Wake(), reader);
        while (Log.EventCount < position)
        {
            if (Log.End is not null || Volatile.Read(ref isTimeUp) || cancellation.IsCancellationRequested) return false;
            await reader.WaitAsync();
            reader.SkipToEnd();
        }
        return true;
    }

    /// <summary>One reader less. With the last one the time begins that the answer has without any.</summary>
    /// <param name="hasSent">Whether anything of it has gone to that reader's client.</param>
    public void Detach(bool hasSent)
    {
        lock (_lock)
        {
            _hasSent |= hasSent;
            _readerCount--;
        }
        LeaveIfLast();
    }

    /// <summary>The local engine has stopped at it.</summary>
    /// <param name="suspended">What it can be gone on from.</param>
    /// <param name="end">Ends the log, when the generation is cancelled. Called on any thread, and must not block.</param>
    public void SetSuspended(SuspendedGeneration suspended, Action end)
    {
        // First, so that whoever takes it over finds it there.
        _table.RetainSuspended(this, suspended.Bytes);
        lock (_lock)
        {
            _suspended = suspended;
            EndGrace();
            if (_readerCount + _holdCount == 0) ScheduleAdoptable();
            Record.Pause();
        }
        var registration = Generation.Cancellation.UnsafeRegister(static state => ((Action)state!)(), end);
        lock (_lock) _whenCancelled = registration;
    }

    /// <summary>It comes from a store, where it was suspended.</summary>
    /// <param name="suspended">As in <see cref="SetSuspended"/>.</param>
    /// <param name="end">As in <see cref="SetSuspended"/>.</param>
    public void Restore(SuspendedGeneration suspended, Action end)
    {
        lock (_lock)
        {
            _stretch = Production.EndedAt(suspended);
            // Somebody may have seen it, and knows its id.
            _hasSent = true;
            _restoredCount = Log.EventCount;
        }
        SetSuspended(suspended, end);
        SuspendedAge = TimeSpan.Zero;
    }

    /// <summary>Has the local engine stop at it, whoever reads; where something else makes it there is no effect.</summary>
    public void Suspend()
    {
        Production stretch;
        bool isAsked;
        lock (_lock)
        {
            stretch = _stretch;
            isAsked = stretch.Ask();
        }
        if (isAsked) stretch.Deliver();
    }

    /// <summary>Takes over a suspended answer in order to end it.</summary>
    /// <returns>Null when it isn't suspended, or somebody is about to go on with it, who will hear that it is to end.</returns>
    public SuspendedGeneration? TakeSuspended()
    {
        SuspendedGeneration? suspended;
        lock (_lock) (suspended, _suspended) = (_suspended, null);
        if (suspended is not null) _table.ReleaseSuspended(this);
        return suspended;
    }

    /// <summary>It comes from a store and has ended: there is nothing more to write down.</summary>
    public void SetRestored()
    {
        Generation.Retire();
        _produced.SetResult();
    }

    /// <summary>The log has ended, and nothing more is written down about it.</summary>
    public void SetProduced()
    {
        lock (_lock) EndGrace();
        Generation.Retire();
        // What is kept for minutes takes no more than it has to, and the pool's arrays are there for those that run.
        if (Owner.Retention != Retention.Off && _limits.Retention > TimeSpan.Zero) Log.Pack(_table.Blocks);
        _table.Retain(this);
        _produced.SetResult();
        TryDispose();
    }

    /// <summary>It has left the table: its memory is given back when nobody writes or reads it any more.</summary>
    public void Forget()
    {
        lock (_lock) _isForgotten = true;
        TryDispose();
    }

    private void LeaveIfLast()
    {
        bool isOrphan, isOver;
        Production stretch;
        var leaving = Leaving.Stays;
        lock (_lock)
        {
            stretch = _stretch;
            if (_readerCount + _holdCount > 0) return;
            _detachedAt = _time.GetTimestamp();
            if (Log.End is null && !_isForgotten) leaving = BeginGrace();
            _isAbandoned |= leaving == Leaving.Cancelled;
            isOrphan = Owner.Key is null && !_hasSent && !_isAbandoned && !_isForgotten;
            isOver = _isForgotten;
        }
        if (isOrphan) _table.AddOrphan(this);
        if (leaving == Leaving.Cancelled) Generation.Cancel(CancellationCause.ClientLeft);
        if (leaving == Leaving.Suspended) stretch.Deliver();
        if (isOver) TryDispose();
    }

    private Leaving BeginGrace()
    {
        switch (Owner)
        {
            case { OnDisconnect: DisconnectPolicy.Cancel }:
                return Leaving.Cancelled;
            case { OnDisconnect: DisconnectPolicy.Continue }:
                return Leaving.Stays;
            case { } when _stretch.IsAsked:
                if (_suspended is not null) ScheduleAdoptable();
                return Leaving.Stays;
            case { Key: null, Retention: not Retention.Off } when _stretch.Ask():
                return Leaving.Suspended;
            case { Key: null } when _hasSent:
                return Leaving.Cancelled;
            case { Key: null }:
                Schedule(_limits.UnseenGrace, static state => ((Answer)state!).Abandon(onlyLocal: false));
                return Leaving.Stays;
            default:
                Record.ContentMax = Record.ContentCount + _limits.DetachedContentMax;
                Schedule(_limits.Detached, static state => ((Answer)state!).Abandon(onlyLocal: true));
                return Leaving.Stays;
        }
    }

    // Nobody knows the id of what nobody has seen, so that after this time nobody can ask for it.
    private void ScheduleAdoptable()
    {
        if (Owner.Key is null && !_hasSent) Schedule(_limits.Adoptable, static state => ((Answer)state!).GiveUp());
    }

    private void GiveUp()
    {
        lock (_lock)
        {
            if (_readerCount + _holdCount > 0 || _grace is null) return;
            _isAbandoned = true;
        }
        Generation.Cancel(CancellationCause.ClientLeft);
    }

    private async Task<ApiError?> BeginAsync(Func<SuspendedGeneration, Production, Task<ApiError?>> begin, Action end)
    {
        if (TakeSuspended() is not { } from) return null;
        var stretch = new Production();
        lock (_lock)
        {
            _stretch = stretch;
            _whenCancelled.Unregister();
            Record.Resume();
        }
        ApiError? error = ApiErrors.ServerError();
        try
        {
            return error = await begin(from, stretch);
        }
        finally
        {
            if (error is not null)
            {
                lock (_lock) _stretch = Production.EndedAt(from);
                SetSuspended(from, end);
            }
        }
    }

    private void Schedule(TimeSpan grace, TimerCallback callback) => _grace = _time.CreateTimer(callback, this, grace, Timeout.InfiniteTimeSpan);

    private void EndGrace()
    {
        _stretch.Withdraw();
        Record.ContentMax = int.MaxValue;
        _grace?.Dispose();
        _grace = null;
    }

    // The work of a server that is paid by the answer is paid already; the hub's own engine has others to serve.
    private void Abandon(bool onlyLocal)
    {
        bool isSuspended;
        Production stretch;
        lock (_lock)
        {
            stretch = _stretch;
            if (_readerCount + _holdCount > 0 || _grace is null || _stretch.IsAsked) return;
            var isLocal = stretch.Ask();
            if (!isLocal && onlyLocal) return;
            isSuspended = isLocal && Owner.Retention != Retention.Off;
            _isAbandoned |= !isSuspended;
        }
        if (isSuspended) stretch.Deliver();
        else Generation.Cancel(CancellationCause.ClientLeft);
    }

    private void TryDispose()
    {
        lock (_lock)
        {
            if (!_isForgotten || _readerCount + _holdCount > 0 || !_produced.Task.IsCompleted) return;
        }
        Generation.Dispose();
    }
}
