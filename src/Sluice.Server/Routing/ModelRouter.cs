using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Sluice.Inference.Generation;
using Sluice.Server.Models;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>From the names of the catalog to routes.</summary>
internal sealed class ModelRouter : IDisposable
{
    private readonly FrozenDictionary<string, Route> _byName;
    private readonly List<HttpUpstream> _upstreams = [];

    public ModelRouter(
        ModelCatalog catalog, ModelMemory<InferenceEngine> memory, RandomSource random, Limits limits, TimeProvider time, ILoggerFactory loggers)
    {
        var local = loggers.CreateLogger<LocalUpstream>();
        var remote = loggers.CreateLogger<HttpUpstream>();
        var grammars = new GrammarCache(limits);
        var routes = catalog.Models.ToDictionary(model => model, model => model switch
        {
            UpstreamModel upstream => CreateRoute(upstream, limits, time, remote),
            LocalModel file => new Route(file, [[Deploy(new LocalUpstream(file, memory, grammars, random, time, local), 1, limits, time)]], 0, null),
            _ => throw new ArgumentException($"Unknown kind of model: {model.GetType()}.", nameof(catalog)),
        });
        foreach (var (model, route) in routes)
            route.Fallbacks = [.. model.Fallbacks.Select(catalog.Find).OfType<ModelEntry>().Where(fallback => fallback != model).Select(fallback => routes[fallback])];
        _byName = routes
            .SelectMany(route => route.Key.Aliases.Prepend(route.Key.Id), (route, name) => KeyValuePair.Create(name, route.Value))
            .ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>By id or alias; upper and lower case are the same.</summary>
    public Route? Find(string name) => _byName.GetValueOrDefault(name);

    public void Dispose()
    {
        foreach (var upstream in _upstreams) upstream.Dispose();
    }

    private Route CreateRoute(UpstreamModel model, Limits limits, TimeProvider time, ILogger logger)
    {
        var tiers = new List<List<Deployment>>();
        var lastHasWeight = false;
        foreach (var options in model.Route.Upstreams)
        {
            var upstream = new HttpUpstream(options, model.Id, model.Route.Timeouts, limits, time, logger);
            _upstreams.Add(upstream);
            var deployment = Deploy(upstream, options.Weight ?? 1, limits, time);
            // Neighbours with a weight are equals; any other stands alone.
            if (options.Weight is not null && lastHasWeight) tiers[^1].Add(deployment);
            else tiers.Add([deployment]);
            lastHasWeight = options.Weight is not null;
        }
        return new Route(model, tiers, model.Route.Retries, model.Route.Timeouts)
        {
            Rescues = model.Route.Rescue,
            Hedging = model.Route.Hedge is { } share ? new Hedging(share) : null,
        };
    }

    private static Deployment Deploy(IUpstream upstream, double weight, Limits limits, TimeProvider time) => new(upstream, weight, new Breaker(limits, time), time);
}
