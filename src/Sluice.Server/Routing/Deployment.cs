using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>One place where a model runs, and what is known of it. Thread-safe.</summary>
/// <param name="upstream">Answers.</param>
/// <param name="weight">Its share among its neighbours, above 0.</param>
/// <param name="breaker">Its own.</param>
/// <param name="key">What is known of the key that it sends; others may send the same.</param>
/// <param name="time">Clock of the pauses.</param>
internal sealed class Deployment(IUpstream upstream, double weight, Breaker breaker, KeyRest key, TimeProvider time)
{
    private int _inFlight;
    private long _pausedUntil;

    public IUpstream Upstream => upstream;

    public Breaker Breaker => breaker;

    public KeyRest Key => key;

    /// <summary>Attempts that run.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Attempts that run, by its share: where this is least the next one goes.</summary>
    public double Load => Volatile.Read(ref _inFlight) / weight;

    /// <summary>Whether it is better left alone now: it fails, has asked for a pause, or rejects the key.</summary>
    public bool IsAvoided => breaker.IsOpen || key.IsResting || time.GetUtcNow().UtcTicks < Volatile.Read(ref _pausedUntil);

    /// <summary>It has said when to come again.</summary>
    public void Pause(TimeSpan pause) => Volatile.Write(ref _pausedUntil, time.GetUtcNow().UtcTicks + pause.Ticks);

    /// <summary>Makes an attempt and learns from it.</summary>
    public async Task<AttemptResult> RunAsync(Attempt attempt)
    {
        Interlocked.Increment(ref _inFlight);
        attempt.Record.Hold?.BeginAttempt();
        var entry = attempt.Entry = attempt.Record.BeginAttempt(upstream.Identity, attempt.ModelId);
        breaker.Enter();
        AttemptResult? known = null;
        try
        {
            var result = await upstream.RunAsync(attempt);
            known = result;
            if (IsInexpressible(known)) return result;
            if (result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.RateLimited, Error.RetryAfter: { } pause }) Pause(pause);
            // What is rejected is rejected again: a key whatever it is asked for, anything else here.
            if (result is { Outcome: AttemptOutcome.Failed, IsOfKey: true }) key.Begin(breaker.RejectedRest);
            else if (result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Rejected, Error.Status: not 404 }) Pause(breaker.RejectedRest);
            if (result.Outcome != AttemptOutcome.Answered && result.Kind is FailureKind.Faulted or FailureKind.Silent) breaker.Fail();
            else breaker.Succeed();
            return result;
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
            if (known is null || IsInexpressible(known)) breaker.Forget();
            attempt.Record.EndAttempt(entry, known, RoleOf(attempt, known));
        }
    }

    private static AttemptRole RoleOf(Attempt attempt, AttemptResult? result) => attempt switch
    {
        { Commit.Winner: { } winner } when !ReferenceEquals(winner, attempt) => AttemptRole.HedgeLost,
        { Output: RescueWriter { IsRescued: false } } => AttemptRole.RescueLost,
        _ => result is { Outcome: AttemptOutcome.Failed } ? AttemptRole.Failed : AttemptRole.Answer,
    };

    private static bool IsInexpressible(AttemptResult? result) => result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Inexpressible };
}
