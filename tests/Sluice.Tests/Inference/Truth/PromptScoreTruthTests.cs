using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;
using Sluice.Tests.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Truth;

/// <summary>
/// The log probabilities of a prompt's tokens are those that llama.cpp found for the same tokens when it generated them, within the noise that
/// <see cref="LikelihoodTruthTests"/> explains, and to the bit those of this engine's own generation.
/// </summary>
[Collection(ShippedModel.Collection)]
public sealed class PromptScoreTruthTests(ShippedModel shipped)
{
    private const int CaseCount = 4;
    private const double MeanMax = 0.18;
    private const double LargestMax = 1.5;

    [Fact]
    public async Task A_prompt_is_scored_as_llama_cpp_scores_it()
    {
        var differences = new List<double>();
        foreach (TruthCase truth in TruthCase.All.Take(CaseCount))
        {
            int[] greedy = [.. truth.Greedy.Take(40)];
            ScoredRun run = await ScoreAsync([.. truth.Tokens, .. greedy], 20);
            for (int i = 0; i < greedy.Length; i++)
            {
                TokenLogprob scored = run.Tokens[0][truth.Tokens.Length + i];
                Assert.Equal(greedy[i], scored.Token);
                differences.AddRange(truth.Top[i].Join(scored.Top, theirs => theirs.Token, ours => ours.Token, (theirs, ours) => Math.Abs(theirs.Logprob - ours.Logprob)));
            }
        }

        Assert.True(differences.Count > CaseCount * 300, $"Only {differences.Count} tokens are listed by both.");
        Assert.InRange(differences.Average(), 0, MeanMax);
        Assert.InRange(differences.Max(), 0, LargestMax);
    }

    [Fact]
    public async Task A_prompt_is_scored_as_it_was_generated()
    {
        RawPrompt prompt = shipped.Engine.EncodeRaw(new PromptInput("The quick brown fox"));
        var request = new GenerationRequest
        {
            PromptTokens = prompt.Tokens,
            MaxTokens = 40,
            Sampling = new SamplingParameters { Temperature = 1, Seed = 4, TopLogprobs = 5 },
        };
        ScoredRun generated = await ScoredRun.RunAsync(shipped.Engine, request);
        ScoredRun scored = await ScoreAsync([.. prompt.Tokens, .. generated.Tokens[0].Select(token => token.Token)], 5);
        Assert.Equal(
            generated.Tokens[0].Select(token => (token.Token, token.Logprob)),
            scored.Tokens[0].Skip(prompt.Tokens.Count).Select(token => (token.Token, token.Logprob)));
    }

    private Task<ScoredRun> ScoreAsync(int[] tokens, int topLogprobs) => ScoredRun.RunAsync(shipped.Engine, new GenerationRequest
    {
        PromptTokens = tokens,
        Echo = [shipped.Engine.EncodeRaw(new PromptInput(tokens)).Text],
        MaxTokens = 0,
        Sampling = new SamplingParameters { TopLogprobs = topLogprobs },
    });
}
