using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>From the names of the catalog to routes. Immutable; what the deployments know of their upstreams changes.</summary>
internal sealed class ModelRouter : IDisposable
{
    private readonly FrozenDictionary<string, Route> _byName;
    private readonly List<SharedDeployment> _upstreams = [];

    /// <param name="catalog">The models.</param>
    /// <param name="previous">The router that this one takes the place of, not disposed yet: upstreams that both have keep their connections and state. Null at the start.</param>
    /// <param name="locals">Answers for local models.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="transport">Opens the ways to upstreams.</param>
    /// <param name="time">Clock of breakers, pauses and timeouts.</param>
    /// <param name="loggers">Told of failures.</param>
    public ModelRouter(
        ModelCatalog catalog, ModelRouter? previous, LocalUpstreams locals, Limits limits, UpstreamTransport transport, TimeProvider time,
        ILoggerFactory loggers)
    {
        var remote = loggers.CreateLogger<HttpUpstream>();
        var grammars = new GrammarCache(limits);
        var routes = catalog.Models.ToDictionary(model => model, model => model switch
        {
            UpstreamModel upstream => CreateRoute(upstream, previous, limits, transport, time, remote),
            LocalModel file => new Route(file, [[Deploy(locals(file, grammars), 1, limits, time)]], 0, null),
            _ => throw new ArgumentException($"Unknown kind of model: {model.GetType()}.", nameof(catalog)),
        });
        foreach (var (model, route) in routes)
            route.Fallbacks = [.. model.Fallbacks.Select(catalog.Find).OfType<ModelEntry>().Where(fallback => fallback != model).Select(fallback => routes[fallback])];
        _byName = routes
            .SelectMany(route => route.Key.Aliases.Prepend(route.Key.Id), (route, name) => KeyValuePair.Create(name, route.Value))
            .ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>One per model.</summary>
    public IEnumerable<Route> Routes => _byName.Values.Distinct();

    /// <summary>By id or alias; upper and lower case are the same.</summary>
    public Route? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>What answers for a local model; null where the configuration has none of this id.</summary>
    public IUpstream? FindLocal(string id) => Find(id) is { Model: LocalModel { Id: var found } } route && found == id ? route.Tiers[0][0].Upstream : null;

    public void Dispose()
    {
        foreach (var upstream in _upstreams) upstream.Release();
    }

    private Route CreateRoute(UpstreamModel model, ModelRouter? previous, Limits limits, UpstreamTransport transport, TimeProvider time, ILogger logger)
    {
        var tiers = new List<List<Deployment>>();
        var lastHasWeight = false;
        foreach (var options in model.Route.Upstreams)
        {
            var shared = Keep(model, options, previous) ?? Create(model, options, previous, limits, transport, time, logger);
            _upstreams.Add(shared);
            // Neighbours with a weight are equals; any other stands alone.
            if (options.Weight is not null && lastHasWeight) tiers[^1].Add(shared.Deployment);
            else tiers.Add([shared.Deployment]);
            lastHasWeight = options.Weight is not null;
        }
        return new Route(model, tiers, model.Route.Retries, model.Route.Timeouts)
        {
            Rescues = model.Route.Rescue,
            Hedging = HedgingOf(model, previous),
        };
    }

    // The times of first tokens that it has learned hold as long as the share does.
    private static Hedging? HedgingOf(UpstreamModel model, ModelRouter? previous)
    {
        if (model.Route.Hedge is not { } share) return null;
        return previous?.Find(model.Id) is { Hedging: { } known, Model: UpstreamModel { Route.Hedge: var before } } && before == share ? known : new Hedging(share);
    }

    // One that is named twice is two deployments.
    private SharedDeployment? Keep(UpstreamModel model, UpstreamOptions options, ModelRouter? previous) =>
        previous?._upstreams.Find(shared => shared.IsFor(model.Id, options, model.Route.Timeouts) && !_upstreams.Contains(shared))?.Hold();

    private SharedDeployment Create(
        UpstreamModel model, UpstreamOptions options, ModelRouter? previous, Limits limits, UpstreamTransport transport, TimeProvider time, ILogger logger)
    {
        var upstream = new HttpUpstream(options, model.Id, model.Route.Timeouts, limits, transport, time, logger);
        var breaker = previous?._upstreams.Find(shared => shared.IsSameServer(model.Id, options))?.Deployment.Breaker ?? new Breaker(limits, time);
        var key = _upstreams.Concat(previous?._upstreams ?? []).FirstOrDefault(shared => shared.SendsKeyOf(options))?.Deployment.Key ?? new KeyRest(time);
        return new SharedDeployment(model.Id, options, model.Route.Timeouts, new Deployment(upstream, options.Weight ?? 1, breaker, key, time), upstream);
    }

    private static Deployment Deploy(IUpstream upstream, double weight, Limits limits, TimeProvider time) =>
        new(upstream, weight, new Breaker(limits, time), new KeyRest(time), time);
}
