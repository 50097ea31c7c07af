using Sluice.Inference.Quantization;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Architectures;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>Keys and values in q8_0: what is read back, what the engine promises all the same, and llama.cpp with such a cache.</summary>
public sealed class QuantizedCacheTests(ITestOutputHelper output)
{
    public static TheoryData<string> Decoders => [.. TinyArchitectures.Decoders.Select(static m => m.Name)];

    [Theory]
    [InlineData(16)]
    [InlineData(48)]
    [InlineData(64)]
    [InlineData(128)]
    public unsafe void What_is_read_back_is_each_value_rounded_to_a_byte_of_its_block(int length)
    {
        var random = new RandomBlocks($"cache {length}");
        var bytes = new byte[KvRows.SizeBytes(KvCacheType.Q8_0, length)];
        var stored = new float[TransformerLimits.KvBlockTokens][];
        var keys = new float[TransformerLimits.KvBlockTokens * length];
        var values = new float[TransformerLimits.KvBlockTokens * length];
        fixed (byte* block = bytes)
        {
            for (var asKeys = 0; asKeys < 2; asKeys++)
            {
                for (var t = 0; t < stored.Length; t++)
                {
                    stored[t] = t == 3 ? new float[length] : random.Singles(length, t + 1);
                    fixed (float* row = stored[t])
                    {
                        if (asKeys == 1) KvRows.StoreKey(KvCacheType.Q8_0, block, t, row, length);
                        else KvRows.StoreValue(KvCacheType.Q8_0, block, t, row, length);
                    }
                }

                fixed (float* target = asKeys == 1 ? keys : values)
                {
                    if (asKeys == 1) KvRows.ReadKeys(KvCacheType.Q8_0, block, target, 2, length, block);
                    else KvRows.ReadValues(KvCacheType.Q8_0, block, target, TransformerLimits.KvBlockTokens, length, block);
                }

                for (var t = 0; t < stored.Length; t++)
                {
                    for (var d = 0; d < length; d++)
                    {
                        var read = asKeys == 1 ? keys[(t / 16 * 16 * length) + (d * 16) + (t % 16)] : values[(t * length) + d];
                        Assert.Equal(Rounded(stored[t], d), read);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Decoders))]
    public void A_prompt_has_the_same_logits_in_pieces_on_other_threads_and_found(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name, KvCacheType.Q8_0);
        using var three = TinyModelFile.LoadArchitecture(name, KvCacheType.Q8_0, threadCount: 3);
        int[] prompt = [.. Enumerable.Range(0, 75).Select(static i => (i * 41 + 7) % 256)];
        var whole = Logits(tiny.Model, prompt, prompt.Length);
        Assert.Equal(whole, Logits(tiny.Model, prompt, 1));
        Assert.Equal(whole, Logits(tiny.Model, prompt, 16));
        Assert.Equal(whole, Logits(three.Model, prompt, 5));

        var source = new KvSequence();
        TeacherForcing.Prefill(tiny.Model, source, prompt, 64);
        tiny.Model.Cache.Publish(source, prompt, 64);
        var target = new KvSequence();
        tiny.Model.Cache.Reuse(target, prompt, 74);
        Assert.Equal(64, target.Length);
        TeacherForcing.Prefill(tiny.Model, target, prompt, prompt.Length);
        Assert.Equal(whole, tiny.Model.Logits(0).ToArray());
        tiny.Model.Cache.Release(source);
        tiny.Model.Cache.Release(target);
    }

    // Its queries are rounded too, which ours are not, so they agree about as well as either does with a cache of halves.
    [Theory]
    [InlineData("gemma3")]
    [InlineData("qwen35")]
    public void Log_probabilities_agree_with_those_of_llama_cpp(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name, KvCacheType.Q8_0);
        var expected = ArchitectureTruth.WithQuantizedCache(name);
        for (var p = 0; p < expected.Length; p++)
        {
            var differences = tiny.Logprobs(ArchitectureTruth.Prompts[p]).Zip(expected[p], static (ours, theirs) => Math.Abs(ours - theirs)).ToArray();
            output.WriteLine($"after {ArchitectureTruth.Prompts[p].Length} tokens: mean {differences.Average():F5}, max {differences.Max():F5}");
            Assert.True(differences.Average() < 0.03, $"{differences.Average():F5}");
            Assert.True(differences.Max() < 0.12, $"{differences.Max():F5}");
        }
    }

    [Fact]
    public void It_takes_little_more_than_half_of_the_memory_and_is_another_model()
    {
        using var halves = TinyModelFile.LoadArchitecture("gemma3");
        using var bytes = TinyModelFile.LoadArchitecture("gemma3", KvCacheType.Q8_0);
        Assert.Equal(8.5 / 16, (double)bytes.Model.Cache.BlockBytes / halves.Model.Cache.BlockBytes);
        Assert.NotEqual(halves.Model.Description.Identity, bytes.Model.Description.Identity);
    }

    private static float Rounded(float[] row, int d)
    {
        var start = d / 32 * 32;
        var block = row.AsSpan(start, Math.Min(32, row.Length - start));
        var largest = 0f;
        foreach (var value in block) largest = Math.Max(largest, Math.Abs(value));
        var scale = largest / 127f;
        var integer = scale == 0 ? 0 : MathF.Round(row[d] * (1f / scale));
        return HalfBits.ToSingle(BitConverter.HalfToUInt16Bits((Half)scale)) * integer;
    }

    private static float[] Logits(LanguageModel model, int[] prompt, int step)
    {
        var sequence = new KvSequence();
        TeacherForcing.Prefill(model, sequence, prompt, prompt.Length, stepTokens: step);
        var logits = model.Logits(0).ToArray();
        model.Cache.Release(sequence);
        return logits;
    }
}
