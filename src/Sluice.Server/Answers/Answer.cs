using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Hooks;
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

/// <summary>
/// One answer: whose it is, its log, and where it stands. It belongs to the hub: it may run on without a reader, and stays for a while
/// after its end.
/// Thread-safe.
/// </summary>
internal sealed partial class Answer
{
    private readonly AnswerTable _table;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly TaskCompletionSource _produced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _restoredCount = -1;
    private volatile bool _isDelivered;

    /// <param name="table">Knows it.</param>
    /// <param name="generation">
    /// Its id, log and cancellation. One whose log has ended has ended before, and everything about it is written down.
    /// </param>
    /// <param name="owner">Who asked, and for what.</param>
    /// <param name="model">The model that was asked for.</param>
    /// <param name="record">What it takes.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="time">Clock of all times.</param>
    /// <param name="suspended">What it is to be continued from, where it comes from a store suspended.</param>
    public Answer(
        AnswerTable table, Generation generation, AnswerIdentity owner, string model, RequestFigures record, Limits limits,
        TimeProvider time, AnswerSnapshot? suspended = null)
    {
        (_table, Generation, Owner, Model, Record, _limits, _time) = (table, generation, owner, model, record, limits, time);
        Created = time.GetUtcNow().ToUnixTimeSeconds();
        _life = new Life.Running(new Production());
        if (suspended is not null)
        {
            _life = new Life.Suspended(suspended);
            // It comes from an earlier process. Somebody may have seen it, and knows its id.
            (_hasSent, _restoredCount) = (true, Log.EventCount);
            record.Pause();
            record.AddInFlight(-1);
        }
        else if (Log.End is not null)
        {
            _life = Life.Ended.Instance;
            _hasSent = true;
            generation.Retire();
            _produced.SetResult();
        }
    }

    public Generation Generation { get; }

    public StreamLog Log => Generation.Log;

    public string Id => Generation.Id;

    public AnswerIdentity Owner { get; }

    /// <summary>The model that was asked for.</summary>
    public string Model { get; }

    /// <summary>Unix time in seconds.</summary>
    public long Created { get; init; }

    public RequestFigures Record { get; }

    /// <summary>Writes its texts into the request's span; null where nothing is captured.</summary>
    public ContentCapture? Capture { get; set; }

    /// <summary>What its question is called in the cache, how it is kept there, and of which model it must be; null where it is not.</summary>
    public (string Key, CacheOptions Options, string ModelId)? CacheKey { get; set; }

    /// <summary>Who asked, for the hook after it; null where there is none, or it began in an earlier process.</summary>
    public HookSubject? Subject { get; set; }

    /// <summary>The request as it was answered, where later ones may go on from it and no store has it; else empty.</summary>
    public ReadOnlyMemory<byte> Request { get; set; }

    /// <summary>
    /// Whether a client has got to the end of it, so that the same words are a new question. Only of answers that the hub itself found to be
    /// retried, within a session and not within one turn.
    /// </summary>
    public bool IsSettled => Owner.Turn == TurnKind.Session && _isDelivered && Log.End is not null;

    /// <summary>Where its events come from, where another hub makes it; else null.</summary>
    public Following? Following { get => Volatile.Read(ref _following); init => _following = value; }

    /// <summary>A client has got to its end.</summary>
    public void SetDelivered() => _isDelivered = true;

    /// <summary>Completes, always successfully, when the log has ended and everything about it is written down.</summary>
    public Task Produced => _produced.Task;

    /// <summary>
    /// Whether the rest of it was lost with the process that made it: what there is can be looked at, but nobody can continue it.
    /// </summary>
    public bool IsLost => Log.End?.Failure is ApiError { Code: ApiErrors.StreamLostCode };

    /// <summary>The word of the API for where it stands.</summary>
    public string State => Log.End?.Kind switch
    {
        null => Following?.State ?? (IsSuspended ? "suspended" : HasReader ? "running" : "detached"),
        StreamEndKind.Completed => "completed",
        StreamEndKind.Failed => "failed",
        _ => "cancelled",
    };

    /// <summary>
    /// Whether the same request has to be made anew: this one broke off, or was given up. A refusal that the request itself is at fault for
    /// stands.
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

    /// <summary>Opens a reader behind the first <paramref name="position"/> events, of which there must be that many.</summary>
    /// <param name="position">Events that the client has.</param>
    /// <param name="adopts">Whether another request's answer is taken over, which nobody may have seen anything of.</param>
    /// <param name="reader">The reader, to be disposed; null unless the outcome is <see cref="AttachOutcome.Attached"/>.</param>
    public AttachOutcome TryAttach(long position, bool adopts, out AnswerConnection? reader)
    {
        reader = null;
        lock (_lock)
        {
            if (_isForgotten || (adopts && !IsAdoptable)) return AttachOutcome.Gone;
            if (_readerCount >= _limits.ReadersPerAnswer) return AttachOutcome.TooMany;
            if (position < Log.FirstEvent && !Log.IsSpilled) return AttachOutcome.Dropped;
            if (Log.TryOpenReader(position) is not { } cursor) return AttachOutcome.TooMany;
            _readerCount++;
            EndGrace();
            reader = new AnswerConnection(this, cursor);
            _connections.Add(reader);
            // Its budget may have stopped it again before the reader came, and others have been sent away.
            if (_isHeldBack && _continuing is null && !adopts) reader.Cursor.Dismiss(HeldBack);
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
        var wait = Log.EventCount == _restoredCount || Following is not null ? _limits.RestoredCursorWait : _limits.CursorWait;
        await using var timer = _time.CreateTimer(
            _ =>
            {
                Volatile.Write(ref isTimeUp, true);
                reader.Wake();
            },
            null, wait, Timeout.InfiniteTimeSpan);
        await using var left = cancellation.UnsafeRegister(static state => ((StreamLogReader)state!).Wake(), reader);
        while (Log.EventCount < position)
        {
            if (Log.End is not null || Volatile.Read(ref isTimeUp) || cancellation.IsCancellationRequested) return false;
            await reader.WaitAsync();
            reader.SkipToEnd();
        }
        return true;
    }
}
