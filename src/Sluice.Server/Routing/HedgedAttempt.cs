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
    /// <param name="hedging">Says when, and whether there may be a second one.</param>
    /// <param name="chooseSecond">Chooses whom to ask then; null when there is nobody.</param>
    /// <param name="time">Clock of the wait.</param>
    /// <returns>How the attempt went that has won, and where; or, of two failures, the first's.</returns>
    /// <exception cref="OperationCanceledException"><see cref="Attempt.Cancellation"/> was.</exception>
    public static async Task<(AttemptResult Result, Deployment Deployment)> RunAsync(Attempt attempt, Deployment first, Hedging hedging, Func<Deployment?> chooseSecond, TimeProvider time)
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
            await Task.WhenAny(running, commit.Passed, Task.Delay(wait, time, waiting.Token));
            await waiting.CancelAsync();
            var isLate = !running.IsCompleted && !commit.Passed.IsCompleted && !attempt.Cancellation.IsCancellationRequested;
            if (isLate && chooseSecond() is { } second && hedging.TrySpend())
            {
                attempt.Record.AddHedge();
                return await RaceAsync(attempt, running, primary, firstEnd, first, second);
            }
        }
        var result = await running;
        if (commit.Winner is not null) hedging.Add(commit.ElapsedSince(started));
        return (result, first);
    }

    private static async Task<(AttemptResult Result, Deployment Deployment)> RaceAsync(
        Attempt attempt, Task<AttemptResult> first, Attempt primary, CancellationTokenSource firstEnd, Deployment firstDeployment, Deployment secondDeployment)
    {
        using var secondEnd = CancellationTokenSource.CreateLinkedTokenSource(attempt.Cancellation);
        var second = secondDeployment.RunAsync(attempt with { Cancellation = secondEnd.Token });
        await Task.WhenAny(attempt.Commit.Passed, Task.WhenAll(Settled(first), Settled(second)));
        if (attempt.Commit.Winner is not { } winner)
        {
            await Settled(second);
            return (await first, firstDeployment);
        }
        var isFirst = ReferenceEquals(winner, primary);
        await (isFirst ? secondEnd : firstEnd).CancelAsync();
        await Settled(isFirst ? second : first);
        return isFirst ? (await first, firstDeployment) : (await second, secondDeployment);
    }

    private static async Task Settled(Task task) => await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}
