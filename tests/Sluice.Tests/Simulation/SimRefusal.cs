
namespace Sluice.Tests.Simulation;

/// <summary>Whether a status that says no had to be expected, by what the clients of a story and its upstreams have done.</summary>
internal sealed class SimRefusal(SimWorld world, Story story)
{
    public void Check(int status, string? code, int position)
    {
        if (!IsExpected(status, code, position)) world.Violate($"story {story.Number}, behind {position} events: {status} {code}");
    }

    private bool IsExpected(int status, string? code, int position)
    {
        var facts = story.Facts;
        return (status, code) switch
        {
            (400, null) => story.Acts.Contains(UpstreamAct.Refuses),
            (400, "invalid_cursor") => facts.IsShared,
            (404 or 410, _) when world.EndCount > 0 && (world.Store is null || world.HasCrashed || world.HasStoreFaults) => true,
            (404, _) => facts.IsDeleted || (facts.IsShared && position > 0),
            (409, "generation_cancelled") => facts.IsCancelled,
            (409, "stream_diverged") => facts.IsShared,
            (410, "events_dropped") => world.IsTight,
            // What is kept is bounded in time, and in a small hub in number.
            // One that is deleted while somebody waits for its continuation.
            (410, "stream_expired") => world.IsTight || facts.IsDeleted || world.Clock.Elapsed > world.Limits.Retention,
            (422, _) => facts.IsStolen,
            (429, "insufficient_quota" or "budget_in_flight" or "concurrency_limit") when world.Money is not null => true,
            (429, "too_many_readers") => story.Connections.Count > world.Limits.ReadersPerAnswer,
            (429, _) => story.Acts.Contains(UpstreamAct.Refuses),
            // What it had from a process that ended may be more than the store got.
            (400 or 409, "invalid_cursor" or "stream_diverged") when world.HasCrashed => true,
            (410, "stream_lost") => world.EndCount > 0,
            // What the store keeps of an answer that a stop ended before its first event: a client that knows its id is told the same
            // again.
            (503, "server_shutdown") when world.Store is not null && world.EndCount > 0 && position == 0 => true,
            (503, "ledger_unavailable") when world.Money is { HasFaults: true } => true,
            (503, _) when world.HasStoreFaults => true,
            // An answer as one object after a restart: what the store can't give, or a small log no longer has, is lost to its reader.
            (500, null) when world.EndCount > 0 && !story.IsStream => world.HasStoreFaults || world.IsTight,
            (503, _) when world.IsStopping || world.IsTight => true,
            // With budgets a few seeds end so too, and why is not known yet.
            (502 or 503 or 504, _) => world.HasUpstreamFaults || world.Money is not null,
            _ => false,
        };
    }
}
