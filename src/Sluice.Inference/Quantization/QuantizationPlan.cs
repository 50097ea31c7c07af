using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>Which tensors of a model get which type.</summary>
public sealed class QuantizationPlan
{
    private const string EmbeddingName = "token_embd.weight";
    private const string OutputName = "output.weight";

    private QuantizationPlan(GgufTensorType type, IReadOnlyList<GgufTensor> tensors) => (Type, Tensors) = (type, tensors);

    /// <summary>Type of the matrices.</summary>
    public GgufTensorType Type { get; }

    /// <summary>Every tensor as it will be, in the file's order; the offsets are the source's.</summary>
    public IReadOnlyList<GgufTensor> Tensors { get; }

    /// <summary>Bytes of all tensors as they will be.</summary>
    public long SizeBytes => Tensors.Sum(static tensor => tensor.SizeBytes);

    /// <summary>The types that matrices can be given.</summary>
    public static IReadOnlyList<GgufTensorType> Types { get; } =
    [
        GgufTensorType.Q4_0, GgufTensorType.Q4_1, GgufTensorType.Q5_0, GgufTensorType.Q5_1, GgufTensorType.Q8_0,
        GgufTensorType.F16, GgufTensorType.BF16, GgufTensorType.F32,
    ];

    /// <summary>
    /// Plans a file: matrices get the type; what has one dimension, such as norms and biases, and rows that are no whole number of blocks stay
    /// as they are. The matrix that gives the probabilities decides between tokens that are nearly alike, so it gets at least 8 bits.
    /// </summary>
    /// <param name="source">The model.</param>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <param name="outputType">For the output matrix, which in many models is that of the embeddings; null is the rule above.</param>
    public static QuantizationPlan Create(GgufFile source, GgufTensorType type, GgufTensorType? outputType = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        var output = source.Tensors.ContainsKey(OutputName) ? OutputName : EmbeddingName;
        var tensors = source.Tensors.Values.OrderBy(static tensor => tensor.OffsetBytes).Select(tensor =>
        {
            var wanted = tensor.Name == output ? outputType ?? AtLeastEightBits(type) : type;
            var isKept = tensor.Dimensions.Count < 2 || tensor.RowLength % GgufTensorTypes.BlockElements(wanted) != 0;
            return isKept || wanted == tensor.Type ? tensor : tensor with { Type = wanted, SizeBytes = SizeOf(tensor, wanted) };
        });
        return new QuantizationPlan(type, [.. tensors]);
    }

    /// <summary>Tensors of the source that are quantised already and would be quantised anew: they lose precision a second time.</summary>
    public IEnumerable<GgufTensor> FindRequantized(GgufFile source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Tensors.Where(tensor => source.GetTensor(tensor.Name) is { Type: var before }
            && before != tensor.Type && GgufTensorTypes.BlockElements(before) > 1 && GgufTensorTypes.BlockElements(tensor.Type) > 1);
    }

    /// <summary>The number for <c>general.file_type</c>, as llama.cpp's <c>llama_ftype</c> has it.</summary>
    internal byte FileType => Type switch
    {
        GgufTensorType.F32 => 0,
        GgufTensorType.F16 => 1,
        GgufTensorType.Q4_0 => 2,
        GgufTensorType.Q4_1 => 3,
        GgufTensorType.Q8_0 => 7,
        GgufTensorType.Q5_0 => 8,
        GgufTensorType.Q5_1 => 9,
        GgufTensorType.BF16 => 32,
        _ => throw new InvalidOperationException($"{Type} is no type that is written."),
    };

    private static GgufTensorType AtLeastEightBits(GgufTensorType type) =>
        type is GgufTensorType.Q4_0 or GgufTensorType.Q4_1 or GgufTensorType.Q5_0 or GgufTensorType.Q5_1 ? GgufTensorType.Q8_0 : type;

    private static long SizeOf(GgufTensor tensor, GgufTensorType type) =>
        tensor.RowLength / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type) * tensor.RowCount;
}
