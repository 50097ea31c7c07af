using System.Globalization;
using Spectre.Console;

namespace Sluice.Cli.Bench;

/// <summary>A measurement as a person reads it.</summary>
internal static class BenchReport
{
    // From here on the numbers are partly those of the generator.
    private const double OwnCoresMax = 0.5;
    private const int FaultsShown = 8;

    public static void Write(IAnsiConsole console, RunComparison comparison, string load)
    {
        console.WriteLine(load);
        console.Write(comparison.Second is { } second ? PairTable(comparison, second) : TableOf(comparison));
        if (comparison.Second is not null) console.WriteLine("A ratio above 1: the first is better. Values are medians of the rounds.");
        foreach (var runs in Endpoints(comparison)) WriteRuns(console, comparison, runs);
    }

    private static IEnumerable<EndpointRuns> Endpoints(RunComparison comparison) => comparison.Second is { } second ? [comparison.First, second] : [comparison.First];

    // Times in rows with a column for each quantile; the rest in one line of numbers below.
    private static Table TableOf(RunComparison comparison)
    {
        var table = CreateTable(comparison.First.Endpoint.Model, [.. LatencyMetric.Quantiles]);
        foreach (var latency in LatencyMetric.All)
            table.AddRow(latency.Metrics.Select(metric => Format(metric, comparison.First.SpreadOf(metric).Median)).Prepend(latency.Title).Select(static text => new Text(text)));
        foreach (var metric in comparison.Metrics.Where(static metric => !metric.IsTime))
            table.AddRow(new Text(metric.Title), new Text(Format(metric, comparison.First.SpreadOf(metric).Median)));
        return table;
    }

    private static Table PairTable(RunComparison comparison, EndpointRuns second)
    {
        var table = CreateTable("", [Name(comparison.First), Name(second), "ratio (spread)"]);
        foreach (var metric in comparison.Metrics)
        {
            var ratio = comparison.RatioOf(metric) is { } spread ? string.Create(CultureInfo.InvariantCulture, $"{spread.Median:0.00} ({spread.Low:0.00}-{spread.High:0.00})") : "-";
            table.AddRow(new Text(metric.Title), new Text(Format(metric, comparison.First.SpreadOf(metric).Median)), new Text(Format(metric, second.SpreadOf(metric).Median)), new Text(ratio));
        }
        return table;
    }

    private static Table CreateTable(string corner, string[] columns)
    {
        var table = new Table().Border(TableBorder.None).AddColumn(new TableColumn(Markup.Escape(corner)).NoWrap().PadRight(2));
        foreach (var column in columns) table.AddColumn(new TableColumn(Markup.Escape(column)).NoWrap().RightAligned().PadRight(2));
        return table;
    }

    private static string Name(EndpointRuns runs) => $"{runs.Endpoint.Url.Authority} {runs.Endpoint.Model}";

    private static void WriteRuns(IAnsiConsole console, RunComparison comparison, EndpointRuns runs)
    {
        var completed = runs.Runs.Sum(static run => run.Counts.Completed);
        var failed = runs.Runs.Sum(static run => run.Counts.Failed);
        var prefix = comparison.Second is null ? "" : $"{runs.Endpoint.Url.Authority}: ";
        console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{prefix}{completed} complete, {failed} failed in {runs.Runs.Sum(static run => run.Elapsed.TotalSeconds):0.0} s{(runs.Runs.Any(static run => run.IsInterrupted) ? ", interrupted" : "")}."));
        if (comparison.Goodput is { } limits)
        {
            var good = runs.Runs.Sum(static run => run.Counts.Good);
            console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{prefix}{good} of {completed + failed} kept {limits.Text} ({100.0 * good / Math.Max(completed + failed, 1):0} %)."));
        }
        foreach (var (fault, count) in runs.Runs.SelectMany(static run => run.Counts.Faults).GroupBy(static fault => fault.Key)
            .Select(static group => (group.Key, Count: group.Sum(static fault => fault.Value))).OrderByDescending(static fault => fault.Count).Take(FaultsShown))
        {
            console.WriteLine($"{prefix}{count} times: {fault}");
        }
        if (runs.Runs.Sum(static run => run.Counts.Uncounted) is > 0 and var uncounted)
            console.WriteLine($"{prefix}{uncounted} answers came without usage: their chunks count as tokens.");
        if (runs.Runs.Sum(static run => run.Counts.Queued.Count) is > 0 and var queued)
        {
            var worst = runs.Runs.Max(static run => run.Counts.Queued.Max.TotalMilliseconds);
            console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{prefix}{queued} requests had to wait for a place, {worst:0} ms at most; their times begin when they were due."));
        }
        var cores = runs.Runs.Max(static run => run.OwnCores);
        console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{prefix}This program used {100 * cores:0.0} % of a core{(cores > OwnCoresMax ? ": enough to affect the numbers" : "")}."));
    }

    private static string Format(Metric metric, double value) => value <= 0
        ? "-"
        : string.Create(CultureInfo.InvariantCulture, $"{(value < 10 ? value.ToString("0.00", CultureInfo.InvariantCulture) : value.ToString("#,0.0", CultureInfo.InvariantCulture))} {(metric.IsTime ? "ms" : "/s")}");
}
