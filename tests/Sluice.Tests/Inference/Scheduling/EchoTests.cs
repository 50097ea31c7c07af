using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>Prompts that are delivered in front of their choices, scored or not, and several of them in one request.</summary>
public sealed class EchoTests
{
    private static GenerationRequest Request(InferenceEngine engine, params string[] prompts)
    {
        RawPrompt[] raw = [.. prompts.Select(prompt => engine.EncodeRaw(new PromptInput(prompt)))];
        return new GenerationRequest
        {
            PromptTokens = raw[0].Tokens,
            FurtherPrompts = [.. raw.Skip(1).Select(prompt => prompt.Tokens)],
            Echo = [.. raw.Select(prompt => prompt.Text)],
            MaxTokens = 12,
            Sampling = new SamplingParameters { Temperature = 0, TopLogprobs = 2 },
        };
    }

    [Fact]
    public async Task The_tokens_of_a_prompt_have_the_log_probabilities_that_they_had_when_they_were_generated()
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 4 });
        GenerationRequest request = Request(engine, "Where it began, and how it went on.") with { MaxTokens = 200, Echo = null };
        ScoredRun generated = await ScoredRun.RunAsync(engine, request);
        int[] tokens = [.. request.PromptTokens, .. generated.Tokens[0].Select(token => token.Token)];
        RawPrompt all = engine.EncodeRaw(new PromptInput(tokens));
        ScoredRun scored = await ScoredRun.RunAsync(engine, request with { PromptTokens = tokens, Echo = [all.Text], MaxTokens = 0 });

        Assert.Equal(tokens, scored.Tokens[0].Select(token => token.Token));
        Assert.True(scored.Tokens[0][0].IsFirst);
        Assert.Equal(FinishReason.Length, scored.Reasons[0]);
        Assert.Equal(new GenerationUsage(tokens.Length, 0, 0), scored.Usage);
        Assert.All(generated.Tokens[0].Zip(scored.Tokens[0].Skip(request.PromptTokens.Count)), pair =>
        {
            Assert.Equal(pair.First.Logprob, pair.Second.Logprob);
            Assert.Equal(pair.First.Top.Select(top => (top.Token, top.Logprob)), pair.Second.Top.Select(top => (top.Token, top.Logprob)));
        });
    }

    [Theory]
    [InlineData(12, 2)]
    [InlineData(0, 2)]
    [InlineData(12, null)]
    [InlineData(0, null)]
    public async Task Each_choice_of_each_prompt_begins_with_its_prompt(int maxTokens, int? logprobs)
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 2 });
        string[] prompts = ["Ä first one that is longer than one step reads of it: forty characters.", "b", new string('c', 3000)];
        GenerationRequest request = Request(engine, prompts);
        request = request with
        {
            MaxTokens = maxTokens,
            ChoiceCount = 2,
            Sampling = new SamplingParameters { Seed = 3, TopLogprobs = logprobs },
        };
        ScoredRun run = await ScoredRun.RunAsync(engine, request);
        for (int i = 0; i < 3; i++)
        {
            ScoredRun alone = await ScoredRun.RunAsync(engine, Request(engine, prompts[i]) with { Echo = null, MaxTokens = 1 });
            foreach (int choice in (int[])[2 * i, (2 * i) + 1])
            {
                Assert.StartsWith(prompts[i], run.Text(choice), StringComparison.Ordinal);
                Assert.Equal(maxTokens == 0, run.Text(choice).Length == prompts[i].Length);
                Assert.NotNull(run.Reasons[choice]);
                Assert.Equal(logprobs == null ? 0 : alone.Usage.PromptTokens, run.Tokens[choice].Take(alone.Usage.PromptTokens).Count());
            }
        }

        Assert.Equal(prompts.Sum(prompt => engine.EncodeRaw(new PromptInput(prompt)).Tokens.Count), run.Usage.PromptTokens);
        Assert.InRange(run.Usage.CompletionTokens, maxTokens == 0 ? 0 : 6, 6 * maxTokens);
    }

    [Fact]
    public async Task Several_prompts_are_continued_as_each_would_be_alone()
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 2 });
        string[] prompts = ["one", "two and more", "three", "four"];
        ScoredRun together = await ScoredRun.RunAsync(engine, Request(engine, prompts));
        for (int i = 0; i < prompts.Length; i++)
        {
            ScoredRun alone = await ScoredRun.RunAsync(engine, Request(engine, prompts[i]));
            Assert.Equal(alone.Text(0), together.Text(i));
            Assert.Equal(alone.Tokens[0].Select(token => token.Logprob), together.Tokens[i].Select(token => token.Logprob));
        }
    }

    [Theory]
    [InlineData(2, 10)]
    [InlineData(2, 0)]
    [InlineData(null, 10)]
    [InlineData(null, 0)]
    public async Task Suspended_after_each_single_step_nothing_is_missing_or_twice(int? logprobs, int maxTokens)
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 3 });
        GenerationRequest request = Request(engine, new string('x', 70) + "é", "y" + new string('ü', 40), "z");
        request = request with { ChoiceCount = 2, MaxTokens = maxTokens, Sampling = new SamplingParameters { Seed = 9, TopLogprobs = logprobs } };
        string whole = (await ScoredRun.RunAsync(engine, request with { Scope = "whole" })).ToString();
        for (int steps = 0; steps < 40; steps++)
        {
            string parts = (await ScoredRun.RunAsync(engine, request with { Scope = $"{steps}" }, step => model.Computed = step, steps, 1 + (steps / 2))).ToString();
            Assert.True(whole == parts, $"{steps} steps:\n{whole}\n---\n{parts}");
        }
    }

    [Fact]
    public async Task A_cache_that_is_too_small_for_all_scores_every_prompt_nevertheless()
    {
        string[] prompts = [.. Enumerable.Range(0, 6).Select(i => new string((char)('a' + i), 150))];
        using var large = new NoiseModel(1 << 16);
        using var roomy = new InferenceEngine(large, new EngineOptions { SlotCount = 1 });
        string expected = (await ScoredRun.RunAsync(roomy, Request(roomy, prompts))).ToString();
        using var small = new NoiseModel(400);
        using var tight = new InferenceEngine(small, new EngineOptions { SlotCount = 6 });
        Assert.Equal(expected, (await ScoredRun.RunAsync(tight, Request(tight, prompts))).ToString());
    }

    [Fact]
    public async Task What_the_cache_has_of_a_prompt_is_computed_again_to_be_scored()
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions { SlotCount = 2 });
        GenerationRequest request = Request(engine, new string('q', 300)) with { MaxTokens = 0 };
        string first = (await ScoredRun.RunAsync(engine, request)).ToString();
        Assert.Equal(first, (await ScoredRun.RunAsync(engine, request)).ToString());
    }

    [Fact]
    public void A_prompt_may_fill_the_context_only_where_nothing_follows_it()
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions());
        GenerationRequest request = Request(engine, new string('x', model.Description.ContextLength)) with { MaxTokens = 0 };
        Assert.NotNull(engine.TrySubmit(request, new CollectingSink()));
        Assert.Throws<ArgumentException>(() => engine.TrySubmit(request with { MaxTokens = 1 }, new CollectingSink()));
        Assert.Throws<ArgumentOutOfRangeException>(() => engine.TrySubmit(request with { Echo = null }, new CollectingSink()));
    }

    [Fact]
    public async Task A_stop_sequence_in_the_prompt_ends_nothing()
    {
        using var model = new NoiseModel(1 << 16);
        using var engine = new InferenceEngine(model, new EngineOptions());
        GenerationRequest request = Request(engine, "stop here: stop.") with { StopSequences = ["stop"] };
        Assert.StartsWith("stop here: stop.", (await ScoredRun.RunAsync(engine, request)).Text(0), StringComparison.Ordinal);
    }
}
