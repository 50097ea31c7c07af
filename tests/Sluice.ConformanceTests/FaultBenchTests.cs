using Sluice.Testing.Faults;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The sixteen faults of the public bench, with a clock that runs four times as fast.</summary>
public sealed class FaultBenchTests(ITestOutputHelper output)
{
    private const int Factor = 4;

    // Fewer at a time than there are, for a slow machine would take the clock's speed for slowness of the hub.
    private const int ParallelMax = 4;

    [Fact]
    public async Task All_sixteen_faults_are_rescued()
    {
        var results = new FaultResult[FaultScenario.All.Count];
        await Parallel.ForAsync(
            0, results.Length, new ParallelOptions { MaxDegreeOfParallelism = ParallelMax }, async (i, _) => results[i] = await FaultBench.RunAsync(FaultScenario.All[i], Factor));
        var card = FaultBench.Print(results);
        output.WriteLine(card);
        Assert.True(Array.TrueForAll(results, result => result.Verdict == FaultVerdict.Pass), card);
    }

    // The judge must be able to say no.
    [Theory]
    [InlineData("S08")]
    [InlineData("S10")]
    [InlineData("S14")]
    public async Task Without_rescue_a_cut_is_an_error_and_never_a_part_for_the_whole(string id)
    {
        var result = await FaultBench.RunAsync(FaultScenario.All.Single(scenario => scenario.Id == id), Factor, rescues: false);
        Assert.Equal(FaultVerdict.Safe, result.Verdict);
        Assert.Contains("upstream_", result.Note, StringComparison.Ordinal);
    }
}
