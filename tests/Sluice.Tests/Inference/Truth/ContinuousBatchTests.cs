using Sluice.Inference.Scheduling;
using Sluice.Inference.Sampling;
using Sluice.Inference.Transformer;
using Sluice.Tests.Inference.Scheduling;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Truth;

/// <summary>What the scheduler does must not show in the numbers: token ids and log probabilities are compared bit by bit.</summary>
[Collection(ShippedModel.Collection)]
public sealed class ContinuousBatchTests(ShippedModel shipped)
{
    private static readonly int[] LongPrompt = TruthCase.All.Single(c => c.Name == "long").Tokens;

    [Fact]
    public async Task Sixteen_requests_that_come_one_by_one_get_the_numbers_they_get_alone()
    {
        var requests = Enumerable.Range(0, 16).Select(Request).ToArray();
        var alone = new List<CollectingSink>();
        foreach (var request in requests)
        {
            alone.Add(await Submit(request));
        }

        var together = new List<Task<CollectingSink>>();
        foreach (var request in requests)
        {
            // Each comes when the one before has begun to answer, so that the batch takes many shapes.
            var sink = new CollectingSink();
            together.Add(Submit(request, sink));
            await sink.Started;
        }

        for (var i = 0; i < requests.Length; i++)
        {
            var among = await together[i];
            Assert.Equal(Numbers(alone[i]), Numbers(among));
            Assert.Equal(alone[i].Text(), among.Text());
        }
    }

    [Fact]
    public void A_prompt_in_one_step_and_in_pieces_gives_the_same_bits()
    {
        var prompt = LongPrompt[..200];
        var whole = Logits(prompt, 200);
        foreach (var step in (int[])[7, 64, 129])
        {
            Assert.True(whole.AsSpan().SequenceEqual(Logits(prompt, step)), $"{step} tokens a step");
        }
    }

    [Fact]
    public async Task Cancelling_while_the_prompt_is_read_frees_the_slot()
    {
        // Several seconds of reading, of which a step of a quarter second at most is still done.
        var request = Request(0) with { PromptTokens = [.. Enumerable.Repeat(LongPrompt, 14).SelectMany(t => t)] };
        var sink = new CollectingSink();
        var generation = shipped.Engine.TrySubmit(request, sink)!;
        while (shipped.Engine.ActiveCount == 0)
        {
            await Task.Yield();
        }

        generation.Cancel();
        Assert.Equal("cancelled", await sink.Ended);
        Assert.Equal(0, sink.Usage.CompletionTokens);
        Assert.Equal("", sink.Text());
        Assert.Equal(0, shipped.Engine.ActiveCount);
        await Submit(Request(3));
    }

    // Prompts of 1 to 46 tokens; every third request is greedy.
    private static GenerationRequest Request(int i) => new()
    {
        PromptTokens = LongPrompt[(i * 5)..((i * 5) + 1 + (i * 3))],
        MaxTokens = 20 + i,
        Sampling = new SamplingParameters { Temperature = i % 3 == 0 ? 0 : 0.9f, TopP = 0.95f, Seed = (ulong)i, TopLogprobs = 2 },
    };

    private static (int Token, float Logprob)[] Numbers(CollectingSink sink) => [.. sink.Tokens.Select(t => (t.Token, t.Logprob))];

    private async Task<CollectingSink> Submit(GenerationRequest request, CollectingSink? sink = null)
    {
        sink ??= new CollectingSink();
        Assert.NotNull(shipped.Engine.TrySubmit(request, sink));
        Assert.Equal("completed", await sink.Ended);
        return sink;
    }

    private float[] Logits(int[] prompt, int stepTokens)
    {
        var cache = new KvSequence();
        TeacherForcing.Prefill(shipped.Model, cache, prompt, prompt.Length, stepTokens);
        var logits = shipped.Model.Logits(0).ToArray();
        shipped.Model.Cache.Release(cache);
        return logits;
    }
}
