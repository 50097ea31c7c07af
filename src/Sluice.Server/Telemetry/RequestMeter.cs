using System.Diagnostics;
using Sluice.Protocol.Errors;
using Sluice.Streaming;

namespace Sluice.Server.Telemetry;

/// <summary>
/// Turns what happens to one request into metrics and spans. Its tags are made once, so a piece of content allocates nothing. Content
/// comes from one thread at a time; attempts may run side by side.
/// </summary>
internal sealed class RequestMeter
{
    private readonly HubMetrics _metrics;
    private readonly Activity? _span;
    private readonly KeyValuePair<string, object?>[] _tags;

    /// <param name="metrics">The hub's.</param>
    /// <param name="model">Id of the model that was asked for, which the configuration names.</param>
    /// <param name="span">The request's; null where nobody traces. It ends with <see cref="End"/>.</param>
    /// <param name="operation">That of the door.</param>
    public RequestMeter(HubMetrics metrics, string model, Activity? span, string operation)
    {
        (_metrics, _span, Operation) = (metrics, span, operation);
        _tags = [new(Tags.Operation, operation), new(Tags.Provider, Tags.Hub), new(Tags.Model, model)];
        _metrics.RequestsInFlight.Add(1, Model);
    }

    /// <summary>What the request asks for.</summary>
    public string Operation { get; }

    private KeyValuePair<string, object?> Model => _tags[2];

    /// <summary>The first content has come.</summary>
    /// <param name="time">Since the request.</param>
    public void FirstContent(TimeSpan time) => _metrics.TimeToFirstToken.Record(time.TotalSeconds, _tags);

    /// <summary>Another piece of content has come.</summary>
    /// <param name="time">Since the one before.</param>
    public void NextContent(TimeSpan time) => _metrics.InterToken.Record(time.TotalSeconds, _tags);

    /// <summary>An attempt follows a failed one.</summary>
    public void Failover(FailoverStep step) => _metrics.Failovers.Add(1, Model, new KeyValuePair<string, object?>(Tags.Step, step switch
    {
        FailoverStep.Retry => "retry",
        FailoverStep.Upstream => "upstream",
        _ => "fallback",
    }));

    /// <summary>A second attempt was made because the content of the first was late.</summary>
    public void Hedge() => _metrics.Hedges.Add(1, Model);

    /// <summary>An answer that broke off has gone on.</summary>
    /// <param name="method">In what way: a word.</param>
    public void Rescue(string method) => _metrics.Rescues.Add(1, Model, new KeyValuePair<string, object?>(Tags.Method, method));

    /// <summary>One request more or less is being answered.</summary>
    public void AddInFlight(int count) => _metrics.RequestsInFlight.Add(count, Model);

    /// <summary>The local engine has stopped at the answer, for nobody reads it.</summary>
    public void Suspend() => _metrics.Suspended.Add(1, Model);

    /// <summary>The local engine continues it.</summary>
    public void Continue() => _metrics.Continued.Add(1, Model);

    /// <summary>An attempt has ended, and its span with it.</summary>
    public void EndAttempt(UsageEntry entry)
    {
        var outcome = OutcomeOf(entry.Result);
        _metrics.Attempts.Add(1, Model, new(Tags.Upstream, entry.Upstream.Name), new(Tags.Outcome, outcome));
        if (entry.Span is not { } span) return;
        span.SetTag(Tags.Outcome, outcome);
        if (entry.Result?.Error is { } error) Tracing.SetError(span, error);
        span.Dispose();
    }

    /// <summary>The log has ended, and the reply with it.</summary>
    /// <param name="generation">Not disposed yet.</param>
    /// <param name="record">What the request took.</param>
    /// <param name="isLeftToStore">Whether another process counts its tokens.</param>
    public void End(Generation generation, RequestFigures record, bool isLeftToStore)
    {
        var end = generation.Log.End;
        var error = end?.Failure as ApiError;
        var cause = end is not { Kind: StreamEndKind.Completed } && generation.CancellationCause is { } cancelled ? WordFor(cancelled) : null;
        var errorType = cause ?? (error is null ? null : Tracing.ErrorTypeOf(error));
        _metrics.RequestDuration.Record(record.Elapsed.TotalSeconds, errorType is null ? _tags : [.. _tags, new(Tags.ErrorType, errorType)]);
        if (cause is not null) _metrics.RequestsAborted.Add(1, Model, new KeyValuePair<string, object?>(Tags.Cause, cause));
        if (!isLeftToStore) RecordUsage(record);
        _metrics.RequestsInFlight.Add(-1, Model);
        if (_span is null) return;
        _span.SetTag("gen_ai.response.id", generation.Id);
        if (record.Usage is { } usage) _span.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens).SetTag("gen_ai.usage.output_tokens", usage.CompletionTokens);
        if (error is not null) Tracing.SetError(_span, error);
        if (cause is not null) _span.SetTag(Tags.ErrorType, cause);
        _span.Dispose();
    }

    private void RecordUsage(RequestFigures record)
    {
        foreach (var entry in record.Entries) RecordUsage(entry);
        if (record.Usage is not { } usage) return;
        var estimated = new KeyValuePair<string, object?>(Tags.Estimated, record.IsUsageEstimated ? "true" : "false");
        _metrics.TokenUsage.Record(usage.PromptTokens, [.. _tags, new(Tags.TokenType, "input"), estimated]);
        _metrics.TokenUsage.Record(usage.CompletionTokens, [.. _tags, new(Tags.TokenType, "output"), estimated]);
        if (usage.CachedTokens > 0) _metrics.CachedPromptTokens.Add(usage.CachedTokens, Model);
        if (record.ContentTime is { } time && usage.CompletionTokens > 1) _metrics.TimePerOutputToken.Record(time.TotalSeconds / (usage.CompletionTokens - 1), _tags);
    }

    private void RecordUsage(UsageEntry entry)
    {
        if (entry.Usage is not { } usage) return;
        KeyValuePair<string, object?>[] tags =
        [
            Model, new(Tags.Upstream, entry.Upstream.Name), new(Tags.Role, WordFor(entry.Role)), new(Tags.Estimated, entry.IsEstimated ? "true" : "false"),
        ];
        _metrics.AttemptTokens.Add(usage.PromptTokens, [.. tags, new(Tags.TokenType, "input")]);
        _metrics.AttemptTokens.Add(usage.CompletionTokens, [.. tags, new(Tags.TokenType, "output")]);
    }

    private static string WordFor(AttemptRole role) => role switch
    {
        AttemptRole.Answer => "answer",
        AttemptRole.Failed => "failed",
        AttemptRole.HedgeLost => "hedge_lost",
        AttemptRole.RescueLost => "rescue_lost",
        _ => "replaced",
    };

    private static string WordFor(CancellationCause cause) => cause switch
    {
        CancellationCause.ClientLeft => "client_left",
        CancellationCause.Deadline => "deadline",
        CancellationCause.Requested => "requested",
        CancellationCause.Exhausted => "budget",
        _ => "shutdown",
    };

    private static string OutcomeOf(AttemptResult? result) => result switch
    {
        null => "cancelled",
        { Outcome: AttemptOutcome.Answered } => "answered",
        { Outcome: AttemptOutcome.Broken } => "broken",
        { Kind: FailureKind.Refused } => "refused",
        { Kind: FailureKind.ContextLength } => "context_length",
        { Kind: FailureKind.Inexpressible } => "unasked",
        { Kind: FailureKind.Rejected } => "unserved",
        { Kind: FailureKind.RateLimited } => "rate_limited",
        { Kind: FailureKind.Silent } => "silent",
        _ => "faulted",
    };
}

/// <summary>Where an attempt is made that follows a failed one.</summary>
internal enum FailoverStep
{
    /// <summary>At the same place again.</summary>
    Retry,

    /// <summary>At another upstream of the model.</summary>
    Upstream,

    /// <summary>At another model.</summary>
    Fallback,
}
