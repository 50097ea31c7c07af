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
        if (!(factor > 0) || !(frequencyBase > 0))
        {
            throw TransformerConfig.Error(file, prefix + "freq_base", "positive numbers here and in scaling.factor", $"{frequencyBase} and {factor}");
        }

        return new RopeConfig(
            (int)dimensions,
            frequencyBase,
            scaling,
            factor,
            (int)metadata.GetInteger(prefix + "scaling.original_context_length", contextLength),
            metadata.GetNumber(prefix + "scaling.attn_factor", 1));
    }
}

/// <summary>Ways to stretch rotary positions.</summary>
internal enum RopeScaling
{
    None,
    Linear,
    Yarn,
}
