using Sluice.Inference.Gguf;

namespace Sluice.Inference.Transformer;

/// <summary>How query and key pairs turn with their position.</summary>
/// <param name="DimensionCount">Leading values of a head that turn; even.</param>
/// <param name="FrequencyBase">θ; 10,000 when the file says nothing.</param>
/// <param name="Scaling">How positions beyond the trained context are squeezed.</param>
/// <param name="Factor">Scaling factor, 1 for none.</param>
/// <param name="OriginalContextLength">Trained context, for YaRN.</param>
/// <param name="AttentionFactor">Extra magnitude, for YaRN; 1 for none.</param>
internal sealed record RopeConfig(
    int DimensionCount, double FrequencyBase, RopeScaling Scaling, double Factor, int OriginalContextLength, double AttentionFactor)
{
    public static RopeConfig Read(GgufFile file, string architecture, int keyLength, int contextLength)
    {
        GgufMetadata metadata = file.Metadata;
        string prefix = $"{architecture}.rope.";
        long dimensions = metadata.GetInteger(prefix + "dimension_count", keyLength);
        if (dimensions < 2 || dimensions > keyLength || dimensions % 2 != 0)
        {
            throw TransformerConfig.Error(file, prefix + "dimension_count", $"an even number up to {keyLength}", $"{dimensions}");
        }

        string type = metadata.FindString(prefix + "scaling.type") ?? (metadata.Contains(prefix + "scale_linear") ? "linear" : "none");
        RopeScaling scaling = type switch
        {
            "none" => RopeScaling.None,
            "linear" => RopeScaling.Linear,
            "yarn" => RopeScaling.Yarn,
            _ => throw TransformerConfig.Error(file, prefix + "scaling.type", "none, linear or yarn", $"'{type}'"),
        };
        double factor = metadata.GetNumber(prefix + "scaling.factor", metadata.GetNumber(prefix + "scale_linear", 1));
        double frequencyBase = metadata.GetNumber(prefix + "freq_base", 10000);
        double attentionFactor = metadata.GetNumber(prefix + "scaling.attn_factor", 1);
        long originalContextLength = metadata.GetInteger(prefix + "scaling.original_context_length", contextLength);
        CheckRange(file, prefix + "freq_base", frequencyBase, 1.001, 1e12);
        CheckRange(file, prefix + "scaling.factor", factor, 1e-3, 1e6);
        CheckRange(file, prefix + "scaling.attn_factor", attentionFactor, 1e-3, 1e3);
        CheckRange(file, prefix + "scaling.original_context_length", originalContextLength, 1, TransformerLimits.ContextLengthMax);

        return new RopeConfig(
            (int)dimensions,
            frequencyBase,
            scaling,
            factor,
            (int)originalContextLength,
            attentionFactor);
    }

    private static void CheckRange(GgufFile file, string key, double value, double min, double max)
    {
        if (!(value >= min && value <= max))
        {
            throw TransformerConfig.Error(
                file, key, FormattableString.Invariant($"{min} to {max}"), value.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }
}

/// <summary>Ways to stretch rotary positions.</summary>
internal enum RopeScaling
{
    None,
    Linear,
    Yarn,
}
