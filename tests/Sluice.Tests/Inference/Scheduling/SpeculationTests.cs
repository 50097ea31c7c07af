using FsCheck;
using FsCheck.Fluent;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Sluice.Tests.Inference.Truth;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>
/// Guessing changes nothing that anybody sees. The clock stands still, so that rows cost nothing and everything is guessed that can be; models
/// that remember two tokens repeat themselves, so that many guesses are right and many wrong. <see cref="SuspensionTests"/> has the same for
/// answers in stretches.
/// </summary>
[Collection(ShippedModel.Collection)]
public sealed class SpeculationTests(ShippedModel shipped)
{
    private static readonly EngineOptions s_with = new() { SlotCount = 4 };
    private static readonly EngineOptions s_without = s_with with { DraftTokensMax = 0 };

    public static TheoryData<string> Kinds => [.. DrawnRequests.Kinds];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Every_answer_is_piece_by_piece_the_one_without(string kind)
    {
        using var plain = Model(kind);
        using var without = new InferenceEngine(plain, s_without);
        using var model = Model(kind);
        using var with = new InferenceEngine(model, s_with, new ManualTimeProvider());
        for (int seed = 0; seed < 150; seed++)
        {
            GenerationRequest request = DrawnRequests.Draw(without, kind, new Random(seed));
            string expected = await SuspendedRun.RunAsync(without, step => plain.Computed = step, request);
            string found = await SuspendedRun.RunAsync(with, step => model.Computed = step, request);
            Assert.True(expected == found, $"seed {seed}, {kind}:\n{expected}\n---\n{found}");
        }

        Assert.InRange(with.AcceptedTokenCount, 1, with.DraftedTokenCount - 1);
        Assert.Equal(0, without.DraftedTokenCount);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Among_others_and_in_a_cache_that_is_too_small_it_is_the_same(string kind)
    {
        using var free = Model(kind);
        using var drawing = new InferenceEngine(free, s_without);
        using var plain = Model(kind);
        using var small = Model(kind, tokenCapacity: 1024);
        using var roomy = Model(kind);
        (long drafted, long accepted) = (0, 0);
        for (int seed = 0; seed < 12; seed++)
        {
            var random = new Random(seed);
            GenerationRequest[] requests = [.. Enumerable.Range(0, 6).Select(i => DrawnRequests.Draw(drawing, kind, random) with { Scope = $"{seed} {i}" })];
            string[] alone = [.. requests.SelectMany(request => LoopRun.Run(plain, s_without, [request]).Answers)];
            LoopRun crowded = LoopRun.Run(small, s_with, requests);
            LoopRun together = LoopRun.Run(roomy, s_with, requests);
            Assert.Equal(alone, crowded.Answers);
            Assert.Equal(alone, together.Answers);
            Assert.Equal((0, 0), (small.Cache.UsedCount, roomy.Cache.UsedCount));
            drafted += crowded.DraftedCount;
            accepted += crowded.AcceptedCount;
        }

        Assert.InRange(accepted, 1, drafted - 1);
    }

    // The arithmetic of a real model, on prompts of few different tokens.
    [Theory]
    [InlineData("llama-Q4_1")]
    [InlineData("qwen3")]
    public void With_real_arithmetic_too(string name)
    {
        using var tiny = TinyModelFile.Load(name);
        int run = 0;
        (long drafted, long accepted) = (0, 0);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(40), Prop.ForAll(Gen.Choose(0, 1_000_000).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            GenerationRequest[] requests = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => new GenerationRequest
            {
                PromptTokens = [.. Enumerable.Range(0, random.Next(1, 80)).Select(_ => random.Next('a', 'a' + random.Next(2, 9)))],
                MaxTokens = random.Next(1, 50),
                ChoiceCount = random.Next(1, 3),
                StopSequences = random.Next(3) == 0 ? ["ab", "ca"] : [],
                Sampling = new SamplingParameters
                {
                    Temperature = random.Next(2) * 0.3f,
                    TopP = random.Next(2) == 0 ? 1 : 0.9f,
                    PresencePenalty = random.Next(2) * 0.1f,
                    LogitBias = Enumerable.Range('a', 8).ToDictionary(static token => token, static _ => 4f),
                    Seed = (ulong)seed,
                    TopLogprobs = random.Next(2) == 0 ? null : 2,
                },
            })];
            LoopRun without = LoopRun.Run(tiny.Model, s_without, [.. requests.Select((request, i) => request with { Scope = $"{run} {i} without" })]);
            LoopRun with = LoopRun.Run(tiny.Model, s_with, [.. requests.Select((request, i) => request with { Scope = $"{run} {i} with" })]);

            // What the guesses left in the cache is found by the same requests, and is right.
            LoopRun again = LoopRun.Run(tiny.Model, s_with, [.. requests.Select((request, i) => request with { Scope = $"{run} {i} with" })]);
            Assert.Equal(without.Answers.Select(WithoutUsage), again.Answers.Select(WithoutUsage));
            run++;
            drafted += with.DraftedCount;
            accepted += with.AcceptedCount;
            Assert.Equal(without.Answers, with.Answers);
        }));
        Assert.InRange(accepted, 1, drafted - 1);
    }

    [Fact]
    public void With_the_shipped_model()
    {
        InferenceEngine engine = shipped.Engine;
        GenerationRequest Ask(string text) => new()
        {
            PromptTokens = engine.EncodeChat([new PromptMessage("user", text)], TimeProvider.System),
            MaxTokens = 70,
            Sampling = new SamplingParameters { Temperature = 0 },
        };
        GenerationRequest json = Ask("""Repeat this JSON and change nothing: {"name": "Garden chair", "price": 25, "colors": ["green", "white"], "stock": {"Berlin": 12, "Hamburg": 7}}""");
        GenerationRequest sampled = Ask("Say the numbers from one to twenty as words, twice.") with
        {
            Sampling = new SamplingParameters { Temperature = 0.7f, TopP = 0.95f, Seed = 5, TopLogprobs = 2 },
        };
        GenerationRequest[] requests =
        [
            json, sampled, sampled with { ChoiceCount = 3, MaxTokens = 33 }, json with { Grammar = Grammar.JsonObject }, json with { StopSequences = ["price"] },
            Ask("Tell me about rain.") with { Sampling = new SamplingParameters { Temperature = 0.8f, Seed = 3, RepetitionPenalty = 1.1f } },
        ];
        LoopRun without = LoopRun.Run(shipped.Model, s_without, [.. requests.Select((request, i) => request with { Scope = $"speculation {i} without" })]);
        LoopRun with = LoopRun.Run(shipped.Model, s_with, [.. requests.Select((request, i) => request with { Scope = $"speculation {i} with" })]);
        Assert.Equal(without.Answers, with.Answers);
        (long drafted, long accepted) = (with.DraftedCount, with.AcceptedCount);
        for (int i = 0; i < requests.Length; i++)
        {
            LoopRun alone = LoopRun.Run(shipped.Model, s_with, [requests[i] with { Scope = $"speculation {i} alone" }]);
            Assert.Equal(without.Answers[i], alone.Answers[0]);
            drafted += alone.DraftedCount;
            accepted += alone.AcceptedCount;
        }

        Assert.InRange(accepted, 1, drafted - 1);
    }

    private static string WithoutUsage(string answer) => answer[..answer.LastIndexOf('\n')];

    private static NoiseModel Model(string kind, int tokenCapacity = 1 << 16) => new(tokenCapacity, DrawnRequests.TemplateOf(kind), memory: DrawnRequests.ShortMemory);
}
