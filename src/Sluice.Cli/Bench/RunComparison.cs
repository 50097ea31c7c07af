namespace Sluice.Cli.Bench;

/// <summary>Middle and ends of some numbers.</summary>
internal readonly record struct Spread(double Median, double Low, double High)
{
    /// <summary>Of at least one number.</summary>
    public static Spread Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return new Spread(sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2, sorted[0], sorted[^1]);
    }
}

/// <summary>The runs against one endpoint.</summary>
internal sealed record EndpointRuns(BenchEndpoint Endpoint, IReadOnlyList<RunResult> Runs)
{
    public Spread SpreadOf(Metric metric) => Spread.Of(Runs.Select(metric.Of));

    public bool IsWhole => Runs.All(static run => run.Counts is { Failed: 0, Completed: > 0 });
}

/// <summary>What was measured: of one endpoint, or of two in turns.</summary>
/// <param name="First">The endpoint in question.</param>
/// <param name="Second">What it is compared with; null without a comparison.</param>
/// <param name="Goodput">Limits that were asked for, or null.</param>
internal sealed record RunComparison(EndpointRuns First, EndpointRuns? Second, GoodputLimits? Goodput)
{
    public IEnumerable<Metric> Metrics => Goodput is null ? Metric.All : Metric.All.Append(Metric.Goodput);

    /// <summary>How many times better the first is, by the pairs of runs; null where a run has no value.</summary>
    public Spread? RatioOf(Metric metric)
    {
        if (Second is null) return null;
        var ratios = First.Runs.Zip(Second.Runs, metric.Ratio).ToArray();
        return ratios.Length == 0 || ratios.Any(static ratio => ratio <= 0) ? null : Spread.Of(ratios);
    }
}
