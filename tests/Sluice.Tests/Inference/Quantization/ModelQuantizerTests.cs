using System.Text.Json.Nodes;
using Sluice.Inference.Generation;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Inference.Sampling;
using Sluice.Testing;
using Sluice.Tests.Inference.Generation;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Inference.Truth;
using Xunit;

namespace Sluice.Tests.Inference.Quantization;

[Collection(ShippedModel.Collection)]
public sealed class ModelQuantizerTests(ShippedModel shipped)
{
    // Data/quantization-errors.json: what llama-quantize loses of the same weights.
    [Theory]
    [InlineData(GgufTensorType.Q4_0)]
    [InlineData(GgufTensorType.Q4_1)]
    [InlineData(GgufTensorType.Q5_0)]
    [InlineData(GgufTensorType.Q5_1)]
    [InlineData(GgufTensorType.Q8_0)]
    public void No_more_is_lost_than_llama_quantize_loses(GgufTensorType type)
    {
        var truth = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "quantization-errors.json")))![type.ToString()]!.AsObject();
        using var file = Excerpt(truth.Select(static entry => entry.Key));
        using var source = GgufFile.Open(file.Path);
        var written = new List<QuantizedTensor>();
        ModelQuantizer.Write(source, QuantizationPlan.Create(source, type), Stream.Null, written.Add, TestContext.Current.CancellationToken);

        Assert.Equal(source.Tensors.Count, written.Count);
        foreach (var (name, error) in truth)
        {
            Assert.InRange(written.Single(tensor => tensor.After.Name == name).RelativeError, 0, error!.GetValue<double>());
        }
    }

    [Fact]
    public async Task Types_change_and_a_type_that_holds_the_old_integers_gives_the_same_answer()
    {
        using var source = GgufFile.Open(TestFiles.DefaultModel);
        using var file = Write(source, GgufTensorType.Q5_1);
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
        using var target = Write(source, GgufTensorType.Q8_0);
        using var written = GgufFile.Open(target.Path);

        Assert.Equal(7, written.Metadata.GetInteger("general.file_type"));
        Assert.Equal(2, written.Metadata.GetInteger("general.quantization_version"));
        Assert.Equal("x", written.Metadata.GetString("general.architecture"));
    }

    [Theory]
    [InlineData(float.NaN, GgufTensorType.Q8_0)]
    [InlineData(float.PositiveInfinity, GgufTensorType.Q4_0)]
    [InlineData(70_000f, GgufTensorType.F16)]
    [InlineData(-70_000f, GgufTensorType.Q4_1)]
    public void Values_that_the_type_cannot_hold_are_refused_by_name(float value, GgufTensorType type)
    {
        var values = new float[64];
        values[40] = value;
        using var file = new TemporaryGguf(new GgufWriter().AddTensor("a.weight", [32, 2], GgufTensorType.F32, values).ToArray());
        using var source = GgufFile.Open(file.Path);

        var error = Assert.Throws<GgufException>(() => ModelQuantizer.Write(source, QuantizationPlan.Create(source, type), Stream.Null, null, CancellationToken.None));
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

        var plan = QuantizationPlan.Create(source, GgufTensorType.Q4_0);
        Assert.Equal(
            [GgufTensorType.F32, GgufTensorType.F32, GgufTensorType.Q4_0, GgufTensorType.Q8_0],
            plan.Tensors.Select(static tensor => tensor.Type));
        Assert.Empty(plan.FindRequantized(source));
        Assert.Equal(GgufTensorType.F16, QuantizationPlan.Create(source, GgufTensorType.Q4_0, GgufTensorType.F16).Tensors[3].Type);
        using var target = Write(source, GgufTensorType.Q4_0);
        using var written = GgufFile.Open(target.Path);
        Assert.Equal([32L, 2, 3], written.GetTensor("experts.weight").Dimensions);
    }

    [Fact]
    public void A_cancelled_run_ends()
    {
        using var source = GgufFile.Open(TestFiles.DefaultModel);

        Assert.ThrowsAny<OperationCanceledException>(() =>
            ModelQuantizer.Write(source, QuantizationPlan.Create(source, GgufTensorType.Q4_0), Stream.Null, null, new CancellationToken(canceled: true)));
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

    private static TemporaryGguf Write(GgufFile source, GgufTensorType type)
    {
        using var stream = new MemoryStream();
        ModelQuantizer.Write(source, QuantizationPlan.Create(source, type), stream, null, TestContext.Current.CancellationToken);
        return new TemporaryGguf(stream.ToArray());
    }
}
