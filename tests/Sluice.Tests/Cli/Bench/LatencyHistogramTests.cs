using FsCheck;
using FsCheck.Fluent;
using Sluice.Cli.Bench;
using Xunit;

namespace Sluice.Tests.Cli.Bench;

public sealed class LatencyHistogramTests
{
    [Fact]
    public void Quantiles_are_those_of_the_sorted_times_within_half_a_per_cent()
    {
        Prop.ForAll(Gen.Choose(1, 2_000_000_000).Select(static microseconds => microseconds / 1.0).NonEmptyListOf().ToArbitrary(), times =>
        {
            var histogram = new LatencyHistogram();
            foreach (var time in times) histogram.Add(TimeSpan.FromMicroseconds(time));
            var sorted = times.Order().ToArray();
            foreach (var share in (double[])[0.01, 0.5, 0.9, 0.99, 1])
            {
                var exact = sorted[(int)Math.Ceiling(sorted.Length * share) - 1];
                Assert.InRange(histogram.Quantile(share).TotalMicroseconds, (exact * 0.99) - 0.2, (exact * 1.01) + 0.2);
            }
            Assert.Equal(sorted[^1], histogram.Max.TotalMicroseconds, 0.11);
            Assert.Equal(sorted.Average(), histogram.Mean.TotalMicroseconds, 1.0);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Nothing_has_no_times()
    {
        var histogram = new LatencyHistogram();

        Assert.Equal((TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero), (histogram.Quantile(0.5), histogram.Max, histogram.Mean));
    }

    [Fact]
    public void Times_beyond_its_range_count_at_its_ends()
    {
        var histogram = new LatencyHistogram();
        histogram.Add(TimeSpan.FromDays(3));
        histogram.Add(TimeSpan.Zero);

        Assert.Equal(2, histogram.Count);
        Assert.True(histogram.Quantile(1) >= TimeSpan.FromHours(1.9));
    }

    [Fact]
    public async Task Many_threads_lose_no_time()
    {
        var histogram = new LatencyHistogram();
        await Task.WhenAll(Enumerable.Range(1, 4).Select(thread => Task.Run(() =>
        {
            for (var i = 1; i <= 10_000; i++) histogram.Add(TimeSpan.FromMicroseconds(thread * i));
        })));

        Assert.Equal(40_000, histogram.Count);
        Assert.Equal(TimeSpan.FromMicroseconds(40_000), histogram.Max);
    }
}
