using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Architectures;

/// <summary>What real files hold beside what an answer needs, and what is refused before the weights are read.</summary>
public sealed class LoaderTests
{
    private static readonly TinyDecoder Plain = new("glm4moe")
    {
        Name = "loader",
        Experts = 4,
        HasBias = true,
        NamesFeedForwardNormPost = true,
        SharedLength = 32,
        Keys = [("expert_shared_count", 1)],
    };

    [Fact]
    public void Drafting_heads_towers_and_input_scales_are_left_aside()
    {
        var rich = Plain with
        {
            Keys = [.. Plain.Keys, ("nextn_predict_layers", 1)],
            Further = static model => model.Gain("blk.4.attn_norm.weight", 64).Matrix("blk.4.nextn.eh_proj.weight", 128, 64)
                .Matrix("v.blk.0.attn_q.weight", 32, 32).Matrix("mm.0.weight", 32, 64).Matrix("a.conv1d.weight", 32, 32)
                .Gain("blk.0.attn_q.input_scale", 1),
        };
        int[] prompt = [5, 6, 7, 8];
        using var plain = TinyModelFile.Load(Plain.Build());
        using var same = TinyModelFile.Load(rich.Build().Replace("block_count", 5));
        Assert.Equal(plain.Logprobs(prompt), same.Logprobs(prompt));
    }

    [Theory]
    [InlineData("mixtral")]
    [InlineData("qwen2moe")]
    public void Experts_with_tensors_of_their_own_are_those_of_one_tensor(string name)
    {
        int[] prompt = [5, 6, 7, 8];
        using var together = TinyModelFile.LoadArchitecture(name);
        using var apart = TinyModelFile.Load(TinyArchitectures.Get(name).ToArray(hasExpertsApart: true));
        Assert.Equal(together.Logprobs(prompt), apart.Logprobs(prompt));
    }

    [Theory]
    [InlineData("blk.1.ffn_mystery.weight")]
    [InlineData("altup_proj.weight")]
    [InlineData("blk.1.attn_q.scale")]
    public void A_tensor_that_nothing_is_known_of_is_refused_by_name(string tensor)
    {
        var message = Refusal((Plain with { Further = model => model.Gain(tensor, 64) }).Build());
        Assert.Contains($"tensor '{tensor}'", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_another_shape_is_refused_by_name()
    {
        var message = Refusal(Plain.Build().Replace("expert_feed_forward_length", 48));
        Assert.Contains("tensor 'blk.0.ffn_gate_exps.weight': expected 64 x 192 values, found 64 x 128", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qwen4exp", "add a server that runs this one as an upstream")]
    [InlineData("clip", "load the file of the model itself")]
    public void An_architecture_that_is_not_computed_is_refused_by_name_with_what_to_do(string architecture, string remedy)
    {
        var message = Refusal(new TinyDecoder(architecture).Build());
        Assert.Contains($"found '{architecture}'", message, StringComparison.Ordinal);
        Assert.Contains(remedy, message, StringComparison.Ordinal);
        Assert.Contains("qwen3", message, StringComparison.Ordinal);
    }

    public static TheoryData<string> All => [.. TinyArchitectures.All.Select(static m => m.Name).Where(static name => name != "exaone4-window")];

    // What passes the check is only what can be computed.
    [Theory]
    [MemberData(nameof(All))]
    public void A_key_with_another_number_is_refused_in_a_sentence_or_computed(string name)
    {
        foreach (var key in TinyArchitectures.Get(name).NumberKeys.ToArray())
        {
            foreach (var number in (int[])[0, 3, 1 << 20])
            {
                var bytes = TinyArchitectures.All.Single(m => m.Name == name).Copy().Replace(key, number).ToArray();
                using var file = new TemporaryGguf(bytes);
                try
                {
                    ModelProbe.Check(file.Path);
                }
                catch (GgufException error)
                {
                    Assert.StartsWith(file.Path, error.Message, StringComparison.Ordinal);
                    Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
                    continue;
                }

                if (ModelProbe.ReadPurpose(file.Path) != ModelPurpose.Text) continue;
                using var tiny = TinyModelFile.Load(bytes);
                Assert.All(tiny.Logprobs([1, 2, 3]), static p => Assert.True(double.IsFinite(p)));
            }
        }
    }

    private static string Refusal(TinyArchitecture model)
    {
        using var file = new TemporaryGguf(model.ToArray());
        var message = Assert.Throws<GgufException>(() => ModelProbe.Check(file.Path)).Message;
        Assert.StartsWith(file.Path, message, StringComparison.Ordinal);
        return message;
    }
}
