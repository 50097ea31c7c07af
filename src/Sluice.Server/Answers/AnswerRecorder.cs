using System.Buffers;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;

namespace Sluice.Server.Answers;

/// <summary>
/// Brings answers into a store while they are made: every <see cref="Limits.StoreInterval"/> one commit for all that has come to all of
/// them. It asks
/// the logs; whoever appends to them knows nothing of it. Thread-safe.
/// </summary>
/// <remarks>
/// While the store fails, answers go on in memory, which lets go of nothing that the store has not got, and the commit is tried again. When
/// memory is
/// used up too, <see cref="IsFull"/> says so, and no new answers may be begun.
/// </remarks>
internal sealed partial class AnswerRecorder : IDisposable
{
    // One answer that the store has not got as a whole. The fields are those of the commit that runs.
    private sealed class Entry(Answer answer, ReadOnlyMemory<byte> body, bool isBegun, long recordedCount)
    {
        public Answer Answer => answer;

        public ReadOnlyMemory<byte> Body { get; set; } = body;

        // The same also when the store has it: a store may lose it, and whoever makes the answer holds it all the while. Empty where it came from the store.
        public ReadOnlyMemory<byte> Request { get; } = body;

        public bool IsBegun { get; set; } = isBegun;

        public long RecordedCount { get; set; } = recordedCount;

        // Events that the engine's progress in the store accounts for; -1 where there is none.
        public long ProgressCount { get; set; } = -1;

        // Whether the store has the exact tokens beside the progress.
        public bool HasUsage { get; set; }

        // What the store has of who is charged; the same object as it was then.
        public string? Charge { get; set; }

        // Under the recorder's lock.
        public bool HasLeft { get; set; }
    }

    private readonly record struct Taken(Entry Entry, AnswerChange Change, bool HasUsage);

    private readonly IAnswerStore _store;
    private readonly Limits _limits;
    private readonly long _bytesMax;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly Counter<long>? _commits;
    private readonly Counter<long>? _events;
    private readonly Counter<long>? _reads;

    // Guards all below.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly List<StoredTombstone> _expired = [];
    private readonly List<string> _deleted = [];
    private List<TaskCompletionSource<bool>> _flushes = [];
    private List<TaskCompletionSource<bool>> _removals = [];
    private bool _isRunning;
    private bool _isArmed;
    private bool _isDisposed;
    private volatile bool _isFull;
    private volatile StoreException? _fault;

    /// <param name="store">Not opened yet; belongs to the caller.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="bytesMax">Bytes that the store may hold; beyond most of them ended answers have to go.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Told when the store fails, and when it works again.</param>
    /// <param name="meter">Gets the instruments; null for nobody.</param>
    public AnswerRecorder(IAnswerStore store, Limits limits, long bytesMax, TimeProvider time, ILogger logger, Meter? meter = null)
    {
        (_store, _limits, _bytesMax, _time, _logger) = (store, limits, bytesMax, time, logger);
        _timer = time.CreateTimer(static state => _ = ((AnswerRecorder)state!).RunAsync(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        if (meter is null) return;
        _commits = meter.CreateCounter<long>("sluice.store.commits", "{commit}", "Commits of answers to the store.");
        _events = meter.CreateCounter<long>("sluice.store.events", "{event}", "Events that were committed to the store, each once.");
        _reads = meter.CreateCounter<long>("sluice.store.reads", "{read}", "Slices of answers that were read from the store, for readers that were behind.");
        meter.CreateObservableGauge("sluice.store.degraded", () => IsDegraded ? 1L : 0L, "{state}", "Whether the store fails, and answers are kept in memory alone: 1 or 0.");
        meter.CreateObservableGauge("sluice.store.size", () => StoredBytes, "By", "Events and requests in the store.");
    }

    /// <summary>
    /// An answer belongs to another process by now, or the store has lost a part of it, and nothing more of it is recorded here; with its request, which is
    /// empty where it came from the store. Raised outside of all locks.
    /// </summary>
    public event Action<Answer, ReadOnlyMemory<byte>>? Refused;

    /// <summary>Id of the ledger that settles what begins here, for other hubs; null where there is none.</summary>
    public string? Ledger { get; set; }

    /// <summary>Whether the store failed last time.</summary>
    public bool IsDegraded => _fault is not null;

    /// <summary>Whether there is no room for more answers: the memory is used up, and the store doesn't relieve it.</summary>
    public bool IsFull => _isFull;

    /// <summary>Opens the store and tells what it has.</summary>
    /// <exception cref="StoreException">It can't be opened or read.</exception>
    public async Task<StoreContents> OpenAsync(CancellationToken cancellation)
    {
        await _store.OpenAsync(cancellation);
        var contents = await _store.LoadAsync(cancellation);
        lock (_lock)
        {
            foreach (var answer in contents.Answers) Count(answer.Id, answer.ByteCount);
            Measure(_store.UsedBytes);
        }
        return contents;
    }

    /// <summary>Brings an answer into the store from now on, until it has its end there.</summary>
    /// <param name="answer">Without events, unless it comes from the store.</param>
    /// <param name="body">The request as the client wrote it, not to change any more.</param>
    public void Add(Answer answer, ReadOnlyMemory<byte> body) => Add(new Entry(answer, body, isBegun: false, recordedCount: 0));

    /// <summary>Whether an answer could be gone on with from what the store has of it. After a flush.</summary>
    public bool CanRelease(Answer answer)
    {
        lock (_lock) return _entries.GetValueOrDefault(answer.Id) is { IsBegun: true, ProgressCount: >= 0 };
    }

    /// <summary>Leaves an answer in the store as it is there, whatever becomes of it here. After a flush.</summary>
    /// <returns>Whether it can be gone on with from there.</returns>
    public bool Release(Answer answer)
    {
        lock (_lock)
        {
            if (!_entries.Remove(answer.Id, out var entry)) return false;
            entry.HasLeft = true;
            return entry is { IsBegun: true, ProgressCount: >= 0 };
        }
    }

    /// <summary>Records an answer again that was <see cref="Refused"/>, from where the store has lost it.</summary>
    /// <param name="answer">Which one.</param>
    /// <param name="body">The request, where the store has lost that too.</param>
    /// <param name="storedCount">Events that the store has; null where it doesn't know the answer.</param>
    /// <returns>False where this hub has not got what is missing any more.</returns>
    public bool TryAddAgain(Answer answer, ReadOnlyMemory<byte> body, long? storedCount)
    {
        if (!answer.Log.SetLost(storedCount ?? 0)) return false;
        Add(new Entry(answer, body, isBegun: storedCount is not null, storedCount ?? 0));
        return true;
    }

    /// <summary>Goes on with an answer that the store knows.</summary>
    /// <param name="answer">Comes from the store.</param>
    /// <param name="isSuspended">Whether the store has what the engine can go on from, for all events of its log.</param>
    public void Resume(Answer answer, bool isSuspended)
    {
        var count = answer.Log.StoredEvents;
        Add(new Entry(answer, default, isBegun: true, count) { ProgressCount = isSuspended ? count : -1, HasUsage = isSuspended && answer.Record is { Usage: not null, IsUsageEstimated: false } });
    }

    /// <summary>Lets readers of the answer's log have events from the store.</summary>
    public void Attach(Answer answer)
    {
        var id = answer.Id;
        answer.Log.SpillTo((position, output, addEvent, bytesMax) => ReadAsync(id, position, output, addEvent, bytesMax));
    }

    /// <summary>The answer is no longer kept.</summary>
    public void Expire(StoredTombstone trace)
    {
        lock (_lock)
        {
            Leave(trace.Id);
            _expired.Add(trace);
            Arm(_limits.StoreInterval);
        }
    }

    /// <summary>The answer goes without a trace.</summary>
    public void Delete(string id)
    {
        lock (_lock)
        {
            Leave(id);
            _deleted.Add(id);
            Arm(_limits.StoreInterval);
        }
    }

    /// <summary>Commits all that there is now. False when that was not possible.</summary>
    public Task<bool> FlushAsync() => FlushAsync(onlyRemovals: false);

    /// <summary>Commits what is to be removed, and does not wait for all that is to be added. False when that was not possible.</summary>
    public Task<bool> FlushRemovalsAsync() => FlushAsync(onlyRemovals: true);

    private Task<bool> FlushAsync(bool onlyRemovals)
    {
        var flush = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            // Nobody runs any more.
            if (_isDisposed) return Task.FromResult(false);
            (onlyRemovals ? _removals : _flushes).Add(flush);
        }
        _ = RunAsync();
        return flush.Task;
    }

    /// <summary>What was asked, and how far the engine had come.</summary>
    /// <exception cref="StoreException">The store can't be read.</exception>
    public ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation) => _store.FindRequestAsync(id, cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock) _isDisposed = true;
        _timer.Dispose();
    }

    private void Add(Entry entry)
    {
        Attach(entry.Answer);
        lock (_lock)
        {
            _entries[entry.Answer.Id] = entry;
            Arm(_limits.StoreInterval);
        }
    }

    private async ValueTask<int> ReadAsync(string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax)
    {
        try
        {
            _reads?.Add(1);
            return await _store.ReadAsync(id, position, output, addEvent, bytesMax, CancellationToken.None);
        }
        catch (StoreException exception)
        {
            LogUnread(id, exception.Message);
            return 0;
        }
    }

    // One at a time; never throws.
    private async Task RunAsync()
    {
        lock (_lock)
        {
            if (_isRunning || _isDisposed) return;
            (_isRunning, _isArmed) = (true, false);
        }
        while (true)
        {
            List<TaskCompletionSource<bool>> flushes, removals;
            lock (_lock) (flushes, _flushes, removals, _removals) = (_flushes, [], _removals, []);
            // By itself and first: it makes room, which a store that is too full for the rest would take back with it.
            var (going, bytes) = GatherGoing();
            var isCommitted = going.IsEmpty || await TryCommitAsync(going) is not null;
            var hasMore = false;
            if (isCommitted) SettleGoing(going, bytes);
            foreach (var removal in removals) removal.SetResult(isCommitted);
            if (isCommitted)
            {
                (var batch, var taken, hasMore) = Gather();
                var refused = batch.IsEmpty ? [] : await TryCommitAsync(batch);
                isCommitted = refused is not null;
                if (refused is { Count: > 0 }) GiveUp(taken, refused);
                if (isCommitted) Settle(taken);
            }
            lock (_lock)
            {
                if (hasMore && isCommitted)
                {
                    _flushes.AddRange(flushes);
                    continue;
                }
                foreach (var flush in flushes) flush.SetResult(isCommitted);
                if (_flushes.Count + _removals.Count > 0) continue;
                _isRunning = false;
                if (_entries.Count + _expired.Count + _deleted.Count > 0) Arm(isCommitted ? _limits.StoreInterval : _limits.StoreRetry);
                return;
            }
        }
    }

    // What was refused; null where the store has failed.
    private async Task<IReadOnlyList<string>?> TryCommitAsync(StoreBatch batch)
    {
        try
        {
            var refused = await _store.CommitAsync(batch, CancellationToken.None);
            _commits?.Add(1);
            if (_fault is null) return refused;
            _fault = null;
            LogRecovered(_store.Name);
            return refused;
        }
        catch (StoreException exception)
        {
            Degrade(exception);
            return null;
        }
#pragma warning disable CA1031 // Answers go on whatever befalls their store, and the next commit begins anew.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Degrade(new StoreException(StoreFault.Failed, $"The store of answers {_store.Name} fails: {exception.Message.TrimEnd('.')}.", exception));
            return null;
        }
    }

    // Another process has them now.
    private void GiveUp(List<Taken> taken, IReadOnlyList<string> refused)
    {
        var given = taken.FindAll(one => refused.Contains(one.Change.Id));
        taken.RemoveAll(one => refused.Contains(one.Change.Id));
        lock (_lock) foreach (var (entry, change, _) in given) if (_entries.GetValueOrDefault(change.Id) == entry) Leave(change.Id);
        foreach (var (entry, _, _) in given) Refused?.Invoke(entry.Answer, entry.Request);
    }

    private void Degrade(StoreException fault)
    {
        if (_fault is null) LogDegraded(fault.Message);
        _fault = fault;
        // A commit didn't fit into what is left, so that with the next answer that ends others go. Where the disk is full, they would go
        // for nothing.
        if (fault.Fault == StoreFault.Full && _store.UsedBytes > _bytesMax / 2) lock (_lock) Measure(_bytesMax);
        Relieve();
    }

    private void SettleGoing(StoreBatch batch, long bytes)
    {
        if (batch.IsEmpty) return;
        lock (_lock)
        {
            _expired.RemoveRange(0, batch.Expired.Count);
            _deleted.RemoveRange(0, batch.Deleted.Count);
            _goingBytes -= bytes;
            Measure(_store.UsedBytes);
        }
    }

    private void Settle(List<Taken> taken)
    {
        lock (_lock)
        {
            foreach (var (entry, change, _) in taken)
            {
                var bytes = change.Events.Length + entry.Body.Length;
                if (entry.HasLeft)
                {
                    // It goes with the next commit.
                    _goingBytes += bytes;
                    continue;
                }
                Count(change.Id, bytes);
                if (change.End is not null) _entries.Remove(change.Id);
            }
            if (taken.Count > 0) Measure(_store.UsedBytes);
        }
        foreach (var (entry, change, hasUsage) in taken)
        {
            (entry.IsBegun, entry.Body, entry.HasUsage) = (true, default, hasUsage);
            entry.RecordedCount += change.Ends.Count;
            if (change.Charge is { } charge) entry.Charge = charge;
            if (change.Progress is { } progress) entry.ProgressCount = progress.IsEmpty ? -1 : entry.RecordedCount;
            entry.Answer.Log.SetStored(entry.RecordedCount, change.Events.Length);
            _events?.Add(change.Ends.Count);
        }
        Relieve();
    }

    // Holds the memory of running answers to its bound, as far as the store has them.
    private void Relieve()
    {
        Entry[] entries;
        lock (_lock) entries = [.. _entries.Values];
        var bytes = entries.Sum(BytesOf);
        if (bytes > _limits.HotBytesMax)
        {
            foreach (var entry in entries) entry.Answer.Log.Shed(_limits.HotBytesMin);
            bytes = entries.Sum(BytesOf);
        }
        _isFull = bytes > _limits.HotBytesMax;
    }

    // The request is held until the store has it.
    private static long BytesOf(Entry entry) => (long)entry.Answer.Log.RetainedBytes + entry.Body.Length;

    // Under the lock.
    private void Arm(TimeSpan wait)
    {
        if (_isRunning || _isDisposed || _isArmed) return;
        _isArmed = true;
        _timer.Change(wait, Timeout.InfiniteTimeSpan);
    }

    [LoggerMessage(1, LogLevel.Error, "{Message} Until then answers are kept in memory alone.")]
    private partial void LogDegraded(string message);

    [LoggerMessage(2, LogLevel.Warning, "The store of answers {Name} works again, and has all that came meanwhile.")]
    private partial void LogRecovered(string name);

    [LoggerMessage(3, LogLevel.Warning, "{Id} can't be read from the store. {Message}")]
    private partial void LogUnread(string id, string message);
}
