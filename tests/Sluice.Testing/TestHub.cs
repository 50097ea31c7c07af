using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Testing.Scripting;

namespace Sluice.Testing;

/// <summary>How a <see cref="TestHub"/> differs from one without a configuration.</summary>
public sealed record TestHubOptions
{
    /// <summary>See <see cref="SluiceOptions.ApiKeys"/>.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>See <see cref="SluiceOptions.CorsOrigins"/>.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>The server's bounds; the default value is its own.</summary>
    public Limits Limits { get; init; } = new();

    /// <summary>The server's clock; the default value is the system's.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where seeds and identifiers come from; the default value is the system's generator.</summary>
    public RandomSource Random { get; init; } = new();

    /// <summary>Of the scripted model, which understands ChatML only; the default value, null, is that.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>How long answers run on when the hub is told to stop; the default value is none.</summary>
    public TimeSpan Drain { get; init; }

    /// <summary>Path of an SQLite file that keeps answers; the default value, null, keeps them in memory.</summary>
    public string? StorePath { get; init; }

    /// <summary>Whether an answer of the scripted model that only repeats is ended; the default value is false, because many scripts do.</summary>
    public bool EndsRepetition { get; init; }

    /// <summary>What holds for requests to the scripted model that leave it out; the default value is nothing.</summary>
    public SamplingDefaults Defaults { get; init; } = SamplingDefaults.None;

    /// <summary>Scripts that the model has from the first moment, by the message that names them; the default value is none.</summary>
    public IReadOnlyDictionary<string, Script> Scripts { get; init; } = new Dictionary<string, Script>();

    /// <summary>Changes the configuration; the default value, null, changes nothing.</summary>
    public Func<SluiceOptions, SluiceOptions>? Configure { get; init; }

    /// <summary>The engine's options; the default value is its own.</summary>
    public EngineOptions Engine { get; init; } = new();
}

/// <summary>A whole hub on loopback ports of its own: Kestrel, endpoints, engine; only the model may be a scripted one.</summary>
public sealed class TestHub : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly WebApplication _application;
    private readonly LogCollector _log;
    private readonly ScriptedModel? _model;
    private readonly Func<InferenceEngine?> _engine;

    private TestHub(WebApplication application, LogCollector log, ScriptedModel? model, Func<InferenceEngine?> engine, string modelId)
    {
        (_application, _log, _model, _engine, Model) = (application, log, model, engine, modelId);
        var urls = application.Urls.ToArray();
        (Address, Http2Address) = (new Uri(urls[0]), new Uri(urls[1]));
    }

    /// <summary>Id of the only model.</summary>
    public string Model { get; }

    /// <summary>Where HTTP/1.1 is spoken.</summary>
    public Uri Address { get; }

    /// <summary>Where HTTP/2 is spoken, without TLS.</summary>
    public Uri Http2Address { get; }

    /// <summary>Whether the model is a scripted one.</summary>
    public bool IsScripted => _model is not null;

    /// <summary>Scripts by the message that names them.</summary>
    public IDictionary<string, Script> Scripts => _model!.Scripts;

    /// <summary>Tokens computed since the start; of a scripted model only.</summary>
    public long ComputedTokenCount => _model!.ComputedTokenCount;

    /// <summary>Sequences that hold a slot.</summary>
    public int ActiveCount => _engine()?.ActiveCount ?? 0;

    /// <summary>Generations that wait for a slot.</summary>
    public int QueuedCount => _engine()?.QueuedCount ?? 0;

    /// <summary>What it serves, to be changed.</summary>
    public Hub Configuration => _application.Services.GetRequiredService<Hub>();

    /// <summary>What it is made of.</summary>
    public IServiceProvider Services => _application.Services;

    /// <summary>How far the file is.</summary>
    internal ModelPresence PresenceOf(string path) =>
        _application.Services.GetRequiredService<LoadedModels<InferenceEngine>>().PresenceOf(path);

    /// <summary>Lines that were logged as warnings or worse.</summary>
    public IReadOnlyCollection<string> Complaints => _log.Complaints;

    /// <summary>A hub whose model follows scripts.</summary>
    public static Task<TestHub> StartScriptedAsync(TestHubOptions? options = null)
    {
        options ??= new TestHubOptions();
        var model = new ScriptedModel(options.ChatTemplate);
        foreach (var (message, script) in options.Scripts) model.Scripts[message] = script;
        var entry = new LocalModel("scripted", "scripted.gguf", 0, DateTimeOffset.UnixEpoch) { Aliases = ["scripted-alias"], Defaults = options.Defaults, EndsRepetition = options.EndsRepetition };
        var hub = new SluiceOptions { ApiKeys = [.. options.ApiKeys.Select(ApiKey.FromString)], CorsOrigins = options.CorsOrigins, Transport = TestTransport.Kind };
        return StartAsync(hub, new ModelCatalog([entry]), options, model, _ => new InferenceEngine(model, options.Engine));
    }

    /// <summary>A hub with the model that the repository carries, configured as the examples are.</summary>
    public static async Task<TestHub> StartDefaultModelAsync(TestHubOptions? options = null)
    {
        options ??= new TestHubOptions();
        var hub = ConfigurationFile.Load(Path.Combine(TestFiles.RepositoryRoot, "examples", "seed.yaml"), _ => null);
        var catalog = ModelCatalog.Create(hub, [Path.GetDirectoryName(TestFiles.DefaultModel)!]);
        return await StartAsync(hub, catalog, options, null, path => InferenceEngine.Load(path, options.Engine));
    }

    /// <summary>A hub with the models of a configuration, all of which are upstreams'.</summary>
    /// <param name="models">YAML of the <c>models</c>, two spaces indented.</param>
    /// <param name="options">What is different beside it.</param>
    public static Task<TestHub> StartConfiguredAsync(string models, TestHubOptions? options = null)
    {
        var hub = ConfigurationFile.Parse("models:\n" + models, "sluice.yaml", _ => null);
        return StartAsync(hub, ModelCatalog.Create(hub, []), options ?? new TestHubOptions(), null, path => throw new FileNotFoundException("No model file.", path));
    }

    /// <summary>Waits until no sequence holds or awaits a slot.</summary>
    public async Task WhenIdleAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (ActiveCount + QueuedCount > 0)
        {
            if (patience.IsCancellationRequested) throw new TimeoutException($"{ActiveCount} sequences still hold a slot, {QueuedCount} wait.");
            await Task.Delay(2, CancellationToken.None);
        }
    }

    /// <summary>Stops the hub as a signal does: what runs ends with an error.</summary>
    public Task StopAsync() => _application.StopAsync();

    /// <summary>The end of one that was stopped before.</summary>
    public ValueTask DisposeStoppedAsync() => _application.DisposeAsync();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _application.StopAsync();
        await _application.DisposeAsync();
    }

    private static async Task<TestHub> StartAsync(
        SluiceOptions configuration, ModelCatalog catalog, TestHubOptions options, ScriptedModel? model, Func<string, InferenceEngine> load)
    {
        InferenceEngine? engine = null;
        var log = new LogCollector();
        configuration = options.Configure?.Invoke(configuration) ?? configuration;
        var application = SluiceServer.CreateApplication(
            configuration with
            {
                Drain = options.Drain,
                Store = options.StorePath is null ? configuration.Store : StoreKind.Sqlite,
                StorePath = options.StorePath,
                Listen = [new ListenAddress("127.0.0.1", 0), new ListenAddress("127.0.0.1", 0, IsHttp2: true)],
            },
            catalog,
            builder =>
            {
                builder.Logging.ClearProviders().AddProvider(log);
                builder.Services.AddSingleton(options.Limits).AddSingleton(options.Time).AddSingleton(options.Random);
                builder.Services.AddSingleton(new EngineFactory<InferenceEngine>(model => engine = load(model.Path), loaded => loaded.Model.MemoryBytes, DraftCounts.Of));
            });
        await application.StartAsync();
        return new TestHub(application, log, model, () => engine, catalog.Models[0].Id);
    }

    private sealed class LogCollector : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string> _complaints = [];

        public IReadOnlyCollection<string> Complaints => _complaints;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) _complaints.Enqueue($"{logLevel}: {formatter(state, exception)} {exception}");
        }

        public void Dispose()
        {
        }
    }
}
