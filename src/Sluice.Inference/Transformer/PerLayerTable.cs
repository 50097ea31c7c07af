using Sluice.Inference.Architectures;
using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Transformer;

/// <summary>
/// What tokens have of their own in each layer: a table as the file has it, the largest tensor of a small model, of which a token reads one row;
/// and a projection of the embedding that is added.
/// </summary>
internal sealed unsafe class PerLayerTable
{
    private const string TableName = "per_layer_token_embd.weight";

    private readonly GgufTensor _table;
    private readonly byte* _rows;
    private readonly long _rowBytes;

    /// <exception cref="GgufException">A tensor is missing or has another shape than the plan says.</exception>
    public PerLayerTable(GgufFile file, WeightReader reader, WeightArena? arena, ModelPlan plan, int vocabularySize)
    {
        int all = plan.PerLayerLength * plan.Layers.Count;
        _table = file.GetTensor(TableName);
        MatrixPacker.CheckShape(file, _table, vocabularySize, all);
        reader.MarkRead(TableName);
        _rowBytes = _table.SizeBytes / _table.RowCount;
        if (arena != null)
        {
            _rows = arena.Take(_table.SizeBytes);
            Buffer.MemoryCopy(file.GetPointer(_table), _rows, _table.SizeBytes, _table.SizeBytes);
        }

        Projection = reader.Matrix("per_layer_model_proj.weight", all, plan.EmbeddingLength);
        Norm = reader.Vector("per_layer_proj_norm.weight", plan.PerLayerLength);
    }

    /// <summary>(PerLayerLength · layers, EmbeddingLength)</summary>
    public PackedMatrix Projection { get; }

    /// <summary>(PerLayerLength)</summary>
    public float* Norm { get; }

    /// <summary>Of the table.</summary>
    public long TableBytes => _table.SizeBytes;

    /// <summary>Writes a token's row: PerLayerLength values for each layer.</summary>
    public void Read(int token, float* destination) => RowReader.Read(_table.Type, _rows + (token * _rowBytes), destination, _table.RowLength);
}
