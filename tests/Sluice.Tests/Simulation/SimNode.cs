using System.Buffers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Endpoints;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;
using Sluice.Tests.Server.Storage;

namespace Sluice.Tests.Simulation;

/// <summary>One process of the hub: everything of it but sockets, from its start to its stop or its crash.</summary>
internal sealed class SimNode
{
    private readonly ServiceProvider _services;
    private readonly SimLifetime _lifetime = new();
    private readonly NodeClock _clock;
    private readonly ApiDispatcher _dispatcher;
    private readonly bool _isStarting = true;

    public SimNode(SimWorld world, SluiceOptions options, ModelCatalog catalog, MemoryAnswerStore? store)
    {
        _clock = new NodeClock(world.Clock);
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(_clock).AddSingleton(new RandomSource(world.Random.Next())).AddSingleton(world.Limits).AddSingleton<IHostApplicationLifetime>(_lifetime);
        services.AddSingleton<ILoggerFactory>(new SimLog(world, this)).AddSingleton(typeof(ILogger<>), typeof(Logger<>));
        services.AddSingleton<UpstreamTransport>((_, _, _, _) => new HandlerClient(new SimUpstream(world, this)));
        services.AddSingleton<LocalUpstreams>(provider =>
            (model, _) => new SimEngine(world, this, model, provider.GetRequiredService<RandomSource>(), provider.GetRequiredService<TimeProvider>()));
        if (store is not null) services.AddSingleton<IAnswerStore>(new NodeStore(world, this, store));
        if (world.Money is { } money) services.AddSingleton(provider => money.CreateWriter(this, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILoggerFactory>()));
        services.AddSluice(
            store is null ? options : options with { Store = StoreKind.Sqlite, StoreSizeBytes = world.IsTight ? 200 << 10 : null }, catalog,
            new EmbeddingOptions { ManagesShutdown = true });
        _services = services.BuildServiceProvider();
        _dispatcher = _services.GetRequiredService<ApiDispatcher>();
        Table = _services.GetRequiredService<AnswerTable>();
        // A store or a ledger that fails in it would keep the hub from starting, and rightly.
        var starting = Table.StartAsync(CancellationToken.None);
        _isStarting = false;
        if (!starting.IsCompletedSuccessfully) world.Violate($"the hub does not start: {starting.Exception}");
    }

    public AnswerTable Table { get; }

    /// <summary>Whether it is on its way up, when nothing fails.</summary>
    public bool IsStarting => _isStarting;

    public Limiter Limiter => _services.GetRequiredService<Limiter>();

    /// <summary>Whether nothing that it does has an effect any more.</summary>
    public bool IsDead { get; private set; }

    public IEnumerable<Deployment> Deployments => _services.GetRequiredService<Hub>().Current.Router.Routes.SelectMany(static route => route.Deployments);

    public Task ServeAsync(SimConnection connection) => connection.ServeAsync(_dispatcher.InvokeAsync);

    /// <summary>Stops as on a signal.</summary>
    public async Task StopAsync()
    {
        _lifetime.StopApplication();
        await _services.GetRequiredService<GracefulStop>().StoppingAsync(CancellationToken.None);
        await Table.StopAsync(CancellationToken.None);
    }

    /// <summary>Ends in the middle of whatever it does.</summary>
    public void Kill()
    {
        IsDead = true;
        _clock.Stop();
    }

    public void Dispose()
    {
        _services.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _lifetime.Dispose();
    }

    private sealed class SimLifetime : IHostApplicationLifetime, IDisposable
    {
        private readonly CancellationTokenSource _stopping = new();

        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => _stopping.Token;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication() => _stopping.Cancel();

        public void Dispose() => _stopping.Dispose();
    }

    // The world's time, until the process is gone.
    private sealed class NodeClock(SimClock clock) : TimeProvider
    {
        private readonly List<ITimer> _timers = [];
        private bool _isStopped;

        public override long TimestampFrequency => clock.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => clock.GetUtcNow();

        public override long GetTimestamp() => clock.GetTimestamp();

        public void Stop()
        {
            _isStopped = true;
            foreach (var timer in _timers) timer.Dispose();
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = clock.CreateTimer(callback, state, dueTime, period);
            if (_isStopped) timer.Dispose();
            else _timers.Add(timer);
            return timer;
        }
    }

    // The way to a store that outlives the process: slow at times, with faults before and after a commit has taken effect, and closed with
    // the process.
    private sealed class NodeStore(SimWorld world, SimNode node, MemoryAnswerStore store) : IAnswerStore
    {
        public string Name => store.Name;

        public long UsedBytes => store.UsedBytes;

        public ValueTask OpenAsync(CancellationToken cancellation) => store.OpenAsync(cancellation);

        public ValueTask<StoreContents> LoadAsync(CancellationToken cancellation) => store.LoadAsync(cancellation);

        public async ValueTask<IReadOnlyList<string>> CommitAsync(StoreBatch batch, CancellationToken cancellation)
        {
            await AccessAsync("commit");
            var refused = await store.CommitAsync(batch, cancellation);
            await AccessAsync("committed");
            return refused;
        }

        public async ValueTask<int> ReadAsync(string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax, CancellationToken cancellation)
        {
            await AccessAsync("read");
            return await store.ReadAsync(id, position, output, addEvent, bytesMax, cancellation);
        }

        public async ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation)
        {
            await AccessAsync("find");
            return await store.FindRequestAsync(id, cancellation);
        }

        public ValueTask DisposeAsync() => default;

        private async Task AccessAsync(string what)
        {
            if (node._isStarting) return;
            if (world.Random.Next(2) == 0) await world.DelayAsync(world.Random.Next(10) == 0 ? 400 : 5);
            if (node.IsDead) await new TaskCompletionSource().Task;
            if (!world.HasStoreFaults || world.Random.Next(10) > 0) return;
            world.Count($"store fails at {what}");
            throw new StoreException(StoreFault.Failed, $"The store of answers fails at {what}.");
        }
    }

    // What the hub says is an error is one, unless its store fails.
    private sealed class SimLog(SimWorld world, SimNode node) : ILoggerFactory, ILogger
    {
        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel) || node.IsDead) return;
            var line = formatter(state, exception);
            var isExpected = (world.HasStoreFaults && line.Contains("store of answers", StringComparison.Ordinal)) || (world.Money?.HasFaults == true && line.Contains("The ledger", StringComparison.Ordinal));
            if (!isExpected) world.Violate($"logged: {line} {exception}");
        }

        public void Dispose()
        {
        }
    }
}
