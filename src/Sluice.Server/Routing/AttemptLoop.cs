using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Routing;

/// <summary>
/// Gets a generation its answer: attempt after attempt over the deployments of the model, then over its fallbacks, until one has
/// content. If that breaks off, <see cref="MidStreamRescue"/> may go on with it; nothing else is tried again.
/// </summary>
internal sealed partial class AttemptLoop(MidStreamRescue rescue, RandomSource random, Limits limits, TimeProvider time, ILogger<AttemptLoop> logger)
{
    private static readonly ApiError s_noneLeft = ApiErrors.Unavailable() with { Message = "No server of this model can be asked now. Please retry." };

    /// <summary>
    /// Everything that comes of the request, refusals too, goes to the generation's log, which always comes to an end. The task
    /// completes, never with an exception, when the answer has ended or the local engine has taken over.
    /// </summary>
    /// <param name="attempt">What is asked.</param>
    /// <param name="route">Of the model that is asked for.</param>
    public async Task RunAsync(Attempt attempt, Route route)
    {
        var generation = attempt.Generation;
        var total = route.Timeouts?.Total ?? Timeout.InfiniteTimeSpan;
        await using var timer = time.CreateTimer(static state => ((Generation)state!).Cancel(CancellationCause.Deadline), generation, total, Timeout.InfiniteTimeSpan);
        try
        {
            if (await RunRoutesAsync(attempt, route, timer) is { } error) attempt.Output.Fail(error);
        }
        catch (OperationCanceledException) when (generation.Cancellation.IsCancellationRequested)
        {
            attempt.Output.Cancel(attempt);
        }
#pragma warning disable CA1031 // Whatever it was, the log must end: a reader waits for it.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFault(error, generation.Id);
            attempt.Output.Fail(ApiErrors.ServerError());
        }
    }

    // Null when the request was answered. Otherwise the error of the model that was asked for: a fallback's would tell of something
    // that the client doesn't know of.
    private async Task<ApiError?> RunRoutesAsync(Attempt attempt, Route route, ITimer timer)
    {
        var (result, deployment) = await RunRouteAsync(attempt, route, 1 + route.Retries, route.Fallbacks);
        if (result.Outcome != AttemptOutcome.Failed) return await RescueAsync(attempt, result, deployment, route, route.Fallbacks);
        if (result.Kind == FailureKind.Refused) return result.Error;
        var isTimed = route.Timeouts is not null;
        for (var i = 0; i < route.Fallbacks.Count; i++)
        {
            var fallback = route.Fallbacks[i];
            // One that a budget has no room for is passed over.
            if (attempt.Record.Hold?.TrySetModel(fallback.Model.Id) == false) continue;
            // The hub's own engine has no time to keep; the first server that is asked has.
            if (!isTimed && fallback.Timeouts is { } timeouts) isTimed = timer.Change(timeouts.Total, Timeout.InfiniteTimeSpan);
            LogFallback(attempt.Generation.Id, route.Model.Id, fallback.Model.Id, result.Kind);
            attempt.Record.AddFailover(FailoverStep.Fallback);
            var name = fallback.Model.Id;
            var asked = attempt with { ModelName = name, ModelId = name, Outline = attempt.Outline with { Model = name } };
            var rest = route.Fallbacks.Skip(i + 1).ToArray();
            var (other, place) = await RunRouteAsync(asked, fallback, 1, rest);
            if (other.Outcome != AttemptOutcome.Failed) return await RescueAsync(asked, other, place, fallback, rest);
        }
        return result.Error;
    }

    private async Task<ApiError?> RescueAsync(Attempt attempt, AttemptResult result, Deployment? deployment, Route route, IReadOnlyList<Route> fallbacks)
    {
        if (result.Outcome == AttemptOutcome.Answered) return null;
        // What a provider has refused to go on with, others need not be made to say.
        var isRescued = attempt.IsRescuable && result.Kind != FailureKind.Refused
            && await rescue.RunAsync(attempt, deployment!, result.Kind == FailureKind.Silent, route, fallbacks);
        if (isRescued) return null;
        attempt.Record.Hold?.Return(attempt.ModelId);
        return result.Error;
    }

    private async Task<(AttemptResult Result, Deployment? Deployment)> RunRouteAsync(Attempt attempt, Route route, int attemptsMax, IReadOnlyList<Route> fallbacks)
    {
        var tried = new HashSet<Deployment>();
        var excluded = new HashSet<Deployment>();
        var hasFallback = fallbacks.Count > 0;
        var last = AttemptResult.Failed(FailureKind.Faulted, s_noneLeft);
        for (var count = 1; count <= attemptsMax; count++)
        {
            if (route.Choose(tried, excluded, avoidedAllowed: !hasFallback) is not { } deployment) return (last, null);
            if (tried.Contains(deployment) && !await WaitAsync(attempt, last, count - 2)) return (last, null);
            if (count > 1) attempt.Record.AddFailover(tried.Contains(deployment) ? FailoverStep.Retry : FailoverStep.Upstream);
            tried.Add(deployment);
            var isLast = !hasFallback && (count == attemptsMax || !route.HasOther(deployment, excluded));
            var next = attempt with
            {
                Commit = new CommitPoint(time),
                IsLast = isLast,
                IsRescuable = attempt.IsRescuable && MidStreamRescue.IsPossible(route, deployment, fallbacks),
            };
            (var result, deployment) = route.Hedging is { } hedging && count == 1
                ? await HedgedAttempt.RunAsync(next, deployment, hedging, () => ChooseSecond(route, hedging, tried, excluded), excluded, time)
                : (await deployment.RunAsync(next), deployment);
            if (result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Inexpressible })
            {
                // It costs no attempt, and what those say that were asked says more.
                excluded.Add(deployment);
                if (count-- == 1) last = result;
                continue;
            }
            last = result;
            if (last.Outcome != AttemptOutcome.Failed || last.Kind is FailureKind.Refused or FailureKind.ContextLength) return (last, deployment);
            if (last.Kind is FailureKind.Silent or FailureKind.Rejected) excluded.Add(deployment);
        }
        return (last, null);
    }

    // Somebody who has not been asked yet, and is not better left alone. Whoever the budget leaves out has not been tried.
    private static Deployment? ChooseSecond(Route route, Hedging hedging, HashSet<Deployment> tried, HashSet<Deployment> excluded)
    {
        if (route.Choose(tried, excluded, avoidedAllowed: false) is not { } second || tried.Contains(second) || !hedging.TrySpend()) return null;
        tried.Add(second);
        return second;
    }

    // Between two attempts at the same place. False when it asks for more patience than the client is likely to have.
    private async Task<bool> WaitAsync(Attempt attempt, AttemptResult last, int retry)
    {
        var doubled = limits.BackoffFirst * Math.Pow(2, retry);
        var backoff = (doubled < limits.BackoffMax ? doubled : limits.BackoffMax) * (0.5 + (random.NextUInt64() >> 11) * (0.5 / (1UL << 53)));
        var wait = last.Error?.RetryAfter is { } asked && asked > backoff ? asked : backoff;
        if (wait > limits.RetryAfterMax) return false;
        await Task.Delay(wait, time, attempt.Generation.Cancellation);
        return true;
    }

    [LoggerMessage(1, LogLevel.Error, "{Id} could not be started.")]
    private partial void LogFault(Exception error, string id);

    [LoggerMessage(2, LogLevel.Information, "{Id}: {Model} fails ({Kind}), so {Fallback} is asked.")]
    private partial void LogFallback(string id, string model, string fallback, FailureKind kind);
}
