using Sluice.Inference.Gguf;

namespace Sluice.Inference.Sampling;

/// <summary>
/// What the makers of a model recommend: the keys <c>general.sampling.*</c> of its file, as llama.cpp's converter writes them. A file without
/// any of them gets the values of its family, if the table knows it.
/// </summary>
internal static class RecommendedSampling
{
    private const double TemperatureMax = 2;
    private const int TopKMax = 1_000_000;
    private const double RepetitionPenaltyMax = 10;

    /// <summary>The first family all of whose words are in the model's names counts.</summary>
    private static readonly Family[] s_families =
    [
        // Model cards of HuggingFaceTB/SmolLM2-*-Instruct, "How to use".
        new(["smollm2"], new SamplingDefaults { Temperature = 0.2, TopP = 0.9 }),
        // Model cards of Qwen/Qwen3-*-Instruct-2507, "Best Practices".
        new(["qwen3", "instruct"], new SamplingDefaults { Temperature = 0.7, TopP = 0.8, TopK = 20, MinP = 0 }),
        // Model cards of Qwen/Qwen3-*, "Best Practices": thinking is their default.
        new(["qwen3"], new SamplingDefaults { Temperature = 0.6, TopP = 0.95, TopK = 20, MinP = 0 }),
        // generation_config.json of Qwen/Qwen2.5-*-Instruct, without the penalty, which differs by size and harms tool calls.
        new(["qwen2.5", "instruct"], new SamplingDefaults { Temperature = 0.7, TopP = 0.8, TopK = 20 }),
        // generation_config.json of meta-llama/Llama-3.*-Instruct.
        new(["llama-3", "instruct"], new SamplingDefaults { Temperature = 0.6, TopP = 0.9 }),
    ];

    /// <summary>Reads the keys of a file; a value outside its range counts as absent.</summary>
    /// <param name="metadata">The file's.</param>
    /// <param name="path">The file's, whose name tells the family where the keys don't.</param>
    /// <exception cref="GgufException">A key has another type.</exception>
    public static SamplingDefaults Of(GgufMetadata metadata, string path)
    {
        SamplingDefaults own = new()
        {
            Temperature = Number(metadata, "temp", 0, TemperatureMax),
            TopP = Number(metadata, "top_p", 0, 1),
            TopK = (int?)Number(metadata, "top_k", 0, TopKMax),
            MinP = Number(metadata, "min_p", 0, 1),
            RepetitionPenalty = Number(metadata, "penalty_repeat", double.Epsilon, RepetitionPenaltyMax),
        };
        return own != SamplingDefaults.None ? own : OfFamily(metadata, path);
    }

    // A file without a chat template is a base model, for which nothing is recommended.
    private static SamplingDefaults OfFamily(GgufMetadata metadata, string path)
    {
        if (!metadata.Contains("tokenizer.chat_template"))
        {
            return SamplingDefaults.None;
        }

        string names = string.Join(' ', metadata.FindString("general.basename"), metadata.FindString("general.name"), Path.GetFileName(path))
            .ToLowerInvariant().Replace(' ', '-');
        return s_families.FirstOrDefault(family => family.Words.All(word => names.Contains(word, StringComparison.Ordinal)))?.Defaults
            ?? SamplingDefaults.None;
    }

    private static double? Number(GgufMetadata metadata, string name, double min, double max)
    {
        string key = "general.sampling." + name;
        return metadata.Contains(key) && metadata.GetNumber(key) is var number && number >= min && number <= max ? number : null;
    }

    private sealed record Family(string[] Words, SamplingDefaults Defaults);
}
