using Microsoft.Extensions.Logging;
using Sluice.Inference.Scheduling;
using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Routing;

namespace Sluice.Server.Serving;

/// <summary>The configuration that the hub serves, and the way to another one while it runs. Thread-safe.</summary>
/// <remarks>
/// A change is taken over whole: a request sees the configuration that was current when it came, to its end. An upstream that both
/// configurations name in the same words keeps its connections, its breaker and its count of requests; a local model that both name
/// stays loaded.
/// </remarks>
public sealed partial class Hub : IDisposable
{
    // One change at a time.
    private readonly Lock _lock = new();
    private readonly LoadedModels<InferenceEngine> _memory;
    private readonly Func<ModelCatalog, ModelRouter?, ModelRouter> _createRouter;
    private readonly KeyRing _ring;
    private readonly Limiter _limiter;
    private readonly TimeProvider _time;
    private readonly IReadOnlyList<ModelEntry> _added;
    private readonly ILogger _logger;
    private volatile HubSnapshot _current;

    internal Hub(
        SluiceOptions options,
        ModelCatalog catalog,
        LoadedModels<InferenceEngine> memory,
        Func<ModelCatalog, ModelRouter?, ModelRouter> createRouter,
        KeyRing ring,
        Limiter limiter,
        TimeProvider time,
        IReadOnlyList<ModelEntry> added,
        ILogger<Hub> logger)
    {
        _added = added;
        catalog = catalog.With(added);
        (_memory, _createRouter, _ring, _limiter, _time, _logger) = (memory, createRouter, ring, limiter, time, logger);
        _current = CreateSnapshot(options, catalog, createRouter(catalog, null));
    }

    /// <summary>What is served to requests that come from now on.</summary>
    public SluiceOptions Options => _current.Options;

    /// <summary>The models of <see cref="Options"/>.</summary>
    public ModelCatalog Catalog => _current.Catalog;

    /// <summary>Raised when another configuration has become current, on the thread that made it so.</summary>
    internal event Action? Applied;

    internal HubSnapshot Current => _current;

    /// <summary>Serves another configuration from now on.</summary>
    /// <param name="options">
    /// Validated. <see cref="SluiceOptions.Listen"/>, the store and <see cref="SluiceOptions.Drain"/> stay what they were at the start; a difference is said in
    /// the log.
    /// </param>
    /// <param name="catalog">Its models.</param>
    /// <exception cref="InvalidOperationException">
    /// It would let everyone in where a key is needed now, and doesn't say so: <see cref="SluiceOptions.AllowsEveryone"/>. Or it has a name that
    /// a model of <see cref="SluiceServices.AddSluiceModel"/> has. The current one stays.
    /// </exception>
    public void Apply(SluiceOptions options, ModelCatalog catalog)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(catalog);
        catalog = catalog.With(_added);
        lock (_lock)
        {
            var old = _current;
            // A file that was emptied, or cut short by a full disk, has no keys either.
            if (old.Options.HasKeys && !options.HasKeys && _ring.IsEmpty && !options.AllowsEveryone)
                throw new InvalidOperationException("it has no API keys, and the current one has; write 'api_keys: []' to let everyone in.");
            if (!options.Listen.SequenceEqual(old.Options.Listen)) LogListenStays(string.Join(" and ", options.Listen), string.Join(" and ", old.Options.Listen));
            var kept = options with
            {
                Listen = old.Options.Listen,
                Certificate = old.Options.Certificate,
                Store = old.Options.Store,
                StorePath = old.Options.StorePath,
                StoreSizeBytes = old.Options.StoreSizeBytes,
                Drain = old.Options.Drain,
                StopDelay = old.Options.StopDelay,
                Ledger = old.Options.Ledger,
                Admin = old.Options.Admin,
                Console = old.Options.Console,
                Cluster = old.Options.Cluster,
                Transport = old.Options.Transport,
            };
            if (kept with { Listen = options.Listen } != options) LogStoreStays();
            _current = CreateSnapshot(kept, catalog, _createRouter(catalog, old.Router));
            _memory.Retain(catalog.Models.OfType<LocalModel>().Select(model => model.Path), options.MemoryBudgetBytes);
            LogApplied(catalog.Models.Count, NamesOf(catalog, without: old.Catalog), NamesOf(old.Catalog, without: catalog));
            old.Release();
        }
        Applied?.Invoke();
    }

    /// <inheritdoc/>
    public void Dispose() => _current.Release();

    /// <summary>The current configuration, to be released at the end of the request.</summary>
    /// <exception cref="ObjectDisposedException">The hub is gone.</exception>
    internal HubSnapshot Hold()
    {
        while (true)
        {
            var current = _current;
            if (current.TryHold()) return current;
            // What was replaced is let go of only after that.
            ObjectDisposedException.ThrowIf(ReferenceEquals(current, _current), this);
        }
    }

    // Prices first: what begins from now on is charged by them.
    private HubSnapshot CreateSnapshot(SluiceOptions options, ModelCatalog catalog, ModelRouter router)
    {
        _limiter.SetPrices(options.Prices);
        _limiter.Apply(options.Hub, options.Projects);
        _ring.Apply(options);
        return new HubSnapshot(options, catalog, router, _ring, _limiter, _time);
    }

    private static string NamesOf(ModelCatalog catalog, ModelCatalog without)
    {
        var names = catalog.Models.Select(model => model.Id).Except(without.Models.Select(model => model.Id), StringComparer.Ordinal).ToList();
        return names.Count > 0 ? string.Join(", ", names) : "none";
    }

    [LoggerMessage(1, LogLevel.Information, "The new configuration is applied; models: {Count}, added: {Added}, removed: {Removed}.")]
    private partial void LogApplied(int count, string added, string removed);

    [LoggerMessage(3, LogLevel.Warning, "'certificate', 'store', 'store_path', 'store_size', 'drain', 'stop_delay', 'ledger', 'admin_listen', 'console', 'cluster' and 'transport' can't change while the hub runs; restart it to apply them.")]
    private partial void LogStoreStays();

    [LoggerMessage(2, LogLevel.Warning, "'listen' can't change while the hub runs; restart it to listen on {Listen}. Until then it listens on {Current}.")]
    private partial void LogListenStays(string listen, string current);
}
