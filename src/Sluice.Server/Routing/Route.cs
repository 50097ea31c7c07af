using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Server.Routing;

/// <summary>How a model is reached: its deployments in tiers, and how often and how long they are tried.</summary>
/// <param name="Model">The model.</param>
/// <param name="Tiers">At least one, none empty; an earlier one comes first.</param>
/// <param name="Retries">Attempts after the first.</param>
/// <param name="Timeouts">Null for the hub's own engine, which has none.</param>
internal sealed record Route(ModelEntry Model, IReadOnlyList<IReadOnlyList<Deployment>> Tiers, int Retries, RouteTimeouts? Timeouts)
{
    /// <summary>Routes to try, in order and once each, when this one fails.</summary>
    public IReadOnlyList<Route> Fallbacks { get; set; } = [];

    /// <summary>Whether an answer that breaks off may be gone on with.</summary>
    public bool Rescues { get; init; }

    /// <summary>Null where no request is sent twice.</summary>
    public Hedging? Hedging { get; init; }

    /// <summary>Of all tiers, in order.</summary>
    public IEnumerable<Deployment> Deployments => Tiers.SelectMany(static tier => tier);

    /// <summary>
    /// The deployment for the next attempt: of the first tier that has any, the one with the least to do; those not tried yet before
    /// those tried, and those better left alone last. Null when all are excluded.
    /// </summary>
    /// <param name="tried">Deployments of earlier attempts.</param>
    /// <param name="excluded">Those that it would be pointless to ask again.</param>
    /// <param name="avoidedAllowed">Whether one that is better left alone is better than none.</param>
    public Deployment? Choose(IReadOnlySet<Deployment> tried, IReadOnlySet<Deployment> excluded, bool avoidedAllowed)
    {
        Deployment? best = null;
        var bestRank = int.MaxValue;
        foreach (var tier in Tiers)
        {
            Deployment? least = null;
            var leastRank = int.MaxValue;
            foreach (var deployment in tier)
            {
                if (excluded.Contains(deployment)) continue;
                var isAvoided = deployment.IsAvoided;
                // A pause that this request was asked for is waited for; a breaker is not.
                if (isAvoided && !avoidedAllowed && (deployment.Breaker.IsOpen || !tried.Contains(deployment))) continue;
                var rank = (isAvoided ? 2 : 0) + (tried.Contains(deployment) ? 1 : 0);
                if (rank < leastRank || (rank == leastRank && deployment.Load < least!.Load)) (least, leastRank) = (deployment, rank);
            }
            if (leastRank < bestRank) (best, bestRank) = (least, leastRank);
        }
        return best;
    }

    /// <summary>Whether somebody but <paramref name="deployment"/> could be asked.</summary>
    public bool HasOther(Deployment deployment, IReadOnlySet<Deployment> excluded) =>
        Tiers.Any(tier => tier.Any(other => other != deployment && !excluded.Contains(other)));
}
