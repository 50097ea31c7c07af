using Sluice.Inference.Gguf;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Architectures;

/// <summary>
/// What the engine promises of every family: a sequence's logits have the same bits however its tokens are cut into steps, beside whatever else,
/// on any number of threads, and whether its beginning was read or found.
/// </summary>
public sealed class ArchitectureInvarianceTests
{
    public static TheoryData<string> Decoders => [.. TinyArchitectures.Decoders.Select(static m => m.Name)];

    // What decides how a column is computed is whether its matrices read it quantised; the kernels' tests have the types.
    [Theory]
    [MemberData(nameof(Decoders))]
    public void Quantised_weights_keep_the_promise_and_stay_near_the_exact_ones(string name)
    {
        using var one = TinyModelFile.LoadArchitecture(name, GgufTensorType.Q8_0);
        using var three = TinyModelFile.LoadArchitecture(name, GgufTensorType.Q8_0, threadCount: 3);
        using var exact = TinyModelFile.LoadArchitecture(name, GgufTensorType.Q8_0, dequantized: true);
        var prompt = Prompt("quantised", 23);
        var whole = Logits(one.Model, prompt, prompt.Length);
        Assert.Equal(whole, Logits(one.Model, prompt, 1));
        Assert.Equal(whole, Logits(one.Model, prompt, 5));
        Assert.Equal(whole, Logits(three.Model, prompt, prompt.Length));
        Assert.Equal(whole, Logits(three.Model, prompt, 3));

        // A router that is near a tie chooses otherwise when its input is rounded: of eight tokens the median counts.
        var means = Enumerable.Range(1, 8).Select(token => one.Logprobs([token]).Zip(exact.Logprobs([token]), static (a, b) => Math.Abs(a - b)).Average());
        var median = means.Order().ElementAt(4);
        Assert.True(median < 0.15, $"{median:F3}: {string.Join(' ', means.Select(m => $"{m:F3}"))}");
    }

    [Theory]
    [MemberData(nameof(Decoders))]
    public void A_prompt_has_the_same_logits_in_pieces_and_on_other_threads(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name);
        using var three = TinyModelFile.LoadArchitecture(name, threadCount: 3);
        foreach (var prompt in ArchitectureTruth.Prompts.Append(Prompt("pieces", 70)))
        {
            var whole = Logits(tiny.Model, prompt, prompt.Length);
            foreach (var step in (int[])[1, 3, 16])
            {
                Assert.Equal(whole, Logits(tiny.Model, prompt, step));
            }

            Assert.Equal(whole, Logits(three.Model, prompt, prompt.Length));
            Assert.Equal(whole, Logits(three.Model, prompt, 2));
        }
    }

    [Theory]
    [MemberData(nameof(Decoders))]
    public void Prompts_and_answers_have_the_same_logits_beside_others(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name, threadCount: 2);
        var prompts = Enumerable.Range(0, 9).Select(i => Prompt($"beside {i}", 1 + (i * 7 % 23))).ToArray();
        var alone = prompts.Select(prompt => Logits(tiny.Model, prompt, prompt.Length)).ToArray();
        var caches = prompts.Select(_ => new KvSequence()).ToArray();
        var batch = new StepBatch();
        for (var i = 0; i < prompts.Length; i++)
        {
            // Every other one has all but its last token read, as an answer has.
            if (i % 2 == 0) TeacherForcing.Prefill(tiny.Model, caches[i], prompts[i], prompts[i].Length - 1);
            tiny.Model.Cache.TryGrow(caches[i], prompts[i].Length);
        }

        for (var i = 0; i < prompts.Length; i++)
        {
            batch.Add(caches[i], prompts[i], caches[i].Length, prompts[i].Length - caches[i].Length, wantsLogits: true);
        }

        tiny.Model.Forward(batch, null);
        for (var i = 0; i < prompts.Length; i++)
        {
            Assert.Equal(alone[i], tiny.Model.Logits(i).ToArray());
        }
    }

    public static TheoryData<string> Drafting =>
        [.. TinyArchitectures.Decoders.Except(TinyArchitectures.Hybrids).Select(static m => m.Name)];

    [Theory]
    [MemberData(nameof(Drafting))]
    public void Drafts_have_the_logits_that_they_would_have_alone(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name);
        var known = Prompt("known", 40);
        var drafts = Prompt("drafts", 7);
        foreach (var count in (int[])[3, 7])
        {
            var cache = new KvSequence();
            TeacherForcing.Prefill(tiny.Model, cache, known, known.Length - 1);
            tiny.Model.Cache.TryGrow(cache, known.Length + count);
            var batch = new StepBatch();
            batch.AddDrafted(cache, known, drafts, count);
            tiny.Model.Forward(batch, null);
            var rows = Enumerable.Range(0, count + 1).Select(i => tiny.Model.Logits(i).ToArray()).ToArray();
            tiny.Model.Cache.Release(cache);
            for (var i = 0; i <= count; i++)
            {
                int[] tokens = [.. known, .. drafts[..i]];
                Assert.Equal(Logits(tiny.Model, tokens, tokens.Length), rows[i]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Decoders))]
    public void A_beginning_that_was_found_continues_as_one_that_was_read(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name);
        var prompt = Prompt("shared", 90);
        var read = Logits(tiny.Model, prompt, prompt.Length);
        foreach (var kept in (int[])[32, 50, 64, 77])
        {
            var source = new KvSequence { Scope = $"{kept}" };
            TeacherForcing.Prefill(tiny.Model, source, prompt, kept, stepTokens: 7);
            tiny.Model.Cache.Retire(source, prompt);
            var target = new KvSequence { Scope = $"{kept}" };
            tiny.Model.Cache.Reuse(target, prompt, prompt.Length - 1);
            Assert.Equal(kept, target.Length);
            TeacherForcing.Prefill(tiny.Model, target, prompt, prompt.Length);
            Assert.Equal(read, tiny.Model.Logits(0).ToArray());
            tiny.Model.Cache.Release(target);
        }
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
