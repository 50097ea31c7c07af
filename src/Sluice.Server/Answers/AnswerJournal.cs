using Microsoft.Extensions.Logging;
using Sluice.Protocol.Answers;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>Writes down what answers took when they have ended: in the metrics, and as a line in the log.</summary>
/// <param name="metrics">The hub's.</param>
/// <param name="logger">Gets a line for each answer.</param>
/// <param name="accounting">Settles what was taken; null where nothing is counted.</param>
/// <param name="cache">Keeps answers that may be given again; null for nobody.</param>
/// <param name="hook">Is told of answers; null for nobody.</param>
internal sealed partial class AnswerJournal(
    HubMetrics metrics, ILogger<AnswerJournal> logger, AnswerAccounting? accounting = null, AnswerCache? cache = null, AfterHook? hook = null)
{
    public AnswerAccounting? Accounting => accounting;

    /// <summary>
    /// Counts an answer that comes from a store suspended. What it takes is counted when it ends, which it has not done before.
    /// </summary>
    public void Restore(string id, RequestFigures figures, string modelId, string operation, in AnswerUsage made, string? charge)
    {
        figures.Attach(new RequestMeter(metrics, modelId, span: null, operation));
        // Nothing else can be suspended.
        figures.Restore(new UpstreamIdentity(UpstreamIdentity.Local, Tags.Hub, modelId));
        figures.CountSuspended();
        accounting?.Restore(id, figures, made, charge);
    }

    /// <summary>The answer's log has ended.</summary>
    /// <param name="answer">Not disposed yet.</param>
    /// <param name="isLeftToStore">Whether another process continues it, and counts and logs the whole of it.</param>
    public void End(Answer answer, bool isLeftToStore)
    {
        var record = answer.Record;
        accounting?.End(answer, isLeftToStore);
        cache?.Add(answer);
        if (!isLeftToStore) answer.Capture?.SetAnswer(answer);
        record.End(answer.Generation, isLeftToStore);
        if (isLeftToStore) return;
        hook?.End(answer);
        var outcome = answer.Log.End!.Kind is StreamEndKind.Stopped ? StreamEndKind.Cancelled : answer.Log.End.Kind;
        LogEnded(
            record.RequestId, answer.Id, answer.Model, record.Upstream, outcome, (long?)record.TimeToFirstToken?.TotalMilliseconds,
            (long)record.Elapsed.TotalMilliseconds, record.Usage?.PromptTokens, record.Usage?.CompletionTokens, record.IsUsageEstimated,
            record.UnusedTokens, record.Entries.Count, record.HedgeCount, record.RescueCount);
    }

    [LoggerMessage(1, LogLevel.Information,
        "{RequestId} {Id}: {Model} by {Upstream}: {Outcome}; first token {FirstTokenMs} ms, all {ElapsedMs} ms; "
        + "tokens: {PromptTokens} asked, {CompletionTokens} answered (estimated: {IsEstimated}), {UnusedTokens} unused; "
        + "attempts: {Attempts}, hedges: {Hedges}, rescues: {Rescues}")]
    private partial void LogEnded(
        string? requestId, string id, string model, string? upstream, StreamEndKind outcome, long? firstTokenMs, long elapsedMs,
        int? promptTokens, int? completionTokens, bool isEstimated, long unusedTokens, int attempts, int hedges, int rescues);
}
