using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Console;
using Sluice.Server.Telemetry;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Console;

/// <summary>The last hour of the instruments: what is kept, and for how long.</summary>
public sealed class HourHistoryTests
{
    [Fact]
    public void A_percentile_is_within_a_bucket_of_the_true_one()
    {
        var random = new Random(3);
        var counts = new int[TimeBuckets.Count];
        var values = Enumerable.Range(0, 5000).Select(_ => Math.Pow(10, (random.NextDouble() * 5) - 4)).Order().ToList();
        foreach (var value in values) counts[TimeBuckets.IndexOf(value)]++;
        foreach (var share in (double[])[0.01, 0.5, 0.95, 1])
        {
            var truth = values[(int)Math.Ceiling(values.Count * share) - 1];
            Assert.InRange(TimeBuckets.Percentile(counts, share)!.Value / truth, 0.9, 1.1);
        }
        Assert.Null(TimeBuckets.Percentile(new int[TimeBuckets.Count], 0.5));
        Assert.Equal((0, TimeBuckets.Count - 1), (TimeBuckets.IndexOf(0), TimeBuckets.IndexOf(1e9)));
    }

    [Fact]
    public void A_minute_goes_after_an_hour_and_models_have_a_bound()
    {
        using var provider = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new HubMetrics(provider.GetRequiredService<IMeterFactory>());
        var time = new ManualTimeProvider();
        using var history = new HourHistory(metrics, time);
        Assert.Null(history.FindModel("m"));
        Record(metrics, "m", 0.1, null);
        time.Advance(TimeSpan.FromMinutes(59));
        Record(metrics, "m", 0.2, "500");
        Record(metrics, "m", 0.2, "client_left");
        var (minutes, first, _) = history.FindModel("m")!.Read(history.Minute);
        Assert.Equal((ConsoleLimits.Minutes, 3, 1, 3), (minutes.Count, minutes.Sum(static minute => minute.Requests), minutes.Sum(static minute => minute.Errors), first.Sum()));
        Assert.Equal((1, 2), (minutes[0].Requests, minutes[^1].Requests));
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(2, history.FindModel("m")!.Read(history.Minute).Minutes.Sum(static minute => minute.Requests));
        for (var i = 0; i < 2 * ConsoleLimits.ModelsMax; i++) Record(metrics, $"m{i}", 0.1, null);
        Assert.NotNull(history.FindModel($"m{ConsoleLimits.ModelsMax - 2}"));
        Assert.Null(history.FindModel($"m{ConsoleLimits.ModelsMax}"));
    }

    [Fact]
    public void A_measurement_allocates_nothing()
    {
        using var provider = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new HubMetrics(provider.GetRequiredService<IMeterFactory>());
        using var history = new HourHistory(metrics, new ManualTimeProvider());
        KeyValuePair<string, object?>[] tags = [new(Tags.Operation, "chat"), new(Tags.Provider, "sluice"), new(Tags.Model, "m")];
        for (var i = 0; i < 100; i++) metrics.InterToken.Record(0.01, tags);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) metrics.InterToken.Record(0.01, tags);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static void Record(HubMetrics metrics, string model, double seconds, string? error)
    {
        KeyValuePair<string, object?>[] tags = [new(Tags.Model, model)];
        metrics.TimeToFirstToken.Record(seconds, tags);
        metrics.RequestDuration.Record(seconds, error is null ? tags : [.. tags, new(Tags.ErrorType, error)]);
    }
}
