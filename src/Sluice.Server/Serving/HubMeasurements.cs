using System.Diagnostics.Metrics;
using Sluice.Inference.Scheduling;
using Sluice.Server.Models;
using Sluice.Server.Routing;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Serving;

/// <summary>Instruments that read the served configuration when somebody collects.</summary>
internal static class HubMeasurements
{
    public static void Register(Meter meter, Hub hub, LoadedModels<InferenceEngine> memory)
    {
        meter.CreateObservableGauge(
            "sluice.upstream.breaker", () => Breakers(hub), "{state}", "Breaker of an upstream: 0 closed, 1 probing, 2 open.");
        meter.CreateObservableUpDownCounter(
            "sluice.upstream.in_flight", () => InFlight(hub), "{attempt}", "Running attempts at an upstream.");
        meter.CreateObservableGauge(
            "sluice.model.loaded", () => LocalModels(hub, path => memory.PresenceOf(path) == ModelPresence.Loaded ? 1 : 0), "{state}",
            "Whether the model is in memory: 1 or 0.");
        meter.CreateObservableCounter(
            "sluice.engine.drafted_tokens", () => LocalFiles(hub, path => memory.DraftsOf(path).Drafted), "{token}",
            "Tokens that the engine drafted from the text so far and computed before they were sampled.");
        meter.CreateObservableCounter(
            "sluice.engine.accepted_tokens", () => LocalFiles(hub, path => memory.DraftsOf(path).Accepted), "{token}",
            "Drafted tokens that were then sampled, each without a step of its own.");
    }

    private static IEnumerable<Measurement<long>> Breakers(Hub hub) =>
        Of(hub, static deployments => deployments.Max(static deployment => (long)deployment.Breaker.State));

    private static IEnumerable<Measurement<long>> InFlight(Hub hub) =>
        Of(hub, static deployments => deployments.Sum(static deployment => (long)deployment.InFlight));

    // An upstream that a model names twice is one, with its worst state and its sum.
    private static IEnumerable<Measurement<long>> Of(Hub hub, Func<IEnumerable<Deployment>, long> measure) =>
        from route in hub.Current.Router.Routes
        from sameName in route.Tiers.SelectMany(static tier => tier).GroupBy(static deployment => deployment.Upstream.Identity.Name)
        select new Measurement<long>(measure(sameName), new(Tags.Model, route.Model.Id), new(Tags.Upstream, sameName.Key));

    private static IEnumerable<Measurement<long>> LocalModels(Hub hub, Func<string, long> read) =>
        from model in hub.Catalog.Models.OfType<LocalModel>()
        select new Measurement<long>(read(model.Path), new KeyValuePair<string, object?>(Tags.Model, model.Id));

    // Models of one file share an engine, and its counts stand once: under the first of them.
    private static IEnumerable<Measurement<long>> LocalFiles(Hub hub, Func<string, long> read) =>
        from model in hub.Catalog.Models.OfType<LocalModel>().DistinctBy(static model => model.Path, StringComparer.Ordinal)
        select new Measurement<long>(read(model.Path), new KeyValuePair<string, object?>(Tags.Model, model.Id));
}
