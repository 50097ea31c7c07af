using Sluice.Inference.Gguf;
using Sluice.Inference.Sampling;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Sampling;

/// <summary>What a model's makers recommend: by the keys of its file, or by its family.</summary>
public sealed class RecommendedSamplingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-sampling-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_keys_of_the_file_count_alone()
    {
        var file = Instruct("smollm2", "SmolLM2")
            .Add("general.sampling.temp", 0.6f).Add("general.sampling.top_k", 20).Add("general.sampling.top_p", 0.95f)
            .Add("general.sampling.min_p", 0f).Add("general.sampling.penalty_repeat", 1.05f);
        Assert.Equal(
            new SamplingDefaults { Temperature = 0.6f, TopK = 20, TopP = 0.95f, MinP = 0, RepetitionPenalty = 1.05f }, Read(file, "a.gguf"));
    }

    [Fact]
    public void A_single_key_takes_the_place_of_the_family()
    {
        var file = Instruct("smollm2", "SmolLM2").Add("general.sampling.top_p", 0.5f);
        Assert.Equal(new SamplingDefaults { TopP = 0.5 }, Read(file, "a.gguf"));
    }

    [Fact]
    public void A_value_outside_its_range_counts_as_absent()
    {
        var file = Instruct("other", "Other").Add("general.sampling.temp", -1f).Add("general.sampling.top_p", float.NaN).Add("general.sampling.penalty_repeat", 0f);
        Assert.Equal(SamplingDefaults.None, Read(file, "a.gguf"));
    }

    [Fact]
    public void A_key_of_another_type_is_an_error_that_names_it() =>
        Assert.Contains("general.sampling.temp", Assert.Throws<GgufException>(() =>
            Read(Instruct("a", "A").Add("general.sampling.temp", "hot"), "a.gguf")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("smollm2", "Smollm2 135M 8k Lc100K Mix1 Ep2", "x.gguf", 0.2, 0.9, null)]
    [InlineData("Qwen3", "Qwen3 0.6B", "x.gguf", 0.6, 0.95, 20)]
    [InlineData("Qwen3", "Qwen3 4B Instruct 2507", "x.gguf", 0.7, 0.8, 20)]
    [InlineData("qwen2.5", "qwen2.5 0.5b", "qwen2.5-0.5b-instruct-q4_k_m.gguf", 0.7, 0.8, 20)]
    [InlineData("Llama-3.2", "Llama 3.2 1B Instruct", "x.gguf", 0.6, 0.9, null)]
    [InlineData("Mistral", "Mistral 7B Instruct v0.3", "x.gguf", null, null, null)]
    public void A_file_without_the_keys_gets_those_of_its_family(string basename, string name, string file, double? temperature, double? topP, int? topK)
    {
        var found = Read(Instruct(basename, name), file);
        Assert.Equal((temperature, topP, topK), (found.Temperature, found.TopP, found.TopK));
    }

    [Fact]
    public void Nothing_is_recommended_for_a_base_model() =>
        Assert.Equal(SamplingDefaults.None, Read(new GgufWriter().Add("general.name", "SmolLM2 135M"), "a.gguf"));

    [Fact]
    public void The_model_of_the_repository_gets_what_its_card_says()
    {
        using var file = GgufFile.Open(TestFiles.DefaultModel);
        Assert.Equal(new SamplingDefaults { Temperature = 0.2, TopP = 0.9 }, RecommendedSampling.Of(file.Metadata, file.Path));
    }

    [Fact]
    public void What_one_source_leaves_out_comes_from_the_next() => Assert.Equal(
        new SamplingDefaults { Temperature = 0, TopP = 0.9, MaxTokens = 5 },
        new SamplingDefaults { Temperature = 0, MaxTokens = 5 }.Or(new SamplingDefaults { Temperature = 1, TopP = 0.9 }));

    private static GgufWriter Instruct(string basename, string name) => new GgufWriter()
        .Add("general.basename", basename).Add("general.name", name).Add("tokenizer.chat_template", "{{ messages[0].content }}");

    private SamplingDefaults Read(GgufWriter writer, string name)
    {
        var path = Path.Combine(_folder, name);
        writer.Save(path);
        using var file = GgufFile.Open(path);
        return RecommendedSampling.Of(file.Metadata, path);
    }
}
