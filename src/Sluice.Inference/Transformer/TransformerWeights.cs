using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Transformer;

/// <summary>
/// All weights of a model, repacked, and the embedding as the file has it. Nothing is read from the file afterwards: one that is cut short or
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
    private readonly WeightArena _arena;
    private readonly HashSet<string> _read = [];

    /// <exception cref="GgufException">A tensor is missing or has another shape than the configuration says.</exception>
    /// <exception cref="OutOfMemoryException">The weights do not fit into memory.</exception>
    public TransformerWeights(GgufFile file, TransformerConfig config)
    {
        _file = file;
        _arena = new WeightArena(EstimateBytes(file));
        _embedding = file.GetTensor(EmbeddingName);
        if (_embedding.RowLength != config.EmbeddingLength || _embedding.RowCount is < 1 or > int.MaxValue)
        {
            throw new GgufException(
                $"{file.Path}: tensor '{_embedding.Name}': expected rows of {config.EmbeddingLength} values, found {_embedding.RowLength} x {_embedding.RowCount}.");
        }

        VocabularySize = (int)_embedding.RowCount;
        _embeddingRowBytes = _embedding.SizeBytes / _embedding.RowCount;
        try
        {
            _embeddingRows = CopyEmbedding();
            Layers = new LayerWeights[config.BlockCount];
            for (int i = 0; i < Layers.Length; i++)
            {
                Layers[i] = ReadLayer(config, i);
            }

            OutputNorm = Vector("output_norm.weight", config.EmbeddingLength);
            string head = file.Tensors.ContainsKey(HeadName) ? HeadName : _embedding.Name;
            Head = Matrix(head, VocabularySize, config.EmbeddingLength);
            if (file.Tensors.TryGetValue("rope_freqs.weight", out GgufTensor? factors))
            {
                MatrixPacker.CheckShape(file, factors, 1, config.Rope.DimensionCount / 2);
                _read.Add(factors.Name);
                RopeDivisors = new float[factors.RowLength];
                fixed (float* target = RopeDivisors)
                {
                    RowReader.Read(factors.Type, file.GetPointer(factors), target, factors.RowLength);
                }
            }

            _read.Add(_embedding.Name);
            if (file.Tensors.Keys.FirstOrDefault(name => !_read.Contains(name)) is { } unknown)
            {
                // A bias or a scale that is left out gives wrong text without a word.
                throw new GgufException(
                    $"{file.Path}: tensor '{unknown}': expected only tensors that architecture '{config.Architecture}' is computed with, found one more.");
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int VocabularySize { get; }

    public LayerWeights[] Layers { get; } = [];

    /// <summary>(EmbeddingLength)</summary>
    public float* OutputNorm { get; }

    /// <summary>(VocabularySize, EmbeddingLength); the embedding again when the file has no output matrix.</summary>
    public PackedMatrix Head { get; } = null!;

    /// <summary>Divisors of the rotary frequencies, or null.</summary>
    public float[]? RopeDivisors { get; }

    /// <summary>Of what a step reads all of: everything but the embedding.</summary>
    public long SizeBytes { get; private set; }

    /// <summary>Of everything.</summary>
    public long MemoryBytes => SizeBytes + _embedding.SizeBytes;

    /// <summary>Bytes that a file's weights take when they are repacked, to within the padding of rows.</summary>
    public static long EstimateBytes(GgufFile file) =>
        // Where there is no output matrix the embedding is repacked too.
        PackedBytes(file) + (file.Tensors.ContainsKey(HeadName) ? 0 : file.Tensors.GetValueOrDefault(EmbeddingName)?.SizeBytes ?? 0);

    private static long PackedBytes(GgufFile file) => file.Tensors.Values.Sum(PackedMatrices.SizeBytes);

    /// <summary>Writes the embedding of a token: <see cref="TransformerConfig.EmbeddingLength"/> floats.</summary>
    public void ReadEmbedding(int token, float* destination) =>
        RowReader.Read(_embedding.Type, _embeddingRows + (token * _embeddingRowBytes), destination, _embedding.RowLength);

    public void Dispose() => _arena.Dispose();

    private byte* CopyEmbedding()
    {
        byte* rows = (byte*)_arena.Take(_embedding.SizeBytes);
        Buffer.MemoryCopy(_file.GetPointer(_embedding), rows, _embedding.SizeBytes, _embedding.SizeBytes);
        return rows;
    }

    private LayerWeights ReadLayer(TransformerConfig config, int index)
    {
        string prefix = $"blk.{index}.";
        Func<int, int>? halves = config.HasInterleavedRope ? HalvesOf(config.KeyLength, config.Rope.DimensionCount) : null;
        bool hasHeadNorms = _file.Tensors.ContainsKey(prefix + "attn_q_norm.weight");
        return new LayerWeights
        {
            AttentionNorm = Vector(prefix + "attn_norm.weight", config.EmbeddingLength),
            Query = Matrix(prefix + "attn_q.weight", config.QueryLength, config.EmbeddingLength, halves),
            Key = Matrix(prefix + "attn_k.weight", config.KeyValueLength, config.EmbeddingLength, halves),
            Value = Matrix(prefix + "attn_v.weight", config.KeyValueLength, config.EmbeddingLength),
            QueryBias = Bias(prefix + "attn_q.bias", config.QueryLength, halves),
            KeyBias = Bias(prefix + "attn_k.bias", config.KeyValueLength, halves),
            ValueBias = Bias(prefix + "attn_v.bias", config.KeyValueLength, null),
            QueryNorm = hasHeadNorms ? Vector(prefix + "attn_q_norm.weight", config.KeyLength) : null,
            KeyNorm = hasHeadNorms ? Vector(prefix + "attn_k_norm.weight", config.KeyLength) : null,
            AttentionOutput = Matrix(prefix + "attn_output.weight", config.EmbeddingLength, config.QueryLength),
            FeedForwardNorm = Vector(prefix + "ffn_norm.weight", config.EmbeddingLength),
            Gate = Matrix(prefix + "ffn_gate.weight", config.FeedForwardLength, config.EmbeddingLength),
            Up = Matrix(prefix + "ffn_up.weight", config.FeedForwardLength, config.EmbeddingLength),
            Down = Matrix(prefix + "ffn_down.weight", config.EmbeddingLength, config.FeedForwardLength),
        };
    }

    // Pairs (2i, 2i+1) of the file become (i, i + n/2): one rotation routine with contiguous loads serves all architectures.
    private static Func<int, int> HalvesOf(int headLength, int dimensionCount) => row =>
    {
        int head = row / headLength * headLength;
        int within = row - head;
        int half = dimensionCount / 2;
        return within >= dimensionCount ? row
            : within < half ? head + (2 * within)
            : head + (2 * (within - half)) + 1;
    };

    private PackedMatrix Matrix(string name, int rowCount, int length, Func<int, int>? sourceRow = null)
    {
        _read.Add(name);
        PackedMatrix matrix = MatrixPacker.Pack(_arena, _file, name, rowCount, length, sourceRow);
        SizeBytes += matrix.SizeBytes;
        return matrix;
    }

    private float* Bias(string name, int length, Func<int, int>? sourceRow)
    {
        if (!_file.Tensors.ContainsKey(name))
        {
            return null;
        }

        float* file = Vector(name, length);
        if (sourceRow == null)
        {
            return file;
        }

        float* ordered = NewVector(length);
        for (int i = 0; i < length; i++)
        {
            ordered[i] = file[sourceRow(i)];
        }

        return ordered;
    }

    private float* Vector(string name, int length)
    {
        _read.Add(name);
        GgufTensor tensor = _file.GetTensor(name);
        MatrixPacker.CheckShape(_file, tensor, 1, length);
        float* vector = NewVector(length);
        RowReader.Read(tensor.Type, _file.GetPointer(tensor), vector, length);
        return vector;
    }

    private float* NewVector(int length)
    {
        long sizeBytes = (long)(length + VectorMath.Lanes - 1) / VectorMath.Lanes * VectorMath.Lanes * sizeof(float);
        float* vector = (float*)_arena.Take(sizeBytes);
        new Span<byte>(vector, checked((int)sizeBytes)).Clear();
        SizeBytes += sizeBytes;
        return vector;
    }
}

/// <summary>One layer. Vectors are owned by <see cref="TransformerWeights"/>; optional ones are null.</summary>
internal sealed unsafe class LayerWeights
{
    /// <summary>(EmbeddingLength)</summary>
    public required float* AttentionNorm { get; init; }

    /// <summary>(HeadCount · KeyLength, EmbeddingLength)</summary>
    public required PackedMatrix Query { get; init; }

    /// <summary>(HeadCountKv · KeyLength, EmbeddingLength)</summary>
    public required PackedMatrix Key { get; init; }

    /// <summary>(HeadCountKv · KeyLength, EmbeddingLength)</summary>
    public required PackedMatrix Value { get; init; }

    public float* QueryBias { get; init; }

    public float* KeyBias { get; init; }

    public float* ValueBias { get; init; }

    /// <summary>(KeyLength): RMS norm of every query head before rotation (qwen3).</summary>
    public float* QueryNorm { get; init; }

    /// <summary>(KeyLength)</summary>
    public float* KeyNorm { get; init; }

    /// <summary>(EmbeddingLength, HeadCount · KeyLength)</summary>
    public required PackedMatrix AttentionOutput { get; init; }

    /// <summary>(EmbeddingLength)</summary>
    public required float* FeedForwardNorm { get; init; }

    /// <summary>(FeedForwardLength, EmbeddingLength)</summary>
    public required PackedMatrix Gate { get; init; }

    /// <summary>(FeedForwardLength, EmbeddingLength)</summary>
    public required PackedMatrix Up { get; init; }

    /// <summary>(EmbeddingLength, FeedForwardLength)</summary>
    public required PackedMatrix Down { get; init; }
}
