using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>
/// Makes answers, whoever reads them, and writes down what they took. An answer of the local engine may be made in several stretches: each ends in
/// a suspension, or in the end of the answer.
/// </summary>
internal sealed partial class AnswerProducer(AttemptLoop pump, ServerState server, HubMetrics metrics, TimeProvider time, ILogger<AnswerProducer> logger)
{
    /// <summary>Runs until the answer has ended or is suspended; never throws.</summary>
    /// <param name="answer">To be produced.</param>
    /// <param name="attempt">What is asked, with the answer's <see cref="Answer.Production"/>.</param>
    /// <param name="route">Of the model that is asked for.</param>
    /// <param name="configuration">Held already, and released here.</param>
    public async Task RunAsync(Answer answer, Attempt attempt, Route route, HubSnapshot configuration)
    {
        try
        {
            await pump.RunAsync(attempt, route);
        }
        finally
        {
            await SettleAsync(answer, answer.Production, configuration);
        }
    }

    /// <summary>Sees to it that somebody makes the answer, or that it has ended. To be called by somebody who has a reader or a hold.</summary>
    /// <param name="answer">May be suspended.</param>
    /// <param name="configuration">Whose models are used.</param>
    /// <returns>Why it can't be gone on with; then it stays suspended.</returns>
    public Task<ApiError?> ContinueAsync(Answer answer, HubSnapshot configuration) =>
        answer.ContinueAsync((from, stretch) => BeginAsync(answer, from, stretch, configuration), () => EndLater(answer));

    /// <summary>Makes an answer that comes from a store suspended, as it was there.</summary>
    public void Restore(Answer answer, SuspendedGeneration suspended)
    {
        // What it takes is counted when it ends, which it has not done before.
        answer.Meter = new RequestMeter(metrics, suspended.ModelId, span: null);
        answer.Meter.Suspend();
        // Nothing else can be suspended.
        answer.Record.RestoreUpstream(UpstreamIdentity.Local);
        answer.Restore(suspended, () => EndLater(answer));
    }

    private async Task<ApiError?> BeginAsync(Answer answer, SuspendedGeneration from, Production stretch, HubSnapshot configuration)
    {
        if (server.IsEnding) return ServerState.StoppingError;
        if (configuration.Router.FindLocal(from.ModelId) is not { } upstream) return ApiErrors.ModelNotFound(from.ModelName);
        if (SuspendedRequest.TryRead(answer, from, stretch, time) is not { } attempt || answer.Log.EventCount != from.EventCount) return ApiErrors.ContinuationDiverged();
        // Whoever asks holds it already, so that it can't be gone.
        configuration.TryHold();
        var isBegun = false;
        try
        {
            var result = await upstream.RunAsync(attempt);
            isBegun = result.Outcome != AttemptOutcome.Failed;
            if (!isBegun) return result.Error;
            answer.Meter?.Continue();
        }
        catch (OperationCanceledException) when (answer.Generation.Cancellation.IsCancellationRequested)
        {
            CancelledEnd.Write(attempt);
            isBegun = true;
        }
        finally
        {
            if (isBegun) _ = SettleAsync(answer, stretch, configuration);
            else configuration.Release();
        }
        return null;
    }

    // When the stretch is over.
    private async Task SettleAsync(Answer answer, Production stretch, HubSnapshot configuration)
    {
        await Waits.FirstAsync(answer.Log.WhenEnded, stretch.Suspended);
        configuration.Release();
        if (answer.Log.End is null && stretch.Suspended.IsCompletedSuccessfully)
        {
            answer.Meter?.Suspend();
            answer.SetSuspended(await stretch.Suspended, () => EndLater(answer));
        }
        else
        {
            End(answer);
        }
        stretch.Settle();
    }

    // Called within a cancel, which must not wait.
    private void EndLater(Answer answer) => _ = EndSuspendedAsync(answer);

    private async Task EndSuspendedAsync(Answer answer)
    {
        await Task.Yield();
        if (answer.TakeSuspended() is not { } suspended) return;
        if (SuspendedRequest.TryRead(answer, suspended, answer.Production, time) is { } attempt) CancelledEnd.Write(attempt);
        else answer.Log.Cancel();
        await answer.Log.WhenEnded;
        End(answer);
    }

    private void End(Answer answer)
    {
        var (generation, record) = (answer.Generation, answer.Record);
        try
        {
            answer.Meter?.End(generation, record);
            if (record.IsLeftToStore) return;
            LogEnded(
                answer.RequestId, generation.Id, answer.Model, record.Upstream, generation.State, (long?)record.TimeToFirstToken?.TotalMilliseconds,
                (long)record.Elapsed.TotalMilliseconds, record.Usage?.PromptTokens, record.Usage?.CompletionTokens, record.IsUsageEstimated,
                record.AttemptCount, record.HedgeCount, record.RescueCount);
        }
        finally
        {
            answer.SetProduced();
        }
    }

    [LoggerMessage(1, LogLevel.Information,
        "{RequestId} {Id}: {Model} by {Upstream}: {Outcome}; first token {FirstTokenMs} ms, all {ElapsedMs} ms; {PromptTokens} tokens asked and "
        + "{CompletionTokens} answered (estimated: {IsEstimated}); {Attempts} attempts, {Hedges} hedges, {Rescues} rescues")]
    private partial void LogEnded(
        string? requestId, string id, string model, string? upstream, GenerationState outcome, long? firstTokenMs, long elapsedMs, int? promptTokens, int? completionTokens,
        bool isEstimated, int attempts, int hedges, int rescues);
}
