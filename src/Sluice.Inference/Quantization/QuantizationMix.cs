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
    private readonly bool _isMedium;

    private QuantizationMix(string name, byte fileType, GgufTensorType type, GgufTensorType? betterType = null, bool isMedium = false)
    {
        (Name, FileType, _type, _betterType, _isMedium) = (name, fileType, type, betterType ?? type, isMedium);
        OutputType = type switch
        {
            GgufTensorType.Q4_0 or GgufTensorType.Q4_1 or GgufTensorType.Q5_0 or GgufTensorType.Q5_1 => GgufTensorType.Q8_0,
            GgufTensorType.Q4_K or GgufTensorType.Q5_K => GgufTensorType.Q6_K,
            _ => type,
        };
    }

    /// <summary>Every mix.</summary>
    public static IReadOnlyList<QuantizationMix> All { get; } =
    [
        new("Q4_0", 2, GgufTensorType.Q4_0),
        new("Q4_1", 3, GgufTensorType.Q4_1),
        new("Q4_K_S", 14, GgufTensorType.Q4_K, GgufTensorType.Q5_K),
        new("Q4_K_M", 15, GgufTensorType.Q4_K, GgufTensorType.Q6_K, isMedium: true),
        new("Q5_0", 8, GgufTensorType.Q5_0),
        new("Q5_1", 9, GgufTensorType.Q5_1),
        new("Q5_K_S", 16, GgufTensorType.Q5_K),
        new("Q5_K_M", 17, GgufTensorType.Q5_K, GgufTensorType.Q6_K, isMedium: true),
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
    /// <param name="name">The tensor.</param>
    /// <param name="layer">Its layer; null for one that belongs to none.</param>
    /// <param name="layerCount">Layers of the model.</param>
    internal GgufTensorType TypeOf(string name, int? layer, int layerCount)
    {
        if (layer is not { } index || _betterType == _type) return _type;
        var isValue = name.EndsWith(".attn_v.weight", StringComparison.Ordinal);
        if (!isValue && !name.EndsWith(".ffn_down.weight", StringComparison.Ordinal)) return _type;
        var eighth = layerCount / 8;
        var isBetter = _isMedium
            ? index < eighth || index >= 7 * layerCount / 8 || (index - eighth) % 3 == 2
            : index < (isValue ? 4 : eighth);
        return isBetter ? _betterType : _type;
    }
}
