using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
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
    private bool _hasSent;
    private bool _isAbandoned;
    private bool _isForgotten;
    private ITimer? _grace;
    private long _detachedAt;

    public Answer(AnswerTable table, Generation generation, AnswerOwner owner, string model, RequestRecord record, Limits limits, TimeProvider time)
    {
        (_table, Generation, Owner, Model, Record, _limits, _time) = (table, generation, owner, model, record, limits, time);
        Created = time.GetUtcNow().ToUnixTimeSeconds();
        record.ContentSpent = () => Abandon(onlyLocal: true);
    }

    public Generation Generation { get; }

    public StreamLog Log => Generation.Log;

    public string Id => Generation.Id;

    public AnswerOwner Owner { get; }

    /// <summary>The model that was asked for.</summary>
    public string Model { get; }

    /// <summary>Unix time in seconds.</summary>
    public long Created { get; init; }

    /// <summary>Whether the rest of it was lost with the process that made it: what there is can be looked at, but nobody can go on with it.</summary>
    public bool IsLost => Log.End?.Failure is ApiError { Code: ApiErrors.StreamLostCode };

    public RequestRecord Record { get; }

    /// <summary>Completes, always successfully, when the log has ended and everything about it is written down.</summary>
    public Task Produced => _produced.Task;

    /// <summary>The word of the API for where it stands.</summary>
    public string State => Generation.State switch
    {
        GenerationState.Running => HasReader ? "running" : "detached",
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

    /// <summary>Opens a reader behind the first <paramref name="position"/> events, of which there must be that many.</summary>
    /// <param name="position">Events that the client has.</param>
    /// <param name="response">What the events go to.</param>
    /// <param name="adopts">Whether another request's answer is taken over, which nobody may have seen anything of.</param>
    /// <param name="reader">The reader, to be disposed; null unless the outcome is <see cref="AttachOutcome.Attached"/>.</param>
    public AttachOutcome TryAttach(long position, HttpResponse response, bool adopts, out AnswerReader? reader)
    {
        reader = null;
        lock (_lock)
        {
            if (_isForgotten) return AttachOutcome.Gone;
            if (adopts && (_readerCount > 0 || _hasSent || _isAbandoned || _time.GetElapsedTime(_detachedAt) > _limits.Adoptable)) return AttachOutcome.Gone;
            if (_readerCount >= _limits.ReadersPerAnswer) return AttachOutcome.TooMany;
            if (position < Log.FirstEvent && !Log.IsSpilled) return AttachOutcome.Dropped;
            if (Log.TryOpenReader(position) is not { } cursor) return AttachOutcome.TooMany;
            _readerCount++;
            EndGrace();
            reader = new AnswerReader(this, cursor, response);
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
        await using var timer = _time.CreateTimer(_ => { Volatile.Write(ref isTimeUp, true); reader.Wake(); }, null, _limits.CursorWait, Timeout.InfiniteTimeSpan);
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
        bool cancels, isOrphan, isOver;
        lock (_lock)
        {
            _hasSent |= hasSent;
            if (--_readerCount > 0) return;
            _detachedAt = _time.GetTimestamp();
            cancels = Log.End is null && !_isForgotten && BeginGrace();
            _isAbandoned |= cancels;
            isOrphan = Owner.Key is null && !_hasSent && !_isAbandoned && !_isForgotten;
            isOver = _isForgotten;
        }
        if (isOrphan) _table.AddOrphan(this);
        if (cancels) Generation.Cancel(CancellationCause.ClientLeft);
        if (isOver) TryDispose();
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
        if (_limits.Retention > TimeSpan.Zero) Log.Pack();
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

    // True when it is to be cancelled at once.
    private bool BeginGrace()
    {
        switch (Owner)
        {
            case { OnDisconnect: DisconnectPolicy.Cancel }:
                return true;
            case { OnDisconnect: DisconnectPolicy.Continue }:
                return false;
            case { Key: null } when _hasSent:
                return true;
            case { Key: null }:
                Schedule(_limits.UnseenGrace, static state => ((Answer)state!).Abandon(onlyLocal: false));
                return false;
            default:
                Record.ContentMax = Record.ContentCount + _limits.DetachedContentMax;
                Schedule(_limits.Detached, static state => ((Answer)state!).Abandon(onlyLocal: true));
                return false;
        }
    }

    private void Schedule(TimeSpan grace, TimerCallback callback) => _grace = _time.CreateTimer(callback, this, grace, Timeout.InfiniteTimeSpan);

    private void EndGrace()
    {
        Record.ContentMax = int.MaxValue;
        _grace?.Dispose();
        _grace = null;
    }

    // The work of a server that is paid by the answer is paid already; the hub's own engine has others to serve.
    private void Abandon(bool onlyLocal)
    {
        lock (_lock)
        {
            if (_readerCount > 0 || _grace is null || (onlyLocal && Record.Upstream is { } name && name != UpstreamIdentity.Local)) return;
            _isAbandoned = true;
        }
        Generation.Cancel(CancellationCause.ClientLeft);
    }

    private void TryDispose()
    {
        lock (_lock)
        {
            if (!_isForgotten || _readerCount > 0 || !_produced.Task.IsCompleted) return;
        }
        Generation.Dispose();
    }
}
