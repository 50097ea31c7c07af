using System.Diagnostics.Metrics;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Telemetry;

/// <summary>
/// The instruments of the hub, those of OpenTelemetry's conventions for generative AI where they have one. <c>docs/observability.md</c> lists
/// them. Tags are models and upstreams of the configuration, and words of the hub's own; nothing that a client writes.
/// </summary>
internal sealed class HubMetrics
{
    public HubMetrics(IMeterFactory meters)
    {
        Meter = meters.Create(new MeterOptions(SluiceTelemetry.MeterName));
        RequestDuration = Histogram(
            "gen_ai.server.request.duration", "s", "Time from a request to the end of its answer.",
            [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]);
        TimeToFirstToken = Histogram(
            "gen_ai.server.time_to_first_token", "s", "Time from a request to the first content of its answer; roles, pings and empty chunks don't count.",
            [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
        TimePerOutputToken = Histogram(
            "gen_ai.server.time_per_output_token", "s", "Mean time per token of an answer after its first content.",
            [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]);
        InterToken = Histogram(
            "sluice.stream.inter_token", "s", "Time between two pieces of content of an answer.",
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]);
        TokenUsage = Meter.CreateHistogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of a prompt and of its answer.", tags: null,
            new InstrumentAdvice<long>
            {
                HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864],
            });
        CachedPromptTokens = Meter.CreateCounter<long>(
            "sluice.prompt.cached_tokens", "{token}", "Tokens of prompts that were not computed again, as the engine or the upstream reports.");
        RequestsInFlight = Meter.CreateUpDownCounter<long>("sluice.requests.in_flight", "{request}", "Running requests.");
        RequestsAborted = Meter.CreateCounter<long>("sluice.requests.aborted", "{request}", "Stopped answers.");
        Attempts = Meter.CreateCounter<long>("sluice.attempts", "{attempt}", "Attempts at an answer.");
        AttemptTokens = Meter.CreateCounter<long>(
            "sluice.attempt.tokens", "{token}", "Tokens that attempts took, those too whose answer came to nothing.");
        Failovers = Meter.CreateCounter<long>("sluice.failovers", "{attempt}", "Attempts that followed a failed one.");
        Rescues = Meter.CreateCounter<long>("sluice.rescues", "{answer}", "Answers that broke off and were continued.");
        Hedges = Meter.CreateCounter<long>("sluice.hedges", "{attempt}", "Second attempts because the content of the first was late.");
        Suspended = Meter.CreateCounter<long>("sluice.answers.suspended", "{answer}", "Answers that the local engine suspended because nobody read them.");
        Continued = Meter.CreateCounter<long>("sluice.answers.continued", "{answer}", "Suspended answers that the local engine resumed.");
        LimitRefusals = Meter.CreateCounter<long>("sluice.limit.refused", "{request}", "Requests that a limit of their key, project or the hub refused.");
        BudgetWarnings = Meter.CreateCounter<long>("sluice.budget.warnings", "{warning}", "Budgets whose use has passed the share at which they warn.");
        CacheLookups = Meter.CreateCounter<long>("sluice.cache.lookups", "{request}", "Requests to models with a cache.");
        HookCalls = Meter.CreateCounter<long>("sluice.hook.calls", "{call}", "Calls of the hooks before and after answers.");
        HookDuration = Histogram("sluice.hook.duration", "s", "Time of a call of a hook.", [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]);
        Reloads = Meter.CreateCounter<long>("sluice.configuration.reloads", "{reload}", "Changes of the configuration that were applied or refused.");
    }

    public Meter Meter { get; }

    public Histogram<double> RequestDuration { get; }

    public Histogram<double> TimeToFirstToken { get; }

    public Histogram<double> TimePerOutputToken { get; }

    public Histogram<double> InterToken { get; }

    public Histogram<long> TokenUsage { get; }

    public Counter<long> CachedPromptTokens { get; }

    public UpDownCounter<long> RequestsInFlight { get; }

    public Counter<long> RequestsAborted { get; }

    public Counter<long> Attempts { get; }

    public Counter<long> AttemptTokens { get; }

    public Counter<long> Failovers { get; }

    public Counter<long> Rescues { get; }

    public Counter<long> Hedges { get; }

    public Counter<long> Suspended { get; }

    public Counter<long> Continued { get; }

    public Counter<long> Reloads { get; }

    public Counter<long> HookCalls { get; }

    public Histogram<double> HookDuration { get; }

    public Counter<long> LimitRefusals { get; }

    public Counter<long> BudgetWarnings { get; }

    /// <summary>A budget nears its end.</summary>
    /// <param name="scope"><c>hub</c>, <c>project</c> or <c>key</c>.</param>
    public void CountWarning(string scope) => BudgetWarnings.Add(1, new KeyValuePair<string, object?>(Tags.LimitScope, scope));

    public Counter<long> CacheLookups { get; }

    /// <summary>A request has come for a model with a cache.</summary>
    /// <param name="result"><c>hit</c>, <c>miss</c> or <c>bypass</c>.</param>
    public void CountCacheLookup(string result) => CacheLookups.Add(1, new KeyValuePair<string, object?>(Tags.Outcome, result));

    /// <summary>A limit has refused a request.</summary>
    public void CountRefusal(ApiError error) => LimitRefusals.Add(1, new KeyValuePair<string, object?>(Tags.Limit, error.Code));

    private Histogram<double> Histogram(string name, string unit, string description, double[] boundaries) =>
        Meter.CreateHistogram(name, unit, description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = boundaries });
}
