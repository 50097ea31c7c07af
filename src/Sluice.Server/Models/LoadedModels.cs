using Microsoft.Extensions.Logging;
using Sluice.Inference.Gguf;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Models;

/// <summary>A loaded model in use: it is not unloaded before this is disposed.</summary>
internal sealed class ModelLease<TEngine> : IDisposable
    where TEngine : class, IDisposable
{
    private readonly Action _release;
    private int _released;

    internal ModelLease(TEngine engine, Action release)
    {
        Engine = engine;
        _release = release;
    }

    /// <summary>Usable until the lease is disposed.</summary>
    public TEngine Engine { get; }

    /// <summary>From any thread; only the first call counts.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0) _release();
    }
}

/// <summary>
/// The models that are loaded. One is loaded when it is first asked for; when the budget is spent, those unused for longest go first,
/// never one in use. Thread-safe.
/// </summary>
/// <typeparam name="TEngine">What a loaded model is.</typeparam>
internal sealed partial class LoadedModels<TEngine> : IAsyncDisposable
    where TEngine : class, IDisposable
{
    private readonly EngineFactory<TEngine> _loading;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;

    // Guards the slots, whose members are changed under it only.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly List<Task> _unloads = [];
    private long _budgetBytes;
    private HashSet<string>? _retained;
    private long _useCount;
    private bool _disposed;

    private sealed class Slot
    {
        public TEngine? Engine;
        public readonly List<TEngine> Leaving = [];
        public DraftCounts Past;
        public long Bytes;
        public int LeaseCount;
        public long LastUse;
        public Task<ApiError?>? Loading;
        public ApiError? Failure;
        public (long, DateTime) FailureStamp;
        public string? LastLogged;
        public TimeSpan? KeepAlive;
        public bool IsKeepAliveAsked;
        public DateTimeOffset LastUsedAt;
        public ITimer? Idle;
    }

    /// <param name="loading">How a model is loaded and measured.</param>
    /// <param name="budgetBytes">What loaded models may take together; null is 80 % of the memory that the process may use.</param>
    /// <param name="logger">Told of loads, failures and unloads.</param>
    /// <param name="time">Clock of what is unloaded because nobody uses it; null for the system's.</param>
    public LoadedModels(EngineFactory<TEngine> loading, long? budgetBytes, ILogger logger, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        _loading = loading;
        _budgetBytes = BudgetOf(budgetBytes);
        _logger = logger;
    }

    /// <summary>Bytes of the loaded models, and of those being loaded.</summary>
    public long UsedBytes
    {
        get { lock (_lock) return _slots.Values.Sum(slot => slot.Bytes); }
    }

    /// <summary>How far a model is.</summary>
    /// <param name="path">Of its file.</param>
    public ModelPresence PresenceOf(string path)
    {
        lock (_lock)
        {
            return _slots.GetValueOrDefault(path) switch
            {
                { Engine: not null } => ModelPresence.Loaded,
                { Loading: not null } => ModelPresence.Loading,
                _ => ModelPresence.Absent,
            };
        }
    }

    /// <summary>The loaded models, by the paths of their files.</summary>
    public IReadOnlyList<LoadedFile> List()
    {
        lock (_lock)
        {
            return [.. _slots.Where(static slot => slot.Value.Engine is not null).Select(slot => new LoadedFile(
                slot.Key, slot.Value.Bytes, slot.Value is { KeepAlive: { } kept, LeaseCount: 0 } ? slot.Value.LastUsedAt + kept : null))];
        }
    }

    /// <summary>How long a model stays when nobody uses it. It holds until the next use, for which its configuration counts again.</summary>
    /// <param name="path">Of the file.</param>
    /// <param name="keepAlive">Zero unloads it as soon as nobody uses it; null keeps it until its memory is needed.</param>
    /// <param name="isForNext">Whether a use follows for which it is meant.</param>
    public void SetKeepAlive(string path, TimeSpan? keepAlive, bool isForNext)
    {
        lock (_lock)
        {
            if (!_slots.TryGetValue(path, out var slot)) _slots.Add(path, slot = new Slot());
            (slot.KeepAlive, slot.IsKeepAliveAsked) = (keepAlive, isForNext);
            if (!isForNext) UnloadWhenIdle(path, slot);
        }
    }

    /// <summary>What all engines of a file have guessed since the start. Never falls: those that are unloaded count too.</summary>
    /// <param name="path">Of the file.</param>
    public DraftCounts DraftsOf(string path)
    {
        lock (_lock)
        {
            if (_slots.GetValueOrDefault(path) is not { } slot) return default;
            var total = slot.Leaving.Aggregate(slot.Past, (sum, engine) => sum + _loading.CountGuesses(engine));
            return slot.Engine is { } loaded ? total + _loading.CountGuesses(loaded) : total;
        }
    }

    /// <summary>The loaded model, after loading it if need be. Exactly one of the two results is null.</summary>
    /// <param name="entry">The model.</param>
    /// <param name="cancellation">Stops the waiting; the load goes on for others.</param>
    public async ValueTask<(ModelLease<TEngine>? Lease, ApiError? Error)> AcquireAsync(LocalModel entry, CancellationToken cancellation)
    {
        while (true)
        {
            Task<ApiError?> loading;
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                if (!_slots.TryGetValue(entry.Path, out var slot)) _slots.Add(entry.Path, slot = new Slot());
                if (slot.Engine is not null && !slot.IsKeepAliveAsked) slot.KeepAlive = entry.KeepAlive;
                if (slot.Engine is not null) slot.IsKeepAliveAsked = false;
                if (slot.Engine is { } engine) return (Lend(entry.Path, slot, engine), null);
                if (slot.Failure is { } failure && slot.FailureStamp == StampOf(entry)) return (null, failure);
                loading = slot.Loading ??= Task.Run(() => Load(entry, slot), CancellationToken.None);
            }
            if (await loading.WaitAsync(cancellation) is { } error) return (null, error);
        }
    }

    /// <summary>From now on these files and this budget count. Other models that are loaded go as soon as nobody uses them.</summary>
    /// <param name="paths">Of the files.</param>
    /// <param name="budgetBytes">As in the constructor. A smaller one takes effect when the next model is loaded.</param>
    public void Retain(IEnumerable<string> paths, long? budgetBytes)
    {
        lock (_lock)
        {
            _budgetBytes = BudgetOf(budgetBytes);
            _retained = paths.ToHashSet(StringComparer.Ordinal);
            foreach (var (path, slot) in _slots) UnloadIfUnwanted(path, slot);
        }
    }

    /// <summary>Unloads everything. No lease may be left.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] loads;
        lock (_lock)
        {
            _disposed = true;
            loads = [.. _slots.Values.Select(slot => slot.Loading).OfType<Task>(), .. _unloads];
        }
        await Task.WhenAll(loads);
        lock (_lock)
        {
            foreach (var slot in _slots.Values)
            {
                slot.Idle?.Dispose();
                slot.Engine?.Dispose();
            }
            _slots.Clear();
        }
    }

    private static long BudgetOf(long? bytes) => bytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 10 * 8;

    private ModelLease<TEngine> Lend(string path, Slot slot, TEngine engine)
    {
        slot.LeaseCount++;
        slot.LastUse = ++_useCount;
        return new ModelLease<TEngine>(engine, () =>
        {
            lock (_lock)
            {
                slot.LeaseCount--;
                slot.LastUse = ++_useCount;
                slot.LastUsedAt = _time.GetUtcNow();
                UnloadIfUnwanted(path, slot);
                UnloadWhenIdle(path, slot);
            }
        });
    }

    // Under the lock. The last lease may be given back on a thread of the engine, which can't wait for its own end.
    private void UnloadIfUnwanted(string path, Slot slot)
    {
        if (_retained is null || _retained.Contains(path) || _disposed || slot is not { LeaseCount: 0, Engine: { } engine }) return;
        UnloadSoon(slot, engine, () => LogRetired(path));
    }

    // Under the lock.
    private void UnloadSoon(Slot slot, TEngine engine, Action log)
    {
        Leave(slot, engine);
        _unloads.RemoveAll(static unload => unload.IsCompleted);
        _unloads.Add(Task.Run(() =>
        {
            Unload(slot, engine);
            log();
        }));
    }

    // Under the lock. The timer is set again for what is left, where the model was used meanwhile.
    private void UnloadWhenIdle(string path, Slot slot)
    {
        if (_disposed || slot is not { KeepAlive: { } kept, LeaseCount: 0, Engine: { } engine }) return;
        var left = slot.LastUsedAt + kept - _time.GetUtcNow();
        if (kept == TimeSpan.Zero || left <= TimeSpan.Zero)
        {
            UnloadSoon(slot, engine, () => LogIdle(path));
            return;
        }
        slot.Idle?.Dispose();
        slot.Idle = _time.CreateTimer(_ => OnIdle(path, slot), null, left, Timeout.InfiniteTimeSpan);
    }

    private void OnIdle(string path, Slot slot)
    {
        lock (_lock) UnloadWhenIdle(path, slot);
    }

    // Under the lock.
    private static void Leave(Slot slot, TEngine engine)
    {
        slot.Engine = null;
        slot.Bytes = 0;
        slot.Leaving.Add(engine);
    }

    // Its counts are final when it has stopped: the last lease is given back within a step, whose guesses are counted behind it.
    private void Unload(Slot slot, TEngine engine)
    {
        try
        {
            engine.Dispose();
        }
        finally
        {
            lock (_lock)
            {
                slot.Leaving.Remove(engine);
                slot.Past += _loading.CountGuesses(engine);
            }
        }
    }

    private ApiError? Load(LocalModel entry, Slot slot)
    {
        (long, DateTime) stamp = default;
        try
        {
            stamp = StampOf(entry);
            if (MakeRoom(slot, entry) is { } refusal) return Fail(slot, entry, refusal);
            LogLoading(entry.Id, entry.Path);
            var engine = _loading.Load(entry);
            var bytes = _loading.Measure(engine);
            lock (_lock)
            {
                slot.Engine = engine;
                slot.Bytes = bytes;
                slot.LastUse = ++_useCount;
                slot.LastUsedAt = _time.GetUtcNow();
                slot.Loading = null;
                slot.Failure = null;
                slot.LastLogged = null;
            }
            LogLoaded(entry.Id, Configuration.ByteSize.Format(bytes));
            return null;
        }
#pragma warning disable CA1031 // Whatever a load throws concerns this model only, and must reach those who wait for it.
        catch (Exception error)
#pragma warning restore CA1031
        {
            var failure = LoadFailure.Describe(entry, error);
            if (failure.ShouldRetry == false) lock (_lock) slot.FailureStamp = stamp;
            return Fail(slot, entry, failure, LoadFailure.IsExpected(error) ? null : error);
        }
    }

    private ApiError Fail(Slot slot, LocalModel entry, ApiError failure, Exception? error = null)
    {
        bool isNews;
        lock (_lock)
        {
            slot.Bytes = 0;
            slot.Loading = null;
            // Only what the file itself is to blame for is kept; memory may be free the next time.
            slot.Failure = failure.ShouldRetry == false ? failure : null;
            isNews = slot.LastLogged != failure.Message;
            slot.LastLogged = failure.Message;
        }
        if (isNews) LogFailed(error, entry.Path, failure.Message);
        return failure;
    }

    // Reserves room for the model, taking its file's size as the estimate, and unloads what must go for it.
    private ApiError? MakeRoom(Slot slot, LocalModel entry)
    {
        var victims = new List<(string Path, Slot Slot, TEngine Engine)>();
        lock (_lock)
        {
            if (entry.FileBytes > _budgetBytes) return LoadFailure.LargerThanBudget(entry, _budgetBytes);
            var used = _slots.Values.Sum(other => other.Bytes);
            var idle = _slots.Where(other => other.Value is { Engine: not null, LeaseCount: 0 }).OrderBy(other => other.Value.LastUse).ToList();
            if (used - idle.Sum(other => other.Value.Bytes) + entry.FileBytes > _budgetBytes) return LoadFailure.OthersInUse(entry);
            foreach (var (path, victim) in idle)
            {
                if (used + entry.FileBytes <= _budgetBytes) break;
                victims.Add((path, victim, victim.Engine!));
                used -= victim.Bytes;
                Leave(victim, victim.Engine!);
            }
            slot.Bytes = entry.FileBytes;
        }
        foreach (var (path, victim, engine) in victims)
        {
            Unload(victim, engine);
            LogUnloaded(path);
        }
        return null;
    }

    private static (long, DateTime) StampOf(LocalModel entry)
    {
        var file = GgufFile.FindTarget(entry.Path);
        return file.Exists ? (file.Length, file.LastWriteTimeUtc) : default;
    }

    [LoggerMessage(1, LogLevel.Information, "Loading the model {Model} from {Path}.")]
    private partial void LogLoading(string model, string path);

    [LoggerMessage(2, LogLevel.Information, "The model {Model} is loaded; it takes {Size}.")]
    private partial void LogLoaded(string model, string size);

    [LoggerMessage(3, LogLevel.Information, "Unloaded {Path} to make room.")]
    private partial void LogUnloaded(string path);

    [LoggerMessage(5, LogLevel.Information, "Unloaded {Path}: it is no longer in the configuration.")]
    private partial void LogRetired(string path);

    [LoggerMessage(6, LogLevel.Information, "Unloaded {Path}: nobody has used it for as long as it is kept.")]
    private partial void LogIdle(string path);

    [LoggerMessage(4, LogLevel.Error, "{Path} is not loaded: {Reason}")]
    private partial void LogFailed(Exception? error, string path, string reason);
}

/// <summary>A model in memory.</summary>
/// <param name="Path">Of its file.</param>
/// <param name="Bytes">What it takes.</param>
/// <param name="Until">When it goes if nobody uses it; null while somebody does, or for when its memory is needed.</param>
internal readonly record struct LoadedFile(string Path, long Bytes, DateTimeOffset? Until);

/// <summary>How far a model is.</summary>
internal enum ModelPresence
{
    /// <summary>Nobody has asked for it, loading it has failed, or it made room for another one.</summary>
    Absent,

    /// <summary>It is being loaded.</summary>
    Loading,

    /// <summary>It can be used.</summary>
    Loaded,
}

/// <summary>How a model is loaded.</summary>
/// <param name="Load">From the file of a model, with its settings; blocks, for seconds or more.</param>
/// <param name="Measure">Bytes that a loaded model takes.</param>
/// <param name="CountGuesses">What an engine has guessed since it was loaded, also after it was disposed. Must not block: others wait meanwhile.</param>
internal sealed record EngineFactory<TEngine>(
    Func<LocalModel, TEngine> Load, Func<TEngine, long> Measure, Func<TEngine, DraftCounts> CountGuesses);

/// <summary>Guesses at tokens that were computed before the tokens were sampled.</summary>
/// <param name="Drafted">All of them.</param>
/// <param name="Accepted">Those that were right: steps that were saved.</param>
internal readonly record struct DraftCounts(long Drafted, long Accepted)
{
    /// <summary>Both counts of an engine.</summary>
    public static DraftCounts Of(InferenceEngine engine)
    {
        ArgumentNullException.ThrowIfNull(engine);
        return new DraftCounts(engine.DraftedTokenCount, engine.AcceptedTokenCount);
    }

    /// <summary>Of two engines together.</summary>
    public static DraftCounts operator +(DraftCounts left, DraftCounts right) => Add(left, right);

    /// <summary>Of two engines together.</summary>
    public static DraftCounts Add(DraftCounts left, DraftCounts right) => new(left.Drafted + right.Drafted, left.Accepted + right.Accepted);
}
