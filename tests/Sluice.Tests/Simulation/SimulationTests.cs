using System.Collections.Concurrent;
using System.Globalization;
using Xunit;

namespace Sluice.Tests.Simulation;

/// <summary>
/// The hub between clients and upstreams that fail in every way there is, seed after seed: docs/testing.md says which invariants are held,
/// and
/// how to run more seeds, or one again.
/// </summary>
public sealed class SimulationTests
{
    private const int LocalSeeds = 1_000;
    private const int CiSeeds = 10_000;

    private static int First => int.Parse(Environment.GetEnvironmentVariable("SLUICE_SIMULATION_FIRST") ?? "1", CultureInfo.InvariantCulture);

    private static int Count => Environment.GetEnvironmentVariable("SLUICE_SIMULATION_SEEDS") is { Length: > 0 } seeds
        ? int.Parse(seeds, CultureInfo.InvariantCulture)
        : Environment.GetEnvironmentVariable("CI") == "true" ? CiSeeds : LocalSeeds;

    [Fact]
    public void No_seed_breaks_an_invariant()
    {
        var tally = new ConcurrentDictionary<string, int>();
        var broken = new ConcurrentBag<SimOutcome>();
        Parallel.For(First, First + Count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, (seed, loop) =>
        {
            var outcome = SimRun.Run(seed);
            foreach (var (what, count) in outcome.Tally) tally.AddOrUpdate(what, count, (_, sum) => sum + count);
            if (outcome.Violation is null) return;
            broken.Add(outcome);
            if (broken.Count >= 5) loop.Stop();
        });
        TestContext.Current.SendDiagnosticMessage("{0} seeds: {1}", Count, string.Join(", ", tally.OrderBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => $"{pair.Key} {pair.Value}")));
        Assert.True(broken.IsEmpty, string.Join("\n\n", broken.OrderBy(static outcome => outcome.Seed).Select(static outcome =>
            $"seed {outcome.Seed} {outcome.Violation}\nAgain: SLUICE_SIMULATION_FIRST={outcome.Seed} SLUICE_SIMULATION_SEEDS=1")));
    }

    [Fact]
    public void A_seed_is_the_same_every_time()
    {
        for (var seed = 1; seed <= 50; seed++)
        {
            var (first, again) = (SimRun.Run(seed), SimRun.Run(seed));
            Assert.Equal((first.Trace, first.StepCount, first.Violation), (again.Trace, again.StepCount, again.Violation));
        }
    }
}
