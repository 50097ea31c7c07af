using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Which types the matrices of a model get, under the name that the field knows: one type for all, or with S and M a better one where precision
/// matters most, by the rules of llama-quantize for models of the llama family.
/// </summary>
public sealed class QuantizationMix
{
    private readonly GgufTensorType _type;
    private readonly GgufTensorType _betterType;
    private readonly Rule _rule;

    private QuantizationMix(string name, byte fileType, GgufTensorType type, GgufTensorType? betterType = null, Rule rule = Rule.Same)
    {
        (Name, FileType, _type, _betterType, _rule) = (name, fileType, type, betterType ?? type, rule);
        OutputType = type switch
        {
            GgufTensorType.Q4_0 or GgufTensorType.Q4_1 or GgufTensorType.Q5_0 or GgufTensorType.Q5_1 => GgufTensorType.Q8_0,
            GgufTensorType.Q4_K or GgufTensorType.Q5_K or GgufTensorType.IQ4_NL => GgufTensorType.Q6_K,
            GgufTensorType.MXFP4 => GgufTensorType.Q8_0,
            _ => type,
        };
    }

    private enum Rule
    {
        /// <summary>One type for all.</summary>
        Same,

        /// <summary>The better one for values and the end of the feed-forward part in the first layers.</summary>
        Small,

        /// <summary>The better one for these in the first and last layers and every third between.</summary>
        Medium,

        /// <summary>The better one for the end of the feed-forward part in the first layers, and for values that four heads or more share.</summary>
        NonLinear,

        /// <summary>The type for experts, the better one for the rest.</summary>
        Experts,
    }

    /// <summary>Every mix.</summary>
    public static IReadOnlyList<QuantizationMix> All { get; } =
    [
        new("Q4_0", 2, GgufTensorType.Q4_0),
        new("Q4_1", 3, GgufTensorType.Q4_1),
        new("Q4_K_S", 14, GgufTensorType.Q4_K, GgufTensorType.Q5_K, Rule.Small),
        new("Q4_K_M", 15, GgufTensorType.Q4_K, GgufTensorType.Q6_K, Rule.Medium),
        new("IQ4_NL", 25, GgufTensorType.IQ4_NL, GgufTensorType.Q5_K, Rule.NonLinear),
        new("MXFP4_MOE", 38, GgufTensorType.MXFP4, GgufTensorType.Q8_0, Rule.Experts),
        new("Q5_0", 8, GgufTensorType.Q5_0),
        new("Q5_1", 9, GgufTensorType.Q5_1),
        new("Q5_K_S", 16, GgufTensorType.Q5_K),
        new("Q5_K_M", 17, GgufTensorType.Q5_K, GgufTensorType.Q6_K, Rule.Medium),
        new("Q6_K", 18, GgufTensorType.Q6_K),
        new("Q8_0", 7, GgufTensorType.Q8_0),
        new("F16", 1, GgufTensorType.F16),
        new("BF16", 32, GgufTensorType.BF16),
        new("F32", 0, GgufTensorType.F32),
    ];

    /// <summary>Types that the output matrix can be given.</summary>
    public static IReadOnlyList<GgufTensorType> Types { get; } = [.. All.Select(static mix => mix._type).Distinct()];

    /// <summary>As in the names of files.</summary>
    public string Name { get; }

    /// <summary>The number for <c>general.file_type</c>, as llama.cpp's <c>llama_ftype</c> has it.</summary>
    internal byte FileType { get; }

    /// <summary>The matrix that gives the probabilities decides between tokens that are nearly alike, so it gets at least 6 bits.</summary>
    internal GgufTensorType OutputType { get; }

    /// <summary>The mix of a name, in any case; null where there is none.</summary>
    public static QuantizationMix? Find(string name) => All.FirstOrDefault(mix => mix.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Type of a matrix that is not the output's.</summary>
    /// <param name="tensor">The matrix.</param>
    /// <param name="layer">Its layer; null for one that belongs to none.</param>
    /// <param name="model">What the rules ask of the whole model.</param>
    internal GgufTensorType TypeOf(GgufTensor tensor, int? layer, ModelShape model)
    {
        if (_rule == Rule.Experts) return tensor.Dimensions.Count > 2 ? _type : _betterType;
        if (layer is not { } index) return _type;
        var isValue = tensor.Name.EndsWith(".attn_v.weight", StringComparison.Ordinal);
        // Also of experts.
        var isDown = tensor.Name.Contains(".ffn_down", StringComparison.Ordinal);
        var eighth = model.LayerCount / 8;
        var isBetter = _rule switch
        {
            Rule.Small => (isValue && index < 4) || (isDown && index < eighth),
            Rule.Medium => (isValue || isDown)
                && (index < eighth || index >= 7 * model.LayerCount / 8 || (index - eighth) % 3 == 2),
            Rule.NonLinear => (isValue && model.HeadsPerValue >= 4) || (isDown && index < eighth),
            _ => false,
        };
        return isBetter ? _betterType : _type;
    }
}

/// <summary>What <see cref="QuantizationMix"/> asks of a model.</summary>
/// <param name="LayerCount">Layers.</param>
/// <param name="HeadsPerValue">Heads of the queries that share one head of the values.</param>
internal readonly record struct ModelShape(int LayerCount, int HeadsPerValue);
