using System.Globalization;
using Sluice.Inference.Sampling;
using Sluice.Protocol;

namespace Sluice.Server.Configuration;

/// <summary>Reads the <c>defaults</c> of a model: what holds for requests that leave it out.</summary>
internal static class ModelDefaultsSection
{
    private static readonly string[] s_keys = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens"];

    /// <summary>Nothing where the key is absent or wrong, which is reported.</summary>
    public static SamplingDefaults Read(ConfigurationDocument document, ConfigurationSection model)
    {
        if (model.Find("defaults") is not { } node || document.Mapping(node, "'defaults'", s_keys) is not { } section) return SamplingDefaults.None;
        return new SamplingDefaults
        {
            Temperature = Number(document, section, "temperature", 0, 2, "a number from 0 to 2"),
            TopP = Number(document, section, "top_p", 0, 1, "a number from 0 to 1"),
            TopK = (int?)Whole(document, section, "top_k", 0, ProtocolLimits.TopKMax),
            MinP = Number(document, section, "min_p", 0, 1, "a number from 0 to 1"),
            RepetitionPenalty = Number(
                document, section, "repetition_penalty", double.Epsilon, ProtocolLimits.RepetitionPenaltyMax,
                $"a number above 0, up to {ProtocolLimits.RepetitionPenaltyMax}"),
            MaxTokens = (int?)Whole(document, section, "max_tokens", 1, int.MaxValue),
        };
    }

    private static double? Number(ConfigurationDocument document, ConfigurationSection section, string key, double min, double max, string expected)
    {
        if (document.String(section, key) is not var (text, mark)) return null;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return number;
        document.Report(mark, $"'{text}' is not a valid value of '{key}'; expected {expected}");
        return null;
    }

    private static long? Whole(ConfigurationDocument document, ConfigurationSection section, string key, int min, int max)
    {
        if (document.String(section, key) is not var (text, mark)) return null;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return number;
        document.Report(mark, $"'{text}' is not a valid value of '{key}'; expected a whole number from {min} to {max}");
        return null;
    }
}
