using Sluice.Inference.Transformer;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>A sequence's logits have the same bits however its tokens are cut into steps, beside whatever else, on any number of threads.</summary>
public sealed class BatchInvarianceTests
{
    public static TheoryData<string> Models =>
        ["llama", "qwen3-yarn", "llama-Q4_1", "llama-Q8_0", "llama-Q6_K", "qwen2-mixed", "llama-one-kv-head"];

    [Theory]
    [MemberData(nameof(Models))]
    public void A_prompt_read_in_pieces_has_the_same_logits(string name)
    {
        using var tiny = TinyModelFile.Load(name);
        var prompt = Prompt("pieces", 100);
        var whole = Logits(tiny.Model, prompt, prompt.Length);
        foreach (var step in (int[])[1, 3, 16, 33, 99])
        {
            Assert.Equal(whole, Logits(tiny.Model, prompt, step));
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_prompt_read_beside_others_has_the_same_logits(string name)
    {
        using var tiny = TinyModelFile.Load(name);
        var prompts = Enumerable.Range(0, 16).Select(i => Prompt($"beside {i}", 1 + (i * 7 % 23))).ToArray();
        var alone = prompts.Select(prompt => Logits(tiny.Model, prompt, prompt.Length)).ToArray();
        var caches = prompts.Select(_ => new KvSequence()).ToArray();
        var batch = new StepBatch();
        for (var i = 0; i < prompts.Length; i++)
        {
            tiny.Model.Cache.TryGrow(caches[i], prompts[i].Length);
            batch.Add(caches[i], prompts[i], 0, prompts[i].Length, wantsLogits: true);
        }

        tiny.Model.Forward(batch, null);
        for (var i = 0; i < prompts.Length; i++)
        {
            Assert.Equal(alone[i], tiny.Model.Logits(i).ToArray());
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Guessed_tokens_have_the_logits_that_they_would_have_alone_and_leave_nothing_behind(string name)
    {
        using var tiny = TinyModelFile.Load(name);
        var known = Prompt("known", 60);
        var right = Prompt("right", 7);
        var wrong = Prompt("wrong", 7);
        foreach (var draftCount in (int[])[1, 3, 7])
        {
            var cache = new KvSequence();
            TeacherForcing.Prefill(tiny.Model, cache, known, known.Length - 1);
            var batch = new StepBatch();
            foreach (var drafts in (int[][])[wrong, right])
            {
                // Beside another run, so that columns and rows are not the same.
                var other = new KvSequence();
                tiny.Model.Cache.TryGrow(other, 5);
                tiny.Model.Cache.TryGrow(cache, known.Length + draftCount);
                batch.Clear();
                batch.Add(other, wrong, 0, 5, wantsLogits: true);
                batch.AddDrafted(cache, known, drafts, draftCount);
                tiny.Model.Forward(batch, null);
                var rows = Enumerable.Range(0, draftCount + 1).Select(i => tiny.Model.Logits(1 + i).ToArray()).ToArray();
                tiny.Model.Cache.Release(other);
                for (var i = 0; i <= draftCount; i++)
                {
                    int[] tokens = [.. known, .. drafts[..i]];
                    Assert.Equal(Logits(tiny.Model, tokens, tokens.Length), rows[i]);
                }
            }

            tiny.Model.Cache.Release(cache);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void The_number_of_threads_changes_no_bit(string name)
    {
        var prompt = Prompt("threads", 70);
        using var one = TinyModelFile.Load(name, threadCount: 1);
        using var three = TinyModelFile.Load(name, threadCount: 3);
        Assert.Equal(Logits(one.Model, prompt, 70), Logits(three.Model, prompt, 70));
        Assert.Equal(Logits(one.Model, prompt, 1), Logits(three.Model, prompt, 1));
    }

    [Theory]
    [InlineData(76, 76)]
    [InlineData(64, 64)]
    [InlineData(70, 70)]
    public void A_prompt_found_in_the_cache_continues_as_one_that_was_read(int kept, int found)
    {
        using var tiny = TinyModelFile.Load("llama-Q4_1");
        var prompt = Prompt("shared", 77);
        var read = Logits(tiny.Model, prompt, 77);
        var source = new KvSequence();
        TeacherForcing.Prefill(tiny.Model, source, prompt, kept, stepTokens: 7);
        tiny.Model.Cache.Retire(source, prompt);
        var target = new KvSequence();
        tiny.Model.Cache.Reuse(target, prompt, 76);
        Assert.Equal(found, target.Length);
        TeacherForcing.Prefill(tiny.Model, target, prompt, 77);
        Assert.Equal(read, tiny.Model.Logits(0).ToArray());
    }

    [Fact]
    public void A_prompt_that_parts_within_a_block_continues_as_one_that_was_read()
    {
        using var tiny = TinyModelFile.Load("qwen3-yarn");
        var prompt = Prompt("parts", 77);
        var other = (int[])[.. prompt[..45], .. Prompt("from there", 60)];
        var read = Logits(tiny.Model, prompt, 77);
        var source = new KvSequence();
        TeacherForcing.Prefill(tiny.Model, source, other, other.Length);
        tiny.Model.Cache.Publish(source, other);
        var target = new KvSequence();
        tiny.Model.Cache.Reuse(target, prompt, 76);
        Assert.InRange(target.Length, 45, 46);
        TeacherForcing.Prefill(tiny.Model, target, prompt, 77);
        Assert.Equal(read, tiny.Model.Logits(0).ToArray());

        // Nor does the one that was there first see what was written behind its tokens.
        var again = Prompt("again", 3);
        var longer = (int[])[.. other, .. again];
        TeacherForcing.Prefill(tiny.Model, source, longer, longer.Length);
        var continued = tiny.Model.Logits(0).ToArray();
        Assert.Equal(Logits(tiny.Model, longer, longer.Length), continued);
    }

    [Fact]
    public void An_abandoned_step_leaves_the_sequence_as_it_was()
    {
        using var tiny = TinyModelFile.Load("llama-Q4_1");
        var prompt = Prompt("abandoned", 60);
        var expected = Logits(tiny.Model, prompt, 60);
        var cache = new KvSequence();
        TeacherForcing.Prefill(tiny.Model, cache, prompt, 40);
        tiny.Model.Cache.TryGrow(cache, 60);
        var batch = new StepBatch();
        batch.Add(cache, prompt, 40, 20, wantsLogits: true);
        var asked = 0;
        Assert.False(tiny.Model.Forward(batch, () => ++asked == 2));
        Assert.Equal(2, asked);

        TeacherForcing.Prefill(tiny.Model, cache, prompt, 60);
        Assert.Equal(expected, tiny.Model.Logits(0).ToArray());
    }

    private static int[] Prompt(string name, int length)
    {
        var random = new RandomBlocks(name);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(TinyModel.VocabularySize))];
    }

    private static float[] Logits(LanguageModel model, int[] prompt, int stepTokens)
    {
        var cache = new KvSequence();
        TeacherForcing.Prefill(model, cache, prompt, prompt.Length, stepTokens);
        var logits = model.Logits(0).ToArray();
        model.Cache.Release(cache);
        return logits;
    }
}
