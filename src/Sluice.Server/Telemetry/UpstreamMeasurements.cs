using System.Diagnostics.Metrics;
using Sluice.Server.Routing;

namespace Sluice.Server.Telemetry;

/// <summary>What is looked up of the upstreams when somebody collects. One that a model names twice is one, with its worst state and its sum.</summary>
internal static class UpstreamMeasurements
{
    public static IEnumerable<Measurement<long>> Breakers(HubConfiguration hub) =>
        Of(hub, static deployments => deployments.Max(static deployment => (long)deployment.Breaker.State));

    public static IEnumerable<Measurement<long>> InFlight(HubConfiguration hub) =>
        Of(hub, static deployments => deployments.Sum(static deployment => (long)deployment.InFlight));

    private static IEnumerable<Measurement<long>> Of(HubConfiguration hub, Func<IEnumerable<Deployment>, long> measure) =>
        from route in hub.Current.Router.Routes
        from sameName in route.Tiers.SelectMany(static tier => tier).GroupBy(static deployment => deployment.Upstream.Identity.Name)
        select new Measurement<long>(measure(sameName), new(Tags.Model, route.Model.Id), new(Tags.Upstream, sameName.Key));
}
