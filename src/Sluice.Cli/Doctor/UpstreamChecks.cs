using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;

namespace Sluice.Cli.Doctor;

/// <summary>Asks each upstream for its list of models, all at the same time.</summary>
internal static class UpstreamChecks
{
    public static async Task<IEnumerable<Finding>> RunAsync(SluiceOptions options, TimeProvider time, CancellationToken cancellation)
    {
        var limits = new Limits();
        var upstreams = (options.Models ?? []).SelectMany(static model => model.Route?.Upstreams ?? [], static (model, upstream) => (model.Id, Upstream: upstream)).ToList();
        var health = await Task.WhenAll(upstreams.Select(pair => UpstreamProbe.AskAsync(pair.Upstream, limits, time, cancellation)));
        return upstreams.Zip(health, static (pair, state) => Describe(pair.Id, pair.Upstream, state));
    }

    private static Finding Describe(string model, UpstreamOptions upstream, UpstreamHealth health)
    {
        var place = $"{upstream} of {model}";
        return health switch
        {
            UpstreamHealth.Ok => Finding.Fine("upstream", $"{place} answers"),
            UpstreamHealth.Unauthorised => Finding.Wrong("upstream", $"{place} refuses the key; check 'api_key'"),
            UpstreamHealth.Failing => Finding.Wrong("upstream", $"{place} answers with an error of its own; look into its log"),
            UpstreamHealth.Silent => Finding.Wrong("upstream", $"{place} accepts connections and says nothing; look into its log"),
            _ => Finding.Wrong("upstream", $"{place} can't be reached; check 'url', and whether the server runs"),
        };
    }
}
