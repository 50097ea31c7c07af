using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Inference.Gguf;
using Sluice.Server.Models;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Models;

public sealed class LoadedModelsTests
{
    private sealed class Engine(string path) : IDisposable
    {
        public string Path => path;
        public bool IsDisposed { get; private set; }
        public bool ThrowsOnce { get; set; }
        public DraftCounts Guesses { get; set; }
        public Action? Stopping { get; set; }
        public void Dispose()
        {
            IsDisposed = true;
            Stopping?.Invoke();
            if (!ThrowsOnce) return;
            ThrowsOnce = false;
            throw new InvalidOperationException();
        }
    }

    private sealed class Lines : ILogger
    {
        public List<string> Errors { get; } = [];
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
        public bool IsEnabled(LogLevel logLevel) => true;
        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Error) Errors.Add(formatter(state, exception));
        }
    }

    private readonly List<Engine> _loaded = [];

    private LoadedModels<Engine> Create(long budget, ILogger? logger = null, Func<string, Engine>? load = null, TimeProvider? time = null) => new(
        new EngineFactory<Engine>(
            model =>
            {
                var engine = load?.Invoke(model.Path) ?? new Engine(model.Path);
                _loaded.Add(engine);
                return engine;
            },
            _ => 100,
            engine => engine.Guesses),
        budget,
        logger ?? NullLogger.Instance,
        time);

    private static LocalModel Entry(string id, long bytes = 100) => new(id, "/models/" + id, bytes, default);

    private static async Task<ModelLease<Engine>> AcquireAsync(LoadedModels<Engine> memory, string id)
    {
        var (lease, error) = await memory.AcquireAsync(Entry(id), TestContext.Current.CancellationToken);
        Assert.Null(error);
        return lease!;
    }

    [Fact]
    public async Task Acquire_LoadsOnce_AlsoForThoseWhoAskMeanwhile()
    {
        using var gate = new ManualResetEventSlim();
        await using var memory = Create(1000, load: path =>
        {
            gate.Wait();
            return new Engine(path);
        });
        var waiting = Enumerable.Range(0, 5).Select(_ => AcquireAsync(memory, "a")).ToArray();
        gate.Set();
        var leases = await Task.WhenAll(waiting);
        Assert.Single(_loaded);
        Assert.All(leases, lease => Assert.Same(_loaded[0], lease.Engine));
        foreach (var lease in leases) lease.Dispose();
    }

    [Fact]
    public async Task A_model_goes_when_nobody_has_used_it_for_as_long_as_it_is_kept()
    {
        var time = new ManualTimeProvider();
        await using var memory = Create(1000, time: time);
        var kept = Entry("a") with { KeepAlive = TimeSpan.FromMinutes(5) };
        async Task<ModelLease<Engine>> UseAsync() => (await memory.AcquireAsync(kept, TestContext.Current.CancellationToken)).Lease!;
        var lease = await UseAsync();
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(ModelPresence.Loaded, memory.PresenceOf(kept.Path));
        Assert.Null(Assert.Single(memory.List()).Until);
        lease.Dispose();
        Assert.Equal(time.GetUtcNow() + TimeSpan.FromMinutes(5), Assert.Single(memory.List()).Until);
        time.Advance(TimeSpan.FromMinutes(4));
        (await UseAsync()).Dispose();
        time.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal(ModelPresence.Loaded, memory.PresenceOf(kept.Path));
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf(kept.Path));
        Assert.Equal(0, memory.UsedBytes);

        // A use that asks for another time has it, and the next one the configuration's again.
        memory.SetKeepAlive(kept.Path, TimeSpan.Zero, isForNext: true);
        (await UseAsync()).Dispose();
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf(kept.Path));
        memory.SetKeepAlive(kept.Path, null, isForNext: true);
        (await UseAsync()).Dispose();
        time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(ModelPresence.Loaded, memory.PresenceOf(kept.Path));
        (await UseAsync()).Dispose();
        time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf(kept.Path));
    }

    [Fact]
    public async Task Acquire_OverTheBudget_UnloadsTheLeastRecentlyUsed()
    {
        await using var memory = Create(250);
        (await AcquireAsync(memory, "a")).Dispose();
        (await AcquireAsync(memory, "b")).Dispose();
        (await AcquireAsync(memory, "a")).Dispose();
        (await AcquireAsync(memory, "c")).Dispose();

        Assert.Equal(["/models/b"], _loaded.Where(engine => engine.IsDisposed).Select(engine => engine.Path));
        Assert.Equal(200, memory.UsedBytes);
        (await AcquireAsync(memory, "b")).Dispose();
        Assert.Equal(4, _loaded.Count);
    }

    [Fact]
    public async Task Retain_KeepsWhatIsNamed_AndUnloadsTheRestAfterItsLastUse()
    {
        var memory = Create(1000);
        (await AcquireAsync(memory, "kept")).Dispose();
        (await AcquireAsync(memory, "idle")).Dispose();
        var used = await AcquireAsync(memory, "used");
        memory.Retain(["/models/kept"], 250);
        Assert.Equal(200, memory.UsedBytes);
        Assert.False(used.Engine.IsDisposed);

        used.Dispose();
        Assert.Equal(100, memory.UsedBytes);
        Assert.Equal(ModelPresence.Loaded, memory.PresenceOf("/models/kept"));
        // A request that began before may load it once more; the new budget counts for it.
        var (lease, error) = await memory.AcquireAsync(Entry("used", 200), TestContext.Current.CancellationToken);
        Assert.Null(error);
        Assert.Contains(_loaded, engine => engine is { IsDisposed: true, Path: "/models/kept" });
        lease!.Dispose();
        await memory.DisposeAsync();
        Assert.All(_loaded, engine => Assert.True(engine.IsDisposed));
    }

    [Fact]
    public async Task Acquire_WithTheOthersInUse_IsRefused_AndUnloadsNothing()
    {
        var log = new Lines();
        await using var memory = Create(250, log);
        using var a = await AcquireAsync(memory, "a");
        var b = await AcquireAsync(memory, "b");
        for (var i = 0; i < 3; i++)
        {
            var (lease, error) = await memory.AcquireAsync(Entry("c"), TestContext.Current.CancellationToken);
            Assert.Null(lease);
            Assert.Equal(503, error!.Status);
            Assert.NotNull(error.RetryAfter);
        }
        Assert.DoesNotContain(_loaded, engine => engine.IsDisposed);
        Assert.Single(log.Errors);

        b.Dispose();
        b.Dispose();
        (await AcquireAsync(memory, "c")).Dispose();
        Assert.Equal(["/models/b"], _loaded.Where(engine => engine.IsDisposed).Select(engine => engine.Path));
    }

    [Fact]
    public async Task Acquire_LargerThanTheBudget_SaysBothNumbers()
    {
        await using var memory = Create(250_000_000);
        var (_, error) = await memory.AcquireAsync(Entry("a", 1_300_000_000), TestContext.Current.CancellationToken);
        Assert.Equal("The model `a` needs 1.3 GB, and the memory budget is 250.0 MB.", error!.Message);
        Assert.Equal(503, error.Status);
        Assert.False(error.ShouldRetry);
    }

    [Theory]
    [InlineData(typeof(FileNotFoundException), 500, "The file of the model `a` is gone.")]
    [InlineData(typeof(InsufficientMemoryException), 503, "The model `a` can't be loaded: there is not enough memory.")]
    [InlineData(typeof(InvalidCastException), 500, "The model `a` can't be loaded.")]
    public async Task Acquire_WhenTheLoadFails_SaysWhy_LogsOnce_AndFreesTheReservation(Type exception, int status, string message)
    {
        var log = new Lines();
        await using var memory = Create(250, log, _ => throw (Exception)Activator.CreateInstance(exception)!);
        for (var i = 0; i < 2; i++)
        {
            var (_, error) = await memory.AcquireAsync(Entry("a"), TestContext.Current.CancellationToken);
            Assert.Equal(status, error!.Status);
            Assert.Equal(message, error.Message);
        }
        Assert.Equal([$"/models/a is not loaded: {message}"], log.Errors);
        Assert.Equal(0, memory.UsedBytes);
    }

    [Fact]
    public async Task Acquire_OfABrokenFile_TriesAgainOnlyWhenTheFileHasChanged()
    {
        var path = Path.GetTempFileName();
        try
        {
            var attempts = 0;
            await using var memory = Create(250, load: file =>
            {
                attempts++;
                throw new GgufException($"{file}: expected 4 tensors, found 3.");
            });
            var entry = new LocalModel("a", path, 100, default);
            for (var i = 0; i < 3; i++)
            {
                var (_, error) = await memory.AcquireAsync(entry, TestContext.Current.CancellationToken);
                Assert.Equal($"The model `a` can't be loaded: {Path.GetFileName(path)}: expected 4 tensors, found 3.", error!.Message);
                Assert.Equal(500, error.Status);
            }
            Assert.Equal(1, attempts);
            File.WriteAllText(path, "a longer file");
            await memory.AcquireAsync(entry, TestContext.Current.CancellationToken);
            Assert.Equal(2, attempts);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Acquire_WhenMakingRoomFails_IsAnError_AndTriesAgainTheNextTime()
    {
        await using var memory = Create(150);
        (await AcquireAsync(memory, "a")).Dispose();
        _loaded[0].ThrowsOnce = true;
        var (_, error) = await memory.AcquireAsync(Entry("b"), TestContext.Current.CancellationToken);
        Assert.Equal(500, error!.Status);
        Assert.Equal(0, memory.UsedBytes);
        (await AcquireAsync(memory, "b")).Dispose();
    }

    [Fact]
    public async Task Presence_FollowsTheModel_NotTheFirstAttempt()
    {
        using var gate = new ManualResetEventSlim();
        var attempts = 0;
        await using var memory = Create(150, load: path =>
        {
            gate.Wait();
            return ++attempts == 1 ? throw new InsufficientMemoryException() : new Engine(path);
        });
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf("/models/a"));
        var first = memory.AcquireAsync(Entry("a"), TestContext.Current.CancellationToken);
        Assert.Equal(ModelPresence.Loading, memory.PresenceOf("/models/a"));
        gate.Set();
        Assert.NotNull((await first).Error);
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf("/models/a"));
        (await AcquireAsync(memory, "a")).Dispose();
        Assert.Equal(ModelPresence.Loaded, memory.PresenceOf("/models/a"));
        (await AcquireAsync(memory, "b")).Dispose();
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf("/models/a"));
    }

    [Fact]
    public async Task Guesses_OfAFile_NeverFall_WhetherItIsUnloadedForRoomOrForGood()
    {
        await using var memory = Create(150);
        Assert.Equal(default, memory.DraftsOf("/models/a"));
        (await AcquireAsync(memory, "a")).Dispose();
        _loaded[0].Guesses = new DraftCounts(10, 4);
        Assert.Equal(new DraftCounts(10, 4), memory.DraftsOf("/models/a"));
        var whileItStops = default(DraftCounts);
        _loaded[0].Stopping = () =>
        {
            whileItStops = memory.DraftsOf("/models/a");
            // What its last step took.
            _loaded[0].Guesses = new DraftCounts(12, 5);
        };
        // It counts although it could not be stopped in order.
        _loaded[0].ThrowsOnce = true;
        Assert.NotNull((await memory.AcquireAsync(Entry("b"), TestContext.Current.CancellationToken)).Error);
        Assert.Equal(new DraftCounts(10, 4), whileItStops);
        Assert.Equal(new DraftCounts(12, 5), memory.DraftsOf("/models/a"));
        Assert.Equal(default, memory.DraftsOf("/models/b"));

        (await AcquireAsync(memory, "a")).Dispose();
        Assert.Equal(new DraftCounts(12, 5), memory.DraftsOf("/models/a"));
        _loaded[1].Guesses = new DraftCounts(3, 1);
        Assert.Equal(new DraftCounts(15, 6), memory.DraftsOf("/models/a"));
        memory.Retain([], null);
        Assert.Equal(ModelPresence.Absent, memory.PresenceOf("/models/a"));
        Assert.Equal(new DraftCounts(15, 6), memory.DraftsOf("/models/a"));
    }

    [Fact]
    public async Task Dispose_UnloadsEverything()
    {
        var memory = Create(1000);
        (await AcquireAsync(memory, "a")).Dispose();
        (await AcquireAsync(memory, "b")).Dispose();
        await memory.DisposeAsync();
        Assert.All(_loaded, engine => Assert.True(engine.IsDisposed));
    }
}
