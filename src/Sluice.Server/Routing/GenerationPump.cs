using Microsoft.Extensions.Logging;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Routing;

/// <summary>
/// Gets a generation its answer: attempt after attempt over the deployments of the model, then over its fallbacks, until one has
/// content. After that nothing is tried again.
/// </summary>
internal sealed partial class GenerationPump(RandomSource random, Limits limits, TimeProvider time, ILogger<GenerationPump> logger)
{
    private static readonly ApiError s_noneLeft = ApiErrors.Unavailable() with { Message = "No server of this model can be asked now. Please retry." };

    /// <summary>
    /// Everything that comes of the request, refusals too, goes to the generation's log, which always comes to an end. The task
    /// completes, never with an exception, when the answer has ended or the local engine has taken over.
    /// </summary>
    /// <param name="generation">The generation, running.</param>
    /// <param name="request">What is asked, validated.</param>
    /// <param name="body">The request as the client wrote it; empty where the route needs none.</param>
    /// <param name="headers">Those of the client that may be passed on.</param>
    /// <param name="route">Of the model that is asked for.</param>
    public async Task RunAsync(
        Generation generation, ChatCompletionRequest request, ReadOnlyMemory<byte> body, IReadOnlyList<KeyValuePair<string, string>> headers, Route route)
    {
        var total = route.Timeouts?.Total ?? Timeout.InfiniteTimeSpan;
        await using var timer = time.CreateTimer(static state => ((Generation)state!).Cancel(CancellationCause.Deadline), generation, total, Timeout.InfiniteTimeSpan);
        try
        {
            var attempt = new Attempt(generation, request, body, headers, request.Model, IsLast: false);
            if (await RunRoutesAsync(attempt, route) is { } error) generation.Log.Fail(error);
        }
        catch (OperationCanceledException) when (generation.Cancellation.IsCancellationRequested)
        {
            CancelledEnd.Write(generation);
        }
#pragma warning disable CA1031 // Whatever it was, the log must end: a reader waits for it.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFault(error, generation.Id);
            generation.Log.Fail(ApiErrors.ServerError());
        }
    }

    // Null when the request was answered. Otherwise the error of the model that was asked for: a fallback's would tell of something
    // that the client doesn't know of.
    private async Task<ApiError?> RunRoutesAsync(Attempt attempt, Route route)
    {
        var result = await RunRouteAsync(attempt, route, 1 + route.Retries, route.Fallbacks.Count > 0);
        if (result.Outcome != AttemptOutcome.Failed || result.Kind == FailureKind.Refused) return result.Error;
        for (var i = 0; i < route.Fallbacks.Count; i++)
        {
            var fallback = route.Fallbacks[i];
            LogFallback(attempt.Generation.Id, route.Model.Id, fallback.Model.Id, result.Kind);
            var name = fallback.Model.Id;
            var other = await RunRouteAsync(
                attempt with { ModelName = name, Request = attempt.Request with { Model = name } }, fallback, 1, i + 1 < route.Fallbacks.Count);
            if (other.Outcome != AttemptOutcome.Failed) return other.Error;
        }
        return result.Error;
    }

    private async Task<AttemptResult> RunRouteAsync(Attempt attempt, Route route, int attemptsMax, bool hasFallback)
    {
        var tried = new HashSet<Deployment>();
        var excluded = new HashSet<Deployment>();
        var last = AttemptResult.Failed(FailureKind.Faulted, s_noneLeft);
        for (var count = 1; count <= attemptsMax; count++)
        {
            if (route.Choose(tried, excluded, avoidedAllowed: !hasFallback) is not { } deployment) return last;
            if (tried.Contains(deployment) && !await WaitAsync(attempt, last, count - 2)) return last;
            tried.Add(deployment);
            var isLast = !hasFallback && (count == attemptsMax || !route.HasOther(deployment, excluded));
            last = await deployment.RunAsync(attempt with { IsLast = isLast });
            if (last.Outcome != AttemptOutcome.Failed || last.Kind is FailureKind.Refused or FailureKind.ContextLength) return last;
            if (last.Kind is FailureKind.Silent or FailureKind.Unserved) excluded.Add(deployment);
        }
        return last;
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
