using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>
/// The answers that the hub knows: those that run, those that are suspended, for <see cref="Limits.SuspendedRetention"/>, and those that
/// have ended,
/// for <see cref="Limits.Retention"/>; both within bounds, and the one that came first goes first. Thread-safe.
/// </summary>
internal sealed partial class AnswerTable : IDisposable
{
    private readonly record struct OwnKey(string Principal, string Key);

    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly AnswerRecorder? _recorder;
    private readonly ITimer _hiddenTimer;
    private readonly ITimer _suspendedTimer;

    // Guards all below. An answer's own lock may be taken under it, never the other way round.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Answer> _byId = new(StringComparer.Ordinal);
    private readonly Dictionary<OwnKey, Answer> _byKey = [];
    private readonly Dictionary<OwnKey, Answer> _turns = [];
    private readonly Dictionary<OwnKey, List<Answer>> _orphans = [];
    private readonly KeptAnswers _kept;
    private readonly KeptAnswers _hidden;
    private readonly KeptAnswers _suspended;
    private readonly Tombstones<string, string> _expired;
    private readonly Tombstones<OwnKey, bool> _expiredKeys;
    private readonly Tombstones<OwnKey, bool> _cancelledKeys;

    /// <param name="limits">Bounds.</param>
    /// <param name="time">Clock of all times.</param>
    /// <param name="recorder">Brings answers into a store; null keeps them in memory alone.</param>
    /// <param name="journal">Writes down what answers took; null for nobody.</param>
    public AnswerTable(Limits limits, TimeProvider time, AnswerRecorder? recorder = null, AnswerJournal? journal = null)
    {
        (_limits, _time, _recorder, Journal) = (limits, time, recorder, journal);
        Blocks = new PackedBlocks(limits.Streams);
        _expired = new Tombstones<string, string>(limits.ExpiredIdsMax, limits.ExpiredIds, time);
        _expiredKeys = new Tombstones<OwnKey, bool>(limits.ExpiredIdsMax, limits.ExpiredIds, time);
        _cancelledKeys = new Tombstones<OwnKey, bool>(limits.CancelledKeysMax, limits.CancelledKey, time);
        _kept = new KeptAnswers(limits.KeptAnswersMax, limits.KeptBytesMax, limits.Retention, time);
        _hidden = new KeptAnswers(limits.KeptAnswersMax, limits.KeptBytesMax, limits.ReplayedTurn, time);
        _suspended = new KeptAnswers(limits.SuspendedAnswersMax, limits.SuspendedBytesMax, limits.SuspendedRetention, time);
        _timer = time.CreateTimer(static state => ((AnswerTable)state!).Sweep(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _hiddenTimer = time.CreateTimer(static state => ((AnswerTable)state!).Sweep(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _suspendedTimer = time.CreateTimer(static state => ((AnswerTable)state!).Sweep(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Where the events of answers that have ended are.</summary>
    public PackedBlocks Blocks { get; }

    /// <summary>Writes down what answers took; null for nobody.</summary>
    public AnswerJournal? Journal { get; }

    /// <summary>Answers in the table.</summary>
    public int Count
    {
        get { lock (_lock) return _byId.Count; }
    }

    /// <summary>Memory of the answers that have ended.</summary>
    public long KeptBytes
    {
        get { lock (_lock) return _kept.Bytes; }
    }

    /// <summary>
    /// The answer with this owner's key if there is one to join; else one that has yet to be produced, or nothing where the table is full.
    /// </summary>
    /// <param name="id">Unique; of an answer that is made here.</param>
    /// <param name="owner">Who asks.</param>
    /// <param name="model">What is asked for.</param>
    /// <param name="record">Of an answer that is made here.</param>
    /// <param name="hotBytes">What its log keeps; null for the usual.</param>
    /// <param name="existing">The answer to join, which may be to another request.</param>
    public Answer? TryCreate(string id, AnswerIdentity owner, string model, RequestFigures record, int? hotBytes, out Answer? existing)
    {
        lock (_lock)
        {
            existing = null;
            // One that broke off gives its key away, and stays under its id.
            if (owner.Key is { } key && _byKey.TryGetValue(new OwnKey(owner.Principal, key), out existing)
                && !((existing.IsBroken || existing.IsSettled) && existing.Owner.Fingerprint.Matches(owner.Fingerprint))) return null;
            existing = null;
            if (_recorder is { IsFull: true }) return null;
            while (_byId.Count >= _limits.Streams.GenerationsMax)
            {
                if ((_hidden.TakeFirst() ?? _kept.TakeFirst() ?? _suspended.TakeFirst()) is not { } first) return null;
                Expire(first);
            }
            var streams = hotBytes is { } bytes ? _limits.Streams with { HotBytes = bytes } : _limits.Streams;
            var answer = new Answer(this, new Generation(id, streams), owner, model, record, _limits, _time);
            _byId.Add(id, answer);
            if (owner.Key is not null) _byKey[new OwnKey(owner.Principal, owner.Key)] = answer;
            return answer;
        }
    }

    /// <summary>
    /// The answer that the agent's turn had before this one; null where there was none. The agent has gone on, so it wants nothing more of it.
    /// </summary>
    public Answer? ReplaceInTurn(Answer answer)
    {
        if (TurnOf(answer) is not { } turn) return null;
        lock (_lock)
        {
            _turns.TryGetValue(turn, out var before);
            if (_byId.GetValueOrDefault(answer.Id) == answer) _turns[turn] = answer;
            return before;
        }
    }

    /// <summary>An answer of this principal.</summary>
    public bool TryFind(string id, string principal, [NotNullWhen(true)] out Answer? answer)
    {
        lock (_lock)
        {
            if (_byId.TryGetValue(id, out answer) && answer.Owner.Principal == principal) return true;
        }
        // Somebody else's is not there, for a caller that looks at it all the same too.
        answer = null;
        return false;
    }

    /// <summary>An answer, whosever it is.</summary>
    public Answer? Find(string id)
    {
        lock (_lock) return _byId.GetValueOrDefault(id);
    }

    /// <summary>The newest answers of these principals at a door, the newest first.</summary>
    /// <param name="principals">Whose.</param>
    /// <param name="dialect">Of the door.</param>
    /// <param name="max">No more than these.</param>
    public IReadOnlyList<Answer> FindLatest(IReadOnlyCollection<string> principals, AnswerDialect dialect, int max)
    {
        lock (_lock)
        {
            // Ids are in the order of time.
            return [.. _byId.Values
                .Where(answer => answer.Owner.Dialect == dialect && principals.Contains(answer.Owner.Principal))
                .OrderByDescending(static answer => answer.Id, StringComparer.Ordinal)
                .Take(max)];
        }
    }

    /// <summary>The newest answers, the newest first: those that run, and those that are kept.</summary>
    /// <param name="principals">Whose; null for everybody's.</param>
    /// <param name="max">No more than these.</param>
    public IReadOnlyList<Answer> FindLatest(IReadOnlyCollection<string>? principals, int max)
    {
        Answer[] all;
        lock (_lock) all = [.. _byId.Values.Where(answer => principals?.Contains(answer.Owner.Principal) != false)];
        // Ids are in the order of time behind the prefix of their door.
        return [.. all.OrderByDescending(static answer => answer.Id[answer.Owner.Dialect.IdPrefix.Length..], StringComparer.Ordinal).Take(max)];
    }

    /// <summary>An answer, whoever it belongs to; null where there is none. For administrators.</summary>
    public Answer? FindById(string id)
    {
        lock (_lock) return _byId.GetValueOrDefault(id);
    }

    /// <summary>The answer with this principal's key.</summary>
    public bool TryFindKey(string key, string principal, [NotNullWhen(true)] out Answer? answer)
    {
        lock (_lock) return _byKey.TryGetValue(new OwnKey(principal, key), out answer);
    }

    /// <summary>Whether an answer of this principal was kept here, and is no longer.</summary>
    public bool HasExpired(string id, string principal)
    {
        lock (_lock) return _expired.TryFind(id, out var owner) && owner == principal;
    }

    /// <summary>The same by key.</summary>
    public bool HasKeyExpired(string key, string principal)
    {
        lock (_lock) return _expiredKeys.TryFind(new OwnKey(principal, key), out _);
    }

    /// <summary>Takes out an answer that nothing has been asked of.</summary>
    public void Discard(Answer answer)
    {
        answer.Log.Cancel();
        Delete(answer);
        answer.SetEnded();
    }

    /// <summary>
    /// An answer to the same request that nobody has seen anything of, and that is kept as this one wants it; it may have been taken when
    /// it is attached to.
    /// </summary>
    public Answer? TakeOrphan(AnswerIdentity owner)
    {
        lock (_lock)
        {
            var key = new OwnKey(owner.Principal, owner.Fingerprint.Raw);
            if (!_orphans.TryGetValue(key, out var orphans)) return null;
            var orphan = orphans.FindLast(orphan => orphan.Owner.Retention == owner.Retention);
            if (orphan is not null) RemoveOrphan(orphan);
            return orphan;
        }
    }

    /// <summary>Its reader has left before anything was sent.</summary>
    public void AddOrphan(Answer answer)
    {
        lock (_lock)
        {
            if (_byId.GetValueOrDefault(answer.Id) != answer) return;
            var key = new OwnKey(answer.Owner.Principal, answer.Owner.Fingerprint.Raw);
            if (!_orphans.TryGetValue(key, out var orphans)) _orphans.Add(key, orphans = []);
            if (!orphans.Contains(answer)) orphans.Add(answer);
        }
    }

    /// <summary>
    /// The answer with this principal's key. Where there is none, a request with the key is not wanted for
    /// <see cref="Limits.CancelledKey"/>.
    /// </summary>
    public Answer? FindOrCancelKey(string key, string principal)
    {
        lock (_lock)
        {
            if (_byKey.TryGetValue(new OwnKey(principal, key), out var answer)) return answer;
            _cancelledKeys.Add(new OwnKey(principal, key), true);
            return null;
        }
    }

    /// <summary>
    /// See <see cref="FindOrCancelKey"/>; to be asked when an answer with the key is in the table, so that one of the two sees the other.
    /// </summary>
    public bool IsCancelled(string key, string principal)
    {
        lock (_lock) return _cancelledKeys.TryFind(new OwnKey(principal, key), out _);
    }

    /// <summary>
    /// Keeps the answer as it stands now. To be called after every change of that, in any order: the last call sees the last change.
    /// </summary>
    public void Place(Answer answer)
    {
        lock (_lock)
        {
            Place(answer, TimeSpan.Zero);
            Sweep();
        }
    }

    /// <summary>Takes an answer out at its owner's wish: nothing tells that it was there.</summary>
    public void Delete(Answer answer)
    {
        lock (_lock)
        {
            _kept.Remove(answer);
            _hidden.Remove(answer);
            _suspended.Remove(answer);
            Remove(answer);
            if (answer.Owner.Retention == Retention.Store) _recorder?.Delete(answer.Id);
        }
    }

    /// <summary>What was asked of an answer; null where it is not kept.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> FindRequestAsync(Answer answer, CancellationToken cancellation)
    {
        if (answer.Request.Length > 0) return answer.Request;
        if (answer.Owner.Retention != Retention.Store || _recorder is null) return null;
        if (await _recorder.FindRequestAsync(answer.Id, cancellation) is { } known) return known.Body;
        // It has not been written yet.
        await _recorder.FlushAsync();
        return (await _recorder.FindRequestAsync(answer.Id, cancellation))?.Body;
    }

    /// <summary>Cancels everything that runs.</summary>
    public void CancelAll(CancellationCause cause)
    {
        Answer[] answers;
        lock (_lock) answers = [.. _byId.Values];
        foreach (var answer in answers) answer.Cancel(cause);
    }

    /// <summary>Ends what runs of one owner.</summary>
    /// <returns>How many answers that were.</returns>
    public int CancelAllOf(string principal, CancellationCause cause)
    {
        Answer[] answers;
        lock (_lock) answers = [.. _byId.Values.Where(answer => answer.Owner.Principal == principal && !answer.IsEnded)];
        foreach (var answer in answers) answer.Cancel(cause);
        return answers.Length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        _hiddenTimer.Dispose();
        _suspendedTimer.Dispose();
    }

    private void Sweep()
    {
        lock (_lock)
        {
            Sweep(_kept, _timer);
            Sweep(_hidden, _hiddenTimer);
            Sweep(_suspended, _suspendedTimer);
        }
    }

    private void Sweep(KeptAnswers kept, ITimer timer)
    {
        TimeSpan next;
        while (kept.TakeDue(out next) is { } answer) Expire(answer);
        timer.Change(next, Timeout.InfiniteTimeSpan);
    }

    private void Expire(Answer answer)
    {
        _expired.Add(answer.Id, answer.Owner.Principal);
        if (answer.Owner.Key is { } key) _expiredKeys.Add(new OwnKey(answer.Owner.Principal, key), true);
        Remove(answer);
        if (answer.Owner.Retention == Retention.Store)
            _recorder?.Expire(new StoredTombstone(answer.Id, answer.Owner.Principal, answer.Owner.Key, _time.GetUtcNow()));
        if (answer.Log.End is null) _ = CancelLaterAsync(answer);
    }

    // Nobody makes a suspended one, and its memory goes when it has ended. Not under the lock, for a cancel calls others.
    private static async Task CancelLaterAsync(Answer answer)
    {
        await Task.Yield();
        answer.Cancel(CancellationCause.ClientLeft);
    }

    // Age is how long it has been like that elsewhere.
    private void Place(Answer answer, TimeSpan age)
    {
        // One that another hub makes is read here beside this hub's own of the same id, after that was taken over.
        if (_byId.GetValueOrDefault(answer.Id) != answer) return;
        _kept.Remove(answer);
        _hidden.Remove(answer);
        _suspended.Remove(answer);
        if (answer.IsEnded && answer.Owner.Retention == Retention.Off)
        {
            Remove(answer);
        }
        else if (answer.IsEnded)
        {
            // The log, and what the table and the answer itself are made of.
            var kept = answer.Owner.IsHidden ? _hidden : _kept;
            kept.Add(answer, answer.Log.HeldBytes + answer.Request.Length + _limits.AnswerOverheadBytes, age);
            Relieve();
        }
        else if (answer.Suspended is { } snapshot)
        {
            _suspended.Add(answer, answer.Log.HeldBytes + snapshot.Bytes + _limits.AnswerOverheadBytes, age);
        }
    }

    private void Remove(Answer answer)
    {
        if (_byId.GetValueOrDefault(answer.Id) != answer) return;
        _byId.Remove(answer.Id);
        if (answer.Owner.Key is { } key)
        {
            var own = new OwnKey(answer.Owner.Principal, key);
            if (_byKey.TryGetValue(own, out var current) && current == answer) _byKey.Remove(own);
        }
        if (TurnOf(answer) is { } turn && _turns.TryGetValue(turn, out var last) && last == answer) _turns.Remove(turn);
        RemoveOrphan(answer);
        answer.Forget();
    }

    // The key of a turn's request is the turn and the request.
    private static OwnKey? TurnOf(Answer answer) =>
        answer.Owner is { Turn: TurnKind.Turn, Key: { } key } ? new OwnKey(answer.Owner.Principal, key[..key.LastIndexOf(' ')]) : null;

    private void RemoveOrphan(Answer answer)
    {
        var key = new OwnKey(answer.Owner.Principal, answer.Owner.Fingerprint.Raw);
        if (_orphans.TryGetValue(key, out var orphans) && orphans.Remove(answer) && orphans.Count == 0) _orphans.Remove(key);
    }
}
