namespace Sluice.Cli.Bench;

/// <summary>One number of a run.</summary>
/// <param name="Title">For the table; the unit stands with the value.</param>
/// <param name="Name">For the JSON; the unit is its end.</param>
/// <param name="Of">Milliseconds, or a number per second.</param>
/// <param name="IsTime">Whether it is a time: less is better then, else more.</param>
internal sealed record Metric(string Title, string Name, Func<RunResult, double> Of, bool IsTime)
{
    /// <summary>Those that every run has.</summary>
    public static IReadOnlyList<Metric> All { get; } =
    [
        .. LatencyMetric.All.SelectMany(static latency => latency.Metrics),
        new("output tokens", "output_tokens_per_second", static run => run.OutputTokensPerSecond, IsTime: false),
        new("prompt tokens", "prompt_tokens_per_second", static run => run.PromptTokensPerSecond, IsTime: false),
        new("answers", "answers_per_second", static run => run.AnswersPerSecond, IsTime: false),
    ];

    /// <summary>Only where limits were given.</summary>
    public static Metric Goodput { get; } = new("good answers", "good_answers_per_second", static run => run.GoodAnswersPerSecond, IsTime: false);

    /// <summary>How many times better the first is than the second; 0 where either has no value.</summary>
    public double Ratio(RunResult first, RunResult second)
    {
        var (a, b) = (Of(first), Of(second));
        return a <= 0 || b <= 0 ? 0 : IsTime ? b / a : a / b;
    }
}

/// <summary>A time with its quantiles.</summary>
/// <param name="Title">For the table.</param>
/// <param name="Metrics">One for each of <see cref="Quantiles"/>.</param>
internal sealed record LatencyMetric(string Title, IReadOnlyList<Metric> Metrics)
{
    public static IReadOnlyList<string> Quantiles { get; } = ["p50", "p90", "p99", "max"];

    public static IReadOnlyList<LatencyMetric> All { get; } =
    [
        Create("first token", "first_token", static counts => counts.FirstToken),
        Create("gap between chunks", "gap", static counts => counts.Gaps),
        Create("per token", "per_token", static counts => counts.PerToken),
        Create("whole answer", "whole", static counts => counts.Whole),
    ];

    private static LatencyMetric Create(string title, string name, Func<RunCounts, LatencyHistogram> of) => new(title,
    [
        new Metric(title + ", p50", name + "_p50_ms", run => of(run.Counts).Quantile(0.5).TotalMilliseconds, IsTime: true),
        new Metric(title + ", p90", name + "_p90_ms", run => of(run.Counts).Quantile(0.9).TotalMilliseconds, IsTime: true),
        new Metric(title + ", p99", name + "_p99_ms", run => of(run.Counts).Quantile(0.99).TotalMilliseconds, IsTime: true),
        new Metric(title + ", max", name + "_max_ms", run => of(run.Counts).Max.TotalMilliseconds, IsTime: true),
    ]);
}
