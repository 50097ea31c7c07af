using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>Turns tensors of a file into packed matrices.</summary>
internal static unsafe class MatrixPacker
{
    /// <summary>Repacks rows of a tensor, in parallel.</summary>
    /// <param name="arena">Where the matrix is put.</param>
    /// <param name="file">The open file.</param>
    /// <param name="tensor">The tensor, whose rows are the matrix's inputs.</param>
    /// <param name="firstRow">The first row to take.</param>
    /// <param name="rowCount">Rows to take: the matrix's outputs.</param>
    /// <param name="sourceRow">Row, counted from <paramref name="firstRow"/>, for each row of the matrix; null keeps the order.</param>
    public static PackedMatrix Pack(
        WeightArena arena, GgufFile file, GgufTensor tensor, long firstRow, int rowCount, Func<int, int>? sourceRow = null)
    {
        long rowBytes = tensor.SizeBytes / tensor.RowCount;
        byte* source = file.GetPointer(tensor) + (firstRow * rowBytes);
        sourceRow ??= static row => row;
        PackedMatrix matrix = PackedMatrices.Create(arena, tensor.Type, rowCount, (int)tensor.RowLength);
        nint address = (nint)source;
        Parallel.For(0, matrix.GroupCount, group => matrix.PackGroup(group, (byte*)address, rowBytes, sourceRow));
        return matrix;
    }

    /// <exception cref="GgufException">The shape differs.</exception>
    public static void CheckShape(GgufFile file, GgufTensor tensor, long rowCount, int length)
    {
        if (tensor.RowLength != length || tensor.RowCount != rowCount)
        {
            throw new GgufException(
                $"{file.Path}: tensor '{tensor.Name}': expected {length} x {rowCount} values, found {tensor.RowLength} x {tensor.RowCount}.");
        }
    }
}
