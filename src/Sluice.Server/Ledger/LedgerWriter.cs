using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;

namespace Sluice.Server.Ledger;

/// <summary>
/// Brings rows into the ledger: what has come within <see cref="Limits.LedgerInterval"/> in one commit, in the order in which it came. While
/// the file fails, rows wait in memory and the commit is tried again. Thread-safe.
/// </summary>
internal sealed partial class LedgerWriter : IDisposable
{
    // Answers in one transaction.
    private const int BatchMax = 2000;

    // Rows of keys without budgets wait too, and nobody refuses those: up to this many times the bound.
    private const int LostFactor = 10;

    private readonly LedgerFile _file;
    private readonly Limits _limits;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly TaskScheduler _scheduler;

    // Reads beside commits: who asks it must not wait for one.
    private readonly LedgerFile _reader;
    private readonly Lock _reading = new();
    private FileStream? _claim;

    // The file is used by one thread at a time.
    private readonly SemaphoreSlim _turn = new(1);

    // Guards all below.
    private readonly Lock _lock = new();
    private readonly List<LedgerEntry> _waiting = [];
    private List<TaskCompletionSource<bool>> _flushes = [];
    private Counter<long>? _rows;

    // Places of rows of beginnings, counted over all that ever waited.
    private readonly Dictionary<string, long> _begun = new(StringComparer.Ordinal);
    private long _committedCount;
    private int _inCommit;
    private int _lostCount;
    private bool _isRunning;
    private bool _isArmed;
    private bool _isDisposed;
    private volatile LedgerException? _fault;

    /// <param name="file">Disposed here.</param>
    /// <param name="isStrict">See <see cref="Configuration.LedgerOptions.IsStrict"/>.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Told when the ledger fails, and when it works again.</param>
    /// <param name="scheduler">Where the file is read and written: these calls block. Null for the pool.</param>
    public LedgerWriter(LedgerFile file, bool isStrict, Limits limits, TimeProvider time, ILogger logger, TaskScheduler? scheduler = null)
    {
        (_file, IsStrict, _limits, _logger, _reader) = (file, isStrict, limits, logger, new LedgerFile(file.Path));
        _scheduler = scheduler ?? TaskScheduler.Default;
        _timer = time.CreateTimer(static state => _ = ((LedgerWriter)state!).RunAsync(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Tells of itself from now on.</summary>
    /// <param name="meter">Gets the instruments.</param>
    public void Measure(Meter meter)
    {
        _rows = meter.CreateCounter<long>("sluice.ledger.rows", "{row}", "Rows of answers and attempts that were committed to the ledger.");
        meter.CreateObservableGauge("sluice.ledger.pending", () => (long)Pending, "{entry}", "Answers whose rows wait for the ledger.");
        meter.CreateObservableGauge("sluice.ledger.degraded", () => IsDegraded ? 1L : 0L, "{state}", "Whether the ledger fails: 1 or 0.");
    }

    public bool IsStrict { get; }

    /// <summary>See <see cref="Configuration.LedgerOptions.ServesUnwritten"/>.</summary>
    public bool ServesUnwritten { get; init; }

    /// <summary>Whether the file failed last time.</summary>
    public bool IsDegraded => _fault is not null;

    /// <summary>Whether as many rows wait as memory is to hold: whoever has a budget may begin nothing more.</summary>
    public bool IsFull => Pending >= _limits.LedgerPendingMax;

    /// <summary>Entries that wait.</summary>
    public int Pending
    {
        get { lock (_lock) return _waiting.Count; }
    }

    /// <summary>Rows to be committed soon.</summary>
    public void Add(LedgerEntry entry)
    {
        lock (_lock)
        {
            if (_isDisposed) return;
            if (TryReplace(entry)) return;
            // Nothing that is made must take the memory of all: the newest rows are those that the file misses least.
            if (_waiting.Count >= _limits.LedgerPendingMax * LostFactor)
            {
                if (++_lostCount == 1) LogFull(_file.Path, _waiting.Count);
                return;
            }
            if (entry is { Answer.Ended: null, Attempts.Count: 0 }) _begun[entry.Answer.Id] = _committedCount + _waiting.Count;
            _waiting.Add(entry);
            Arm(_limits.LedgerInterval);
        }
    }

    // The row of an answer's beginning that waits still says no more than that of its end, which comes in its place: short answers are written
    // once.
    private bool TryReplace(LedgerEntry entry)
    {
        if (!_begun.Remove(entry.Answer.Id, out var place) || place < _committedCount + _inCommit) return false;
        _waiting[(int)(place - _committedCount)] = entry;
        return true;
    }

    /// <summary>Keeps other hubs from the file for as long as this one lives: each would settle what the other makes.</summary>
    /// <exception cref="LedgerException">Another hub has it.</exception>
    public void Claim()
    {
        try
        {
            _file.Open();
            _claim ??= new FileStream(_file.Path + "-lock", StoreFile.OptionsOf(FileMode.OpenOrCreate, FileShare.None));
        }
        catch (IOException exception)
        {
            throw new LedgerException($"The ledger {_file.Path} is in use by another hub; end that, or name another file with ledger.path.", exception);
        }
    }

    /// <summary>What was settled since a moment, rows that wait included.</summary>
    /// <param name="scope">As for <see cref="LedgerFile.Count(string?, string, long, bool)"/>.</param>
    /// <param name="id">As there.</param>
    /// <param name="since">As there.</param>
    /// <param name="isMoney">As there.</param>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public long Count(string? scope, string id, long since, bool isMoney)
    {
        // Taken before the file is read: what is committed meanwhile is there, and left out here.
        AttemptRow[] waiting;
        lock (_lock) waiting = FindWaiting();
        lock (_reading)
        {
            AttemptRow[] own = [.. waiting.Where(row => row.Began >= since && (scope switch { null => true, "key" => row.Key == id, _ => row.Project == id }))];
            var (settled, missing) = _reader.Count(scope, id, since, isMoney, own);
            return settled + missing.Sum(row => AmountOf(row, scope is null, isMoney));
        }
    }

    // Under the lock. Of a row that has come twice the later one holds.
    private AttemptRow[] FindWaiting()
    {
        var rows = new Dictionary<(string, int), AttemptRow>();
        foreach (var entry in _waiting)
            foreach (var row in entry.Attempts) rows[(row.Answer, row.Number)] = row;
        return [.. rows.Values];
    }

    private static long AmountOf(AttemptRow row, bool isHub, bool isMoney) => (isHub, isMoney) switch
    {
        (true, true) => row.CostNanoUsd,
        (true, false) => row.Usage.TotalTokens,
        (false, true) => row.ChargeNanoUsd,
        _ => row.ChargedTokens,
    };

    /// <summary>Commits all that waits, now. False when that was not possible.</summary>
    public Task<bool> FlushAsync()
    {
        var flush = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_isDisposed) return Task.FromResult(false);
            _flushes.Add(flush);
        }
        _ = RunAsync();
        return flush.Task;
    }

    /// <summary>Reads or writes the file beside the rows; blocks a thread of the pool meanwhile.</summary>
    /// <exception cref="LedgerException">The file can't be read or written.</exception>
    public async Task<T> UseAsync<T>(Func<LedgerFile, T> use)
    {
        await _turn.WaitAsync();
        try
        {
            return await Task.Factory.StartNew(() => use(_file), CancellationToken.None, TaskCreationOptions.DenyChildAttach, _scheduler);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed) return;
            _isDisposed = true;
        }
        _timer.Dispose();
        _turn.Wait();
        try
        {
            if (_waiting.Count > 0) _file.Commit(_waiting);
        }
        catch (LedgerException exception)
        {
            LogLost(_waiting.Count, exception.Message);
        }
        _file.Dispose();
        lock (_reading) _reader.Dispose();
        _claim?.Dispose();
        // Nobody else has the turn, and whoever wants one gets an exception.
        _turn.Dispose();
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
            List<LedgerEntry> batch;
            List<TaskCompletionSource<bool>> flushes;
            // They stay until they are in the file, so that nobody finds them in neither place.
            lock (_lock)
            {
                (batch, flushes, _flushes) = ([.. _waiting.Take(BatchMax)], _flushes, []);
                _inCommit = batch.Count;
            }
            var isCommitted = batch.Count == 0 || await TryCommitAsync(batch);
            var hasMore = false;
            lock (_lock)
            {
                if (isCommitted)
                {
                    _waiting.RemoveRange(0, batch.Count);
                    _committedCount += batch.Count;
                    foreach (var entry in batch)
                        if (_begun.TryGetValue(entry.Answer.Id, out var place) && place < _committedCount) _begun.Remove(entry.Answer.Id);
                }
                _inCommit = 0;
                hasMore = isCommitted && _waiting.Count > 0 && batch.Count == BatchMax;
                // Whoever waits for a flush waits for all that was there.
                if (hasMore) _flushes.AddRange(flushes);
            }
            if (hasMore) continue;
            foreach (var flush in flushes) flush.SetResult(isCommitted);
            lock (_lock)
            {
                if (_flushes.Count > 0) continue;
                _isRunning = false;
                if (_waiting.Count > 0) Arm(isCommitted ? _limits.LedgerInterval : _limits.StoreRetry);
                return;
            }
        }
    }

    private async Task<bool> TryCommitAsync(List<LedgerEntry> batch)
    {
        try
        {
            await UseAsync(file =>
            {
                file.Commit(batch);
                return true;
            });
            _rows?.Add(batch.Sum(static entry => 1 + entry.Attempts.Count));
            if (_fault is not null) LogRecovered(_file.Path);
            if (Interlocked.Exchange(ref _lostCount, 0) is > 0 and var lost) LogLost(lost, "Memory had no room for them while the ledger failed.");
            _fault = null;
            return true;
        }
        catch (LedgerException exception)
        {
            Degrade(exception);
        }
#pragma warning disable CA1031 // Answers go on whatever befalls the ledger, and the next commit begins anew.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Degrade(new LedgerException($"The ledger {_file.Path} fails: {exception.Message.TrimEnd('.')}.", exception));
        }
        return false;
    }

    private void Degrade(LedgerException fault)
    {
        if (_fault is null) LogDegraded(fault.Message);
        _fault = fault;
    }

    // Under the lock.
    private void Arm(TimeSpan wait)
    {
        if (_isRunning || _isDisposed || _isArmed) return;
        _isArmed = true;
        _timer.Change(wait, Timeout.InfiniteTimeSpan);
    }

    [LoggerMessage(1, LogLevel.Error, "{Message} Until then rows wait in memory.")]
    private partial void LogDegraded(string message);

    [LoggerMessage(3, LogLevel.Error, "The rows of {Count} answers are lost. {Message}")]
    private partial void LogLost(int count, string message);

    [LoggerMessage(4, LogLevel.Error, "{Count} answers wait for the ledger {Path}: rows of further ones are lost until it works again.")]
    private partial void LogFull(string path, int count);

    [LoggerMessage(2, LogLevel.Warning, "The ledger {Path} works again, and has all that came meanwhile.")]
    private partial void LogRecovered(string path);
}
