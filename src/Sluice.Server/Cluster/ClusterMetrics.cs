using System.Diagnostics.Metrics;

namespace Sluice.Server.Cluster;

/// <summary>What a hub of a cluster counts.</summary>
internal sealed class ClusterMetrics
{
    private readonly Counter<long> _takeovers;
    private readonly Counter<long> _moves;
    private readonly Counter<long> _refusals;
    private readonly Counter<long> _unkeyed;
    private long _followed;

    public ClusterMetrics(Meter meter)
    {
        _takeovers = meter.CreateCounter<long>("sluice.cluster.takeovers", "{answer}", "Answers of hubs that are gone which this one took over, by what came of it.");
        _moves = meter.CreateCounter<long>("sluice.cluster.handovers", "{answer}", "Answers that another hub continues because this one stops.");
        _refusals = meter.CreateCounter<long>("sluice.cluster.fenced", "{answer}", "Answers that another hub had claimed while this one still made them.");
        _unkeyed = meter.CreateCounter<long>("sluice.cluster.keys_unchecked", "{request}", "Requests with a key that began although the database could not say whether another hub has it.");
        meter.CreateObservableGauge("sluice.cluster.followed", () => Interlocked.Read(ref _followed), "{answer}", "Answers of other hubs that are read here.");
    }

    public void CountTakeover(bool goesOn) => _takeovers.Add(1, new KeyValuePair<string, object?>("outcome", goesOn ? "continued" : "lost"));

    public void CountHandover() => _moves.Add(1);

    public void CountFenced() => _refusals.Add(1);

    public void CountUncheckedKey() => _unkeyed.Add(1);

    public void AddFollowed(int count) => Interlocked.Add(ref _followed, count);
}
