using System.Text.Json.Nodes;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Inference.Sampling;
using Sluice.Testing;
using Sluice.Tests.Inference.Scheduling;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Inference.Truth;
using Xunit;

namespace Sluice.Tests.Inference.Quantization;

[Collection(ShippedModel.Collection)]
public sealed class ModelQuantizerTests(ShippedModel shipped)
{
    // Data/quantization-errors.json: what llama-quantize loses of the same weights.
    [Theory]
    [InlineData("Q4_0", GgufTensorType.Q4_0)]
    [InlineData("Q4_1", GgufTensorType.Q4_1)]
    [InlineData("Q5_0", GgufTensorType.Q5_0)]
    [InlineData("Q5_1", GgufTensorType.Q5_1)]
    [InlineData("Q8_0", GgufTensorType.Q8_0)]
    [InlineData("Q4_K_S", GgufTensorType.Q4_K)]
    [InlineData("Q5_K_S", GgufTensorType.Q5_K)]
    [InlineData("Q6_K", GgufTensorType.Q6_K)]
    [InlineData("IQ4_NL", GgufTensorType.IQ4_NL)]
    public void No_more_is_lost_than_llama_quantize_loses(string mix, GgufTensorType type)
    {
        var truth = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "quantization-errors.json")))![type.ToString()]!.AsObject();
        using var file = Excerpt(truth.Select(static entry => entry.Key));
        using var source = GgufFile.Open(file.Path);
        var written = new List<QuantizedTensor>();
        ModelQuantizer.Write(source, QuantizationPlan.Create(source, QuantizationMix.Find(mix)!), Stream.Null, written.Add, TestContext.Current.CancellationToken);

        Assert.Equal(source.Tensors.Count, written.Count);
        foreach (var (name, error) in truth)
        {
            var tensor = written.Single(tensor => tensor.After.Name == name);
            Assert.Equal(type, tensor.After.Type);
            Assert.InRange(tensor.RelativeError, 0, error!.GetValue<double>());
        }
    }

    [Fact]
    public async Task Types_change_and_a_type_that_holds_the_old_integers_gives_the_same_answer()
    {
        using var source = GgufFile.Open(TestFiles.DefaultModel);
        using var file = Write(source, "Q5_1");
        using var written = GgufFile.Open(file.Path);

        Assert.Equal(9, written.Metadata.GetInteger("general.file_type"));
        Assert.Equal(source.Metadata.GetString("tokenizer.chat_template"), written.Metadata.GetString("tokenizer.chat_template"));
        Assert.Equal(source.Metadata.GetNumber("llama.rope.freq_base"), written.Metadata.GetNumber("llama.rope.freq_base"));
        Assert.Equal(source.Metadata.FindUtf8Strings("tokenizer.ggml.merges")!.Value.Count, written.Metadata.FindUtf8Strings("tokenizer.ggml.merges")!.Value.Count);
        Assert.Equal(source.Tensors.Keys.Order(), written.Tensors.Keys.Order());
        Assert.All(source.Tensors.Values, tensor => Assert.Equal(tensor.Dimensions, written.GetTensor(tensor.Name).Dimensions));
        Assert.Equal(GgufTensorType.F32, written.GetTensor("blk.0.attn_norm.weight").Type);
        Assert.Equal(GgufTensorType.Q5_1, written.GetTensor("blk.0.attn_q.weight").Type);
        Assert.Equal(GgufTensorType.Q8_0, written.GetTensor("token_embd.weight").Type);
        using var engine = InferenceEngine.Load(file.Path, new EngineOptions { ThreadCount = 2, KvTokenCapacity = 512 });
        Assert.Equal(await AnswerAsync(shipped.Engine), await AnswerAsync(engine));
    }

    [Fact]
    public void Keys_that_the_file_lacks_are_added()
    {
        using var file = new TemporaryGguf(new GgufWriter().Add("general.architecture", "x").Add("general.file_type", (byte)0)
            .AddTensor("a.weight", [32, 2], GgufTensorType.F32, new float[64]).ToArray());
        using var source = GgufFile.Open(file.Path);
        using var target = Write(source, "Q8_0");
        using var written = GgufFile.Open(target.Path);

        Assert.Equal(7, written.Metadata.GetInteger("general.file_type"));
        Assert.Equal(2, written.Metadata.GetInteger("general.quantization_version"));
        Assert.Equal("x", written.Metadata.GetString("general.architecture"));
    }

    [Theory]
    [InlineData(float.NaN, "Q8_0")]
    [InlineData(float.PositiveInfinity, "Q4_0")]
    [InlineData(70_000f, "F16")]
    [InlineData(-70_000f, "Q4_1")]
    public void Values_that_the_type_cannot_hold_are_refused_by_name(float value, string type)
    {
        var values = new float[64];
        values[40] = value;
        using var file = new TemporaryGguf(new GgufWriter().AddTensor("a.weight", [32, 2], GgufTensorType.F32, values).ToArray());
        using var source = GgufFile.Open(file.Path);

        var error = Assert.Throws<GgufException>(() => ModelQuantizer.Write(source, QuantizationPlan.Create(source, QuantizationMix.Find(type)!), Stream.Null, null, CancellationToken.None));
        Assert.Contains("tensor 'a.weight': expected values up to 65504", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_that_are_no_whole_blocks_and_vectors_stay_as_they_are()
    {
        using var file = new TemporaryGguf(new GgufWriter()
            .AddTensor("odd.weight", [33, 2], GgufTensorType.F32, new float[66])
            .AddTensor("norm.weight", [32], GgufTensorType.F32, new float[32])
            .AddTensor("experts.weight", [32, 2, 3], GgufTensorType.F16, new float[192])
            .AddTensor("output.weight", [32, 2], GgufTensorType.F32, new float[64]).ToArray());
        using var source = GgufFile.Open(file.Path);

        var plan = QuantizationPlan.Create(source, QuantizationMix.Find("Q4_0")!);
        Assert.Equal(
            [GgufTensorType.F32, GgufTensorType.F32, GgufTensorType.Q4_0, GgufTensorType.Q8_0],
            plan.Tensors.Select(static tensor => tensor.Type));
        Assert.Empty(plan.FindRequantized(source));
        Assert.Equal(GgufTensorType.F16, QuantizationPlan.Create(source, QuantizationMix.Find("Q4_0")!, GgufTensorType.F16).Tensors[3].Type);
        using var target = Write(source, "Q4_0");
        using var written = GgufFile.Open(target.Path);
        Assert.Equal([32L, 2, 3], written.GetTensor("experts.weight").Dimensions);
    }

    // The same tensors as 2 experts of half the rows: llama-quantize gives MXFP4 to nothing else.
    [Fact]
    public void No_more_is_lost_of_experts_than_llama_quantize_loses()
    {
        var truth = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "quantization-errors.json")))!["MXFP4"]!.AsObject();
        using var model = GgufFile.Open(TestFiles.DefaultModel);
        var bytes = File.ReadAllBytes(TestFiles.DefaultModel);
        var writer = new GgufWriter();
        foreach (var (name, _) in truth)
        {
            var tensor = model.GetTensor(name);
            writer.AddTensor(name, [tensor.RowLength, tensor.RowCount / 2, 2], tensor.Type, bytes.AsSpan((int)tensor.OffsetBytes, (int)tensor.SizeBytes).ToArray());
        }

        using var file = new TemporaryGguf(writer.ToArray());
        using var source = GgufFile.Open(file.Path);
        var written = new List<QuantizedTensor>();
        ModelQuantizer.Write(source, QuantizationPlan.Create(source, QuantizationMix.Find("MXFP4_MOE")!), Stream.Null, written.Add, TestContext.Current.CancellationToken);

        foreach (var (name, error) in truth)
        {
            var tensor = written.Single(tensor => tensor.After.Name == name);
            Assert.Equal(GgufTensorType.MXFP4, tensor.After.Type);
            Assert.InRange(tensor.RelativeError, 0, error!.GetValue<double>());
        }
    }

    // What llama-quantize (b11434) gives the tensors of a model with experts, and with 2 or 4 heads that share one of the values.
    [Theory]
    [InlineData("MXFP4_MOE", 4u, GgufTensorType.Q8_0, GgufTensorType.Q8_0, GgufTensorType.MXFP4, GgufTensorType.Q8_0)]
    [InlineData("IQ4_NL", 4u, GgufTensorType.IQ4_NL, GgufTensorType.Q5_K, GgufTensorType.Q5_K, GgufTensorType.Q6_K)]
    [InlineData("IQ4_NL", 2u, GgufTensorType.IQ4_NL, GgufTensorType.IQ4_NL, GgufTensorType.Q5_K, GgufTensorType.Q6_K)]
    public void Experts_and_shared_values_have_rules_of_their_own(
        string mix, uint heads, GgufTensorType query, GgufTensorType value, GgufTensorType down, GgufTensorType output)
    {
        var writer = new GgufWriter().Add("general.architecture", "x").Add("x.attention.head_count", heads).Add("x.attention.head_count_kv", 1u);
        foreach (var (name, dimensions) in (ReadOnlySpan<(string, long[])>)[
            ("output.weight", [256, 1]), ("blk.0.attn_q.weight", [256, 1]), ("blk.0.attn_v.weight", [256, 1]), ("blk.0.ffn_down_exps.weight", [256, 1, 2]),
            ("blk.0.ffn_gate_inp.weight", [256, 2]), ("blk.0.ssm_conv1d.weight", [32, 2]), ("blk.7.attn_norm.weight", [256, 1])])
            writer.AddTensor(name, dimensions, GgufTensorType.F32, new float[dimensions.Aggregate(1, static (product, length) => product * (int)length)]);
        using var file = new TemporaryGguf(writer.ToArray());
        using var source = GgufFile.Open(file.Path);

        Assert.Equal(
            [output, query, value, down, GgufTensorType.F32, GgufTensorType.F32, GgufTensorType.F32],
            QuantizationPlan.Create(source, QuantizationMix.Find(mix)!).Tensors.Select(static tensor => tensor.Type));
    }

    // The layers to which llama-quantize (b11434) gives the better type in SmolLM2-135M, or the next type with blocks of 32.
    [Theory]
    [InlineData("Q4_K_M", "attn_v", GgufTensorType.Q6_K, new[] { 0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29 })]
    [InlineData("Q4_K_M", "ffn_down", GgufTensorType.Q6_K, new[] { 0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29 })]
    [InlineData("Q5_K_M", "ffn_down", GgufTensorType.Q6_K, new[] { 0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29 })]
    [InlineData("Q4_K_S", "attn_v", GgufTensorType.Q5_K, new[] { 0, 1, 2, 3 })]
    [InlineData("Q4_K_S", "ffn_down", GgufTensorType.Q5_K, new[] { 0, 1, 2 })]
    [InlineData("Q4_K_M", "attn_q", GgufTensorType.Q6_K, new int[0])]
    public void Mixes_give_some_layers_a_better_type(string mix, string tensor, GgufTensorType better, int[] layers)
    {
        var writer = new GgufWriter();
        for (var layer = 0; layer < 30; layer++) writer.AddTensor($"blk.{layer}.{tensor}.weight", [256, 1], GgufTensorType.F32, new float[256]);
        using var file = new TemporaryGguf(writer.AddTensor("token_embd.weight", [256, 1], GgufTensorType.F32, new float[256])
            .AddTensor("output.weight", [256, 1], GgufTensorType.F32, new float[256]).ToArray());
        using var source = GgufFile.Open(file.Path);
        var plan = QuantizationPlan.Create(source, QuantizationMix.Find(mix)!);

        Assert.Equal(layers, Enumerable.Range(0, 30).Where(layer => plan.Tensors[layer].Type == better));
        Assert.Equal(mix.StartsWith("Q4", StringComparison.Ordinal) ? GgufTensorType.Q4_K : GgufTensorType.Q5_K, plan.Tensors[30].Type);
        Assert.Equal(GgufTensorType.Q6_K, plan.Tensors[31].Type);
    }

    [Theory]
    [InlineData("Q4_K_S", GgufTensorType.Q5_0)]
    [InlineData("Q5_K_S", GgufTensorType.Q5_1)]
    [InlineData("Q6_K", GgufTensorType.Q8_0)]
    public void Rows_that_are_no_whole_super_blocks_get_the_next_type(string mix, GgufTensorType type)
    {
        using var file = new TemporaryGguf(new GgufWriter().AddTensor("a.weight", [288, 2], GgufTensorType.F32, new float[576]).AddTensor("b.weight", [33, 2], GgufTensorType.F32, new float[66]).ToArray());
        using var source = GgufFile.Open(file.Path);

        Assert.Equal([type, GgufTensorType.F32], QuantizationPlan.Create(source, QuantizationMix.Find(mix)!).Tensors.Select(static tensor => tensor.Type));
    }

    [Fact]
    public void A_cancelled_run_ends()
    {
        using var source = GgufFile.Open(TestFiles.DefaultModel);

        Assert.ThrowsAny<OperationCanceledException>(() =>
            ModelQuantizer.Write(source, QuantizationPlan.Create(source, QuantizationMix.Find("Q4_0")!), Stream.Null, null, new CancellationToken(canceled: true)));
    }

    private static async Task<string> AnswerAsync(InferenceEngine engine)
    {
        var question = TruthCase.All.Single(static entry => entry.Name == "capital");
        var sink = new CollectingSink();
        Assert.NotNull(engine.TrySubmit(
            new GenerationRequest { PromptTokens = question.Tokens, MaxTokens = 12, Sampling = new SamplingParameters { Temperature = 0 } }, sink));
        Assert.Equal("completed", await sink.Ended);
        return sink.Text();
    }

    // Some tensors of the shipped model, as they are.
    private static TemporaryGguf Excerpt(IEnumerable<string> names)
    {
        using var model = GgufFile.Open(TestFiles.DefaultModel);
        var bytes = File.ReadAllBytes(TestFiles.DefaultModel);
        var writer = new GgufWriter();
        foreach (var tensor in names.Select(model.GetTensor))
            writer.AddTensor(tensor.Name, tensor.Dimensions, tensor.Type, bytes.AsSpan((int)tensor.OffsetBytes, (int)tensor.SizeBytes).ToArray());
        return new TemporaryGguf(writer.ToArray());
    }

    private static TemporaryGguf Write(GgufFile source, string type)
    {
        using var stream = new MemoryStream();
        ModelQuantizer.Write(source, QuantizationPlan.Create(source, QuantizationMix.Find(type)!), stream, null, TestContext.Current.CancellationToken);
        return new TemporaryGguf(stream.ToArray());
    }
}
