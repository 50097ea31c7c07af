using Sluice.Testing.Faults;

namespace Sluice.Benchmarks;

/// <summary>The sixteen faults of the public bench with its own timings: about two minutes.</summary>
internal static class FaultsBenchmark
{
    public static async Task<int> RunAsync()
    {
        var results = await Task.WhenAll(FaultScenario.All.Select(scenario => FaultBench.RunAsync(scenario, factor: 1)));
        Console.WriteLine(FaultBench.Print(results));
        return Array.TrueForAll(results, result => result.Verdict == FaultVerdict.Pass) ? 0 : 1;
    }
}
