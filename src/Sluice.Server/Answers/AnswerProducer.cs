using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Routing;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>Makes answers, whoever reads them, and writes down what they took.</summary>
internal sealed partial class AnswerProducer(GenerationPump pump, ILogger<AnswerProducer> logger)
{
    /// <summary>Runs until the answer has ended; never throws.</summary>
    /// <param name="answer">To be produced.</param>
    /// <param name="attempt">What is asked.</param>
    /// <param name="route">Of the model that is asked for.</param>
    /// <param name="meter">Of the request that began it.</param>
    /// <param name="requestId">Of that request, for the log.</param>
    /// <param name="configuration">Held already, and released here.</param>
    public async Task RunAsync(Answer answer, Attempt attempt, Route route, RequestMeter meter, string requestId, ServedConfiguration configuration)
    {
        var (generation, record) = (answer.Generation, answer.Record);
        try
        {
            await pump.RunAsync(attempt, route);
            await generation.Log.WhenEnded;
            meter.End(generation, record);
            LogEnded(
                requestId, generation.Id, answer.Model, record.Upstream, generation.State, (long?)record.TimeToFirstToken?.TotalMilliseconds,
                (long)record.Elapsed.TotalMilliseconds, record.Usage?.PromptTokens, record.Usage?.CompletionTokens, record.IsUsageEstimated,
                record.AttemptCount, record.HedgeCount, record.RescueCount);
        }
        finally
        {
            generation.Log.Fail(ApiErrors.ServerError());
            answer.SetProduced();
            configuration.Release();
        }
    }

    [LoggerMessage(1, LogLevel.Information,
        "{RequestId} {Id}: {Model} by {Upstream}: {Outcome}; first token {FirstTokenMs} ms, all {ElapsedMs} ms; {PromptTokens} tokens asked and "
        + "{CompletionTokens} answered (estimated: {IsEstimated}); {Attempts} attempts, {Hedges} hedges, {Rescues} rescues")]
    private partial void LogEnded(
        string requestId, string id, string model, string? upstream, GenerationState outcome, long? firstTokenMs, long elapsedMs, int? promptTokens, int? completionTokens,
        bool isEstimated, int attempts, int hedges, int rescues);
}
