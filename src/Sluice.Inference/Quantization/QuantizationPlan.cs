using System.Globalization;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>Which tensors of a model get which type.</summary>
public sealed class QuantizationPlan
{
    private const string EmbeddingName = "token_embd.weight";
    private const string OutputName = "output.weight";

    private static readonly string[] s_delicate =
    [
        "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "ssm_conv1d", "shortconv.conv", "per_layer_model_proj",
    ];

    private QuantizationPlan(QuantizationMix mix, IReadOnlyList<GgufTensor> tensors) => (Mix, Tensors) = (mix, tensors);

    /// <summary>What was asked for.</summary>
    public QuantizationMix Mix { get; }

    /// <summary>Every tensor as it will be, in the file's order; the offsets are the source's.</summary>
    public IReadOnlyList<GgufTensor> Tensors { get; }

    /// <summary>Bytes of all tensors as they will be.</summary>
    public long SizeBytes => Tensors.Sum(static tensor => tensor.SizeBytes);

    /// <summary>
    /// Plans a file: matrices get the types of the mix, and where their rows are no whole number of super-blocks the type with blocks of 32 that
    /// comes next. What has one dimension, such as norms and biases, what chooses experts or is a short filter, and rows that
    /// are no whole number of blocks stay as they are.
    /// </summary>
    /// <param name="source">The model.</param>
    /// <param name="mix">The types.</param>
    /// <param name="outputType">For the output matrix, which in many models is that of the embeddings; null is the mix's own.</param>
    public static QuantizationPlan Create(GgufFile source, QuantizationMix mix, GgufTensorType? outputType = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(mix);
        var output = source.Tensors.ContainsKey(OutputName) ? OutputName : EmbeddingName;
        var shape = new ModelShape(
            source.Tensors.Keys.Select(static name => LayerOf(name) ?? -1).DefaultIfEmpty(-1).Max() + 1, HeadsPerValue(source.Metadata));
        var tensors = source.Tensors.Values.OrderBy(static tensor => tensor.Shard).ThenBy(static tensor => tensor.OffsetBytes).Select(tensor =>
        {
            var wanted = tensor.Name == output ? outputType ?? mix.OutputType : mix.TypeOf(tensor, LayerOf(tensor.Name), shape);
            if (tensor.RowLength % GgufTensorTypes.BlockElements(wanted) != 0) wanted = WithoutSuperBlocks(wanted);
            var isKept = tensor.Dimensions.Count < 2 || IsDelicate(tensor.Name) || tensor.RowLength % GgufTensorTypes.BlockElements(wanted) != 0;
            return isKept || wanted == tensor.Type ? tensor : tensor with { Type = wanted, SizeBytes = SizeOf(tensor, wanted) };
        });
        return new QuantizationPlan(mix, [.. tensors]);
    }

    /// <summary>Tensors of the source that are quantised already and would be quantised anew: they lose precision a second time.</summary>
    public IEnumerable<GgufTensor> FindRequantized(GgufFile source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Tensors.Where(tensor => source.GetTensor(tensor.Name) is { Type: var before }
            && before != tensor.Type && GgufTensorTypes.BlockElements(before) > 1 && GgufTensorTypes.BlockElements(tensor.Type) > 1);
    }

    // As llama-quantize does: small, and an error in them is felt everywhere.
    private static bool IsDelicate(string name) =>
        !name.EndsWith("weight", StringComparison.Ordinal) || name.EndsWith("_norm.weight", StringComparison.Ordinal)
        || s_delicate.Any(part => name.Contains(part, StringComparison.Ordinal));

    private static int HeadsPerValue(GgufMetadata metadata)
    {
        const string Heads = "head_count";
        var prefix = metadata.FindString("general.architecture") + ".attention.";
        if (!metadata.Contains(prefix + Heads) || !metadata.Contains(prefix + Heads + "_kv")) return 1;
        var values = metadata.GetIntegerAt(prefix + Heads + "_kv", 0);
        return values > 0 ? (int)(metadata.GetIntegerAt(prefix + Heads, 0) / values) : 1;
    }

    // As llama-quantize does: the next type with more bits and blocks of 32.
    private static GgufTensorType WithoutSuperBlocks(GgufTensorType type) => type switch
    {
        GgufTensorType.Q4_K => GgufTensorType.Q5_0,
        GgufTensorType.Q5_K => GgufTensorType.Q5_1,
        GgufTensorType.Q6_K => GgufTensorType.Q8_0,
        _ => type,
    };

    // blk.N.name
    private static int? LayerOf(string name) =>
        name.Split('.') is ["blk", var number, ..] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var layer) ? layer : null;

    private static long SizeOf(GgufTensor tensor, GgufTensorType type) =>
        tensor.RowLength / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type) * tensor.RowCount;
}
