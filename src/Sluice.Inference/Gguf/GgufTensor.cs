namespace Sluice.Inference.Gguf;

/// <summary>Where a tensor lies in its file and how it is stored. Rows are contiguous and follow one another without gaps.</summary>
/// <param name="Name">Name in the file, such as <c>blk.0.attn_q.weight</c>.</param>
/// <param name="Type">Storage of the elements.</param>
/// <param name="RowLength">Elements of a row (the file's first dimension), a whole number of blocks, at least 1.</param>
/// <param name="RowCount">Product of the other dimensions; 1 for a vector.</param>
/// <param name="OffsetBytes">First byte, counted from the start of the file.</param>
/// <param name="SizeBytes">All bytes; the file holds them.</param>
public sealed record GgufTensor(string Name, GgufTensorType Type, long RowLength, long RowCount, long OffsetBytes, long SizeBytes)
{
    /// <summary>The file's dimensions, row length first; their product is all elements.</summary>
    public IReadOnlyList<long> Dimensions { get; init; } = [RowLength, RowCount];

    /// <summary>Which of the model's files, from 0.</summary>
    internal int Shard { get; init; }
}
