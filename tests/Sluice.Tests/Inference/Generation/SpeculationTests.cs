using Sluice.Inference.Generation;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Generation;

/// <summary>
/// Guessing changes nothing that anybody sees. The clock stands still, so that rows cost nothing and everything is guessed that can be; the
/// model remembers two tokens and so repeats itself, which makes many guesses right and many wrong.
/// </summary>
public sealed class SpeculationTests
{
    private const int Memory = 2;
    private static readonly EngineOptions s_without = new() { SlotCount = 4, DraftTokensMax = 0 };

    public static TheoryData<string> Kinds => [.. DrawnRequests.Kinds];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Every_answer_is_piece_by_piece_the_one_without(string kind)
    {
        using var plain = Model(kind);
        using var without = new InferenceEngine(plain, s_without);
        using var model = Model(kind);
        using var with = new InferenceEngine(model, new EngineOptions { SlotCount = 4 }, new ManualTimeProvider());
        for (int seed = 0; seed < 150; seed++)
        {
            GenerationRequest request = DrawnRequests.Draw(without, kind, new Random(seed));
            string expected = await SuspendedRun.RunAsync(without, step => plain.Computed = step, request);
            string found = await SuspendedRun.RunAsync(with, step => model.Computed = step, request);
            Assert.True(expected == found, $"seed {seed}, {kind}:\n{expected}\n---\n{found}");
        }

        Assert.InRange(with.AcceptedTokenCount, 1, with.DraftedTokenCount - 1);
        Assert.Equal(0, without.DraftedTokenCount);
        Assert.Equal(0, model.Cache.UsedCount);
    }

    private static NoiseModel Model(string kind, int tokenCapacity = 1 << 16) => new(tokenCapacity, DrawnRequests.TemplateOf(kind), memory: Memory);
}
