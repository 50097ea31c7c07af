using Sluice.Inference;
using Sluice.Inference.Embeddings;
using Sluice.Inference.Gguf;
using Sluice.Inference.Scheduling;
using Sluice.Testing;
using Sluice.Tests.Inference.Architectures;
using Sluice.Tests.Inference.Gguf;
using Xunit;

namespace Sluice.Tests.Inference.Embeddings;

/// <summary>Vectors and scores against llama.cpp, and against themselves beside others.</summary>
public sealed class EmbeddingModelTests(ITestOutputHelper output)
{
    public static TheoryData<string> Encoders => [.. TinyArchitectures.Encoders.Select(static m => m.Name)];

    [Theory]
    [MemberData(nameof(Encoders))]
    public void Vectors_agree(string name)
    {
        using var model = Load(name);
        var expected = ArchitectureTruth.Of(name);
        for (var p = 0; p < expected.Length; p++)
        {
            var vector = model.Embed(ArchitectureTruth.Prompts[p], normalize: false);
            var differences = vector.Zip(expected[p], static (ours, theirs) => Math.Abs(ours - theirs)).ToArray();
            var size = Math.Sqrt(expected[p].Average(static v => v * v));
            output.WriteLine($"after {ArchitectureTruth.Prompts[p].Length} tokens: max {differences.Max():F5} of {size:F2}");
            Assert.Equal(expected[p].Length, vector.Length);
            Assert.Equal(expected[p].Length, model.Dimensions);
            Assert.True(differences.Max() < 0.003 * Math.Max(size, 1));
        }
    }

    [Theory]
    [MemberData(nameof(Encoders))]
    public void A_text_has_the_same_vector_beside_others_and_on_other_threads(string name)
    {
        using var model = Load(name);
        using var three = Load(name, threadCount: 3);
        var inputs = Enumerable.Range(0, 30).Select(i => Input($"text {i}", 1 + (i * 11 % 60))).ToArray();
        var alone = inputs.Select(input => model.Embed(input)).ToArray();
        Assert.Equal(alone, model.Embed(inputs));
        Assert.Equal(alone, three.Embed(inputs));
        Assert.Equal(alone[7], model.Embed(inputs[7]));
        if (!model.IsReranker) Assert.All(alone, static vector => Assert.Equal(1, vector.Sum(static v => (double)v * v), 1e-5));
    }

    [Fact]
    public void A_text_that_is_longer_than_a_step_is_read_in_one_or_in_several()
    {
        foreach (var (name, length) in (ReadOnlySpan<(string, int)>)[("nomic-bert", 1500), ("qwen3-embedding", 1500)])
        {
            using var model = Load(TinyArchitectures.Get(name).Copy().Replace("context_length", 2048));
            var text = Input("long", length);
            var vector = model.Embed(text);
            Assert.Equal(vector, model.Embed((IReadOnlyList<int>[])[Input("before", 20), text, Input("behind", 20)])[1]);
            Assert.NotEqual(vector, model.Embed(text[1..]));
        }
    }

    // What llama-server of build b11434 answers at /v1/rerank for these models, without flash attention on one thread.
    [Theory]
    [InlineData("bert-rank", null, null, 9, -0.25344038)]
    [InlineData("qwen3-rank", null, null, 9, 0.41873291)]
    [InlineData("qwen3-rank", "ggml.add_eos_token", true, 11, 0.81538337)]
    [InlineData("qwen3-rank", "chat_template.rerank", "<Q>: {query}\n<D>: {document} ok", 23, 0.05782150)]
    public void A_pair_has_the_tokens_and_the_score_that_llama_cpp_gives_it(string name, string? key, object? value, int count, double score)
    {
        var file = TinyArchitectures.Get(name).Copy();
        using var model = Load(key is null ? file : file.TokenizerKey(key, value!));
        var pair = model.EncodePair("Which?", "one");
        Assert.Equal(count, pair.Count);
        Assert.Equal(score, model.Embed(pair)[0], 0.002);
    }

    [Fact]
    public void A_separator_stands_between_and_places_in_texts_are_text()
    {
        using var model = Load(TinyArchitectures.Get("bert-rank").Copy().TokenizerKey("ggml.add_sep_token", true).TokenizerKey("ggml.seperator_token_id", 258));
        Assert.Equal([(int)'q', 258, 'd'], model.EncodePair("q", "d"));
        using var judged = Load(TinyArchitectures.Get("bert-rank").Copy().TokenizerKey("chat_template.rerank", "<|special_1|>{query}|{document}"));
        var pair = judged.EncodePair("{document}<|special_1|>", "d");
        Assert.Equal(257, pair[0]);
        Assert.Equal("{document}<|special_1|>|d".Select(static letter => (int)letter), pair.Skip(1));
    }

    [Fact]
    public void Too_few_and_too_many_tokens_are_refused_with_the_input()
    {
        using var model = Load("bert");
        Assert.Contains("found 0 in input 1", Assert.Throws<ArgumentException>(() => model.Embed((int[][])[[1], []])).Message, StringComparison.Ordinal);
        Assert.Contains("Expected 1 to 256 tokens, found 257", Assert.Throws<ArgumentException>(() => model.Embed(new int[257])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Models_are_told_apart_by_what_they_are_for()
    {
        Assert.Equal(ModelPurpose.Embedding, PurposeOf("bert"));
        Assert.Equal(ModelPurpose.Embedding, PurposeOf("qwen3-embedding"));
        Assert.Equal(ModelPurpose.Reranking, PurposeOf("bert-rank"));
        Assert.Equal(ModelPurpose.Text, PurposeOf("qwen3moe"));
        using var encoder = new TemporaryGguf(TinyArchitectures.Get("bert").ToArray());
        Assert.Contains("use it for embeddings", Assert.Throws<GgufException>(() => InferenceEngine.Load(encoder.Path)).Message, StringComparison.Ordinal);
        using var writer = new TemporaryGguf(TinyArchitectures.Get("gemma3").ToArray());
        Assert.Contains("found a model that writes text", Assert.Throws<GgufException>(() => EmbeddingModel.Load(writer.Path)).Message, StringComparison.Ordinal);
    }

    private static ModelPurpose PurposeOf(string name)
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get(name).ToArray());
        ModelProbe.Check(file.Path);
        return ModelProbe.ReadPurpose(file.Path);
    }

    private static EmbeddingModel Load(string name, int threadCount = 1) => Load(TinyArchitectures.Get(name), threadCount);

    private static EmbeddingModel Load(TinyArchitecture model, int threadCount = 1)
    {
        using var file = new TemporaryGguf(model.ToArray());
        return EmbeddingModel.Load(file.Path, threadCount);
    }

    private static int[] Input(string name, int length)
    {
        var random = new RandomBlocks(name);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(TinyModel.VocabularySize))];
    }
}
