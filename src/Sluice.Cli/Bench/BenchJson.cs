using System.Text.Json;

namespace Sluice.Cli.Bench;

/// <summary>A measurement as other programs read it: every run, and the ratios of the pairs.</summary>
internal static class BenchJson
{
    public static void Write(Stream target, RunComparison comparison, LoadShape shape, string load)
    {
        using var json = new Utf8JsonWriter(target, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("load", load);
        json.WriteNumber("concurrency", shape.Concurrency);
        if (shape.RequestsPerSecond is { } rate) json.WriteNumber("requests_per_second", rate);
        json.WriteNumber("seed", shape.Seed);
        if (comparison.Goodput is { } goodput) json.WriteString("goodput_limits", goodput.Text);
        json.WriteStartArray("endpoints");
        WriteEndpoint(json, comparison, comparison.First);
        if (comparison.Second is { } second) WriteEndpoint(json, comparison, second);
        json.WriteEndArray();
        if (comparison.Second is not null)
        {
            json.WriteStartObject("ratios");
            foreach (var metric in comparison.Metrics)
            {
                if (comparison.RatioOf(metric) is not { } ratio) continue;
                json.WriteStartObject(metric.Name);
                json.WriteNumber("median", ratio.Median);
                json.WriteNumber("low", ratio.Low);
                json.WriteNumber("high", ratio.High);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void WriteEndpoint(Utf8JsonWriter json, RunComparison comparison, EndpointRuns runs)
    {
        json.WriteStartObject();
        json.WriteString("url", runs.Endpoint.Url.ToString());
        json.WriteString("model", runs.Endpoint.Model);
        json.WriteStartArray("runs");
        foreach (var run in runs.Runs) WriteRun(json, comparison, run);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteRun(Utf8JsonWriter json, RunComparison comparison, RunResult run)
    {
        json.WriteStartObject();
        json.WriteNumber("elapsed_seconds", run.Elapsed.TotalSeconds);
        json.WriteBoolean("interrupted", run.IsInterrupted);
        json.WriteNumber("completed", run.Counts.Completed);
        json.WriteNumber("failed", run.Counts.Failed);
        if (comparison.Goodput is not null) json.WriteNumber("good", run.Counts.Good);
        json.WriteStartObject("faults");
        foreach (var (fault, count) in run.Counts.Faults) json.WriteNumber(fault, count);
        json.WriteEndObject();
        json.WriteNumber("prompt_tokens", run.Counts.PromptTokens);
        json.WriteNumber("output_tokens", run.Counts.OutputTokens);
        json.WriteNumber("answers_without_usage", run.Counts.Uncounted);
        json.WriteNumber("chunks", run.Counts.Chunks);
        json.WriteNumber("queued", run.Counts.Queued.Count);
        json.WriteNumber("queued_max_ms", run.Counts.Queued.Max.TotalMilliseconds);
        foreach (var metric in comparison.Metrics) json.WriteNumber(metric.Name, Math.Round(metric.Of(run), 4));
        json.WriteNumber("own_cores", Math.Round(run.OwnCores, 4));
        json.WriteEndObject();
    }
}
