using Sluice.Inference.Architectures;
using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Transformer;

/// <summary>
/// All weights of a model, repacked, and the embedding as the file has it where it isn't the output matrix too. Nothing is read from the file afterwards: one that is cut short or
/// written anew in its place would end the process, or change what a running answer means.
/// </summary>
internal sealed unsafe class TransformerWeights : IDisposable
{
    private const string EmbeddingName = "token_embd.weight";
    private const string HeadName = "output.weight";

    private readonly GgufFile _file;
    private readonly GgufTensor _embedding;
    private readonly byte* _embeddingRows;
    private readonly long _embeddingRowBytes;
    private readonly WeightArena? _arena;

    /// <exception cref="GgufException">A tensor is missing, has another shape than the plan says, or isn't in the plan.</exception>
    /// <exception cref="OutOfMemoryException">The weights do not fit into memory.</exception>
    public TransformerWeights(GgufFile file, ModelPlan plan)
        : this(file, plan, new WeightArena(EstimateBytes(file)))
    {
    }

    private TransformerWeights(GgufFile file, ModelPlan plan, WeightArena? arena)
    {
        _file = file;
        _arena = arena;
        _embedding = file.GetTensor(EmbeddingName);
        if (_embedding.RowLength != plan.EmbeddingLength || _embedding.RowCount is < 1 or > int.MaxValue)
        {
            throw new GgufException(
                $"{file.Path}: tensor '{_embedding.Name}': expected rows of {plan.EmbeddingLength} values, found {_embedding.RowLength} x {_embedding.RowCount}.");
        }

        VocabularySize = (int)_embedding.RowCount;
        _embeddingRowBytes = _embedding.SizeBytes / _embedding.RowCount;
        try
        {
            bool isTied = plan.WritesText && !file.Tensors.ContainsKey(HeadName);
            _embeddingRows = arena == null || isTied ? null : CopyEmbedding(arena);
            var reader = new WeightReader(file, arena);
            reader.MarkRead(_embedding.Name);
            PositionTable = plan.HasPositionTable ? reader.Table("position_embd.weight", plan.ContextLength, plan.EmbeddingLength) : null;
            TokenType = plan.HasTokenTypes ? reader.Table("token_types.weight", 1, plan.EmbeddingLength) : null;
            if (plan.PerLayerLength > 0)
            {
                PerLayer = new PerLayerTable(file, reader, arena, plan, VocabularySize);
            }

            EmbeddingNorm = reader.Norm(plan.EmbeddingNorm, plan.EmbeddingLength);
            var layers = new LayerReader(reader, plan);
            Layers = [.. plan.Layers.Select(layers.Read)];
            OutputNorm = reader.Norm(plan.OutputNorm, plan.EmbeddingLength);
            if (plan.WritesText)
            {
                Head = reader.Matrix(file.Tensors.ContainsKey(HeadName) ? HeadName : _embedding.Name, VocabularySize, plan.EmbeddingLength);
            }

            else
            {
                PooledLayers = ReadPooledLayers(reader, plan);

                // Some files have it all the same.
                reader.MarkRead(HeadName);
            }

            RopeDivisors = [.. plan.Ropes.Select(rope => ReadDivisors(reader, rope))];
            SizeBytes = reader.SizeBytes;
            TensorRules.CheckAllRead(reader, plan);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int VocabularySize { get; }

    public LayerWeights[] Layers { get; } = [];

    /// <summary>(ContextLength, EmbeddingLength): added to the embeddings; null for none.</summary>
    public float* PositionTable { get; }

    /// <summary>(EmbeddingLength): added to every embedding; null for none.</summary>
    public float* TokenType { get; }

    /// <summary>What tokens have of their own in each layer, or null.</summary>
    public PerLayerTable? PerLayer { get; }

    /// <summary>What follows pooling.</summary>
    public PooledLayerWeights[] PooledLayers { get; } = [];

    /// <summary>(EmbeddingLength), or none.</summary>
    public NormWeights EmbeddingNorm { get; }

    /// <summary>(EmbeddingLength), or none.</summary>
    public NormWeights OutputNorm { get; }

    /// <summary>(VocabularySize, EmbeddingLength); the embedding again when the file has no output matrix. Null for a model that writes no text.</summary>
    public PackedMatrix? Head { get; }

    /// <summary>Divisors of the rotary frequencies, or null, for each way to turn.</summary>
    public float[]?[] RopeDivisors { get; } = [];

    /// <summary>Of what a step reads all of: everything but the embedding.</summary>
    public long SizeBytes { get; }

    /// <summary>Of everything.</summary>
    public long MemoryBytes => SizeBytes + (_embeddingRows == null ? 0 : _embedding.SizeBytes) + (PerLayer?.TableBytes ?? 0);

    /// <summary>Bytes that a file's weights take when they are repacked, to within the padding of rows.</summary>
    public static long EstimateBytes(GgufFile file) => file.Tensors.Values.Sum(PackedMatrices.SizeBytes);

    /// <summary>Checks a file's tensors without reading them.</summary>
    /// <exception cref="GgufException">A tensor is missing, has another shape than the plan says, or isn't in the plan.</exception>
    public static void Check(GgufFile file, ModelPlan plan)
    {
        using var weights = new TransformerWeights(file, plan, arena: null);
    }

    /// <summary>Writes the embedding of a token: <see cref="ModelPlan.EmbeddingLength"/> floats.</summary>
    public void ReadEmbedding(int token, float* destination)
    {
        if (_embeddingRows == null)
        {
            Head!.ReadRow(token, destination);
            return;
        }

        RowReader.Read(_embedding.Type, _embeddingRows + (token * _embeddingRowBytes), destination, _embedding.RowLength);
    }

    public void Dispose() => _arena?.Dispose();

    private byte* CopyEmbedding(WeightArena arena)
    {
        byte* rows = (byte*)arena.Take(_embedding.SizeBytes);
        Buffer.MemoryCopy(_file.GetPointer(_embedding), rows, _embedding.SizeBytes, _embedding.SizeBytes);
        return rows;
    }

    private static PooledLayerWeights[] ReadPooledLayers(WeightReader reader, ModelPlan plan)
    {
        var layers = new PooledLayerWeights[plan.PooledLayers.Count];
        int inputs = plan.EmbeddingLength;
        for (int i = 0; i < layers.Length; i++)
        {
            PooledLayerPlan layer = plan.PooledLayers[i];
            PackedMatrix matrix = reader.Matrix(layer.Name + ".weight", layer.Outputs, inputs);
            layers[i] = new PooledLayerWeights(matrix, reader.FindVector(layer.Name + ".bias", layer.Outputs), layer.HasTanh);
            inputs = layer.Outputs;
        }

        return layers;
    }

    private static float[]? ReadDivisors(WeightReader reader, RopeConfig rope)
    {
        if (rope.Divisors is not { } name || !reader.Has(name))
        {
            return null;
        }

        float* divisors = reader.Vector(name, rope.DimensionCount / 2);
        return divisors == null ? null : new ReadOnlySpan<float>(divisors, rope.DimensionCount / 2).ToArray();
    }
}
