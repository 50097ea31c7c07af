using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>
/// One attempt, and a second one at another upstream when its first token is late: the first content wins, and the other attempt ends.
/// A failure never wins while the other one runs.
/// </summary>
internal static class HedgedAttempt
{
    /// <param name="attempt">What is asked.</param>
    /// <param name="first">Asked at once.</param>
    /// <param name="hedging">Says when.</param>
    /// <param name="chooseSecond">Chooses whom to ask then, and takes the hedge from the budget; null when there is nobody, or the budget is spent.</param>
    /// <param name="excluded">Receives the second where it would be pointless to ask it again; the first is the caller's.</param>
    /// <param name="time">Clock of the wait.</param>
    /// <returns>How the attempt went that has won, and where; or, of two failures, the first's, unless the other one refuses the request itself.</returns>
    /// <exception cref="OperationCanceledException"><see cref="Attempt.Cancellation"/> was.</exception>
    public static async Task<(AttemptResult Result, Deployment Deployment)> RunAsync(Attempt attempt, Deployment first, Hedging hedging, Func<Deployment?> chooseSecond, ISet<Deployment> excluded, TimeProvider time)
    {
        var commit = attempt.Commit;
        var delay = hedging.Begin();
        using var firstEnd = CancellationTokenSource.CreateLinkedTokenSource(attempt.Cancellation);
        var primary = attempt with { Cancellation = firstEnd.Token };
        var started = time.GetTimestamp();
        var running = first.RunAsync(primary);
        if (delay is { } wait)
        {
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(attempt.Cancellation);
            await Waits.FirstAsync(running, commit.Passed, Task.Delay(wait, time, waiting.Token));
            Cancel(waiting);
            var isLate = !running.IsCompleted && !commit.Passed.IsCompleted && !attempt.Cancellation.IsCancellationRequested;
            if (isLate && chooseSecond() is { } second && attempt.Record.Hold?.TryHoldHedge() != false)
            {
                attempt.Record.AddHedge();
                var won = await RaceAsync(attempt, running, primary, firstEnd, first, second, excluded);
                Learn();
                return won;
            }
        }
        var result = await running;
        Learn();
        return (result, first);

        // Late ones too: without them the wait would shrink with every hedge.
        void Learn()
        {
            if (commit.Winner is not null) hedging.Add(commit.ElapsedSince(started));
        }
    }

    private static async Task<(AttemptResult Result, Deployment Deployment)> RaceAsync(
        Attempt attempt, Task<AttemptResult> first, Attempt primary, CancellationTokenSource firstEnd, Deployment firstDeployment, Deployment secondDeployment,
        ISet<Deployment> excluded)
    {
        using var secondEnd = CancellationTokenSource.CreateLinkedTokenSource(attempt.Cancellation);
        var second = secondDeployment.RunAsync(attempt with { Cancellation = secondEnd.Token });
        await Waits.FirstAsync(attempt.Commit.Passed, BothAsync(first, second));
        if (attempt.Commit.Winner is not { } winner)
        {
            await ((Task)second).ConfigureAwait(Waits.Quietly);
            var failed = await first;
            if (!second.IsCompletedSuccessfully) return (failed, firstDeployment);
            var other = await second;
            if (other.Kind is FailureKind.Silent or FailureKind.Rejected or FailureKind.Inexpressible) excluded.Add(secondDeployment);
            // What refuses the request itself counts before what may pass.
            return !IsRefusal(failed) && IsRefusal(other) ? (other, secondDeployment) : (failed, firstDeployment);
        }
        var isFirst = ReferenceEquals(winner, primary);
        Cancel(isFirst ? secondEnd : firstEnd);
        await ((Task)(isFirst ? second : first)).ConfigureAwait(Waits.Quietly);
        return isFirst ? (await first, firstDeployment) : (await second, secondDeployment);
    }

    private static bool IsRefusal(AttemptResult result) => result.Kind is FailureKind.Refused or FailureKind.ContextLength;

    // Here and now, and not on another thread as CancelAsync would: what is registered ends a wait or closes a connection.
    private static void Cancel(CancellationTokenSource source) => source.Cancel();

    private static async Task BothAsync(Task first, Task second)
    {
        await first.ConfigureAwait(Waits.Quietly);
        await second.ConfigureAwait(Waits.Quietly);
    }
}
