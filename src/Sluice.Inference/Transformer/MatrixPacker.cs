using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>Turns tensors of a file into packed matrices.</summary>
internal static unsafe class MatrixPacker
{
    /// <summary>Repacks a tensor, in parallel over its rows.</summary>
    /// <param name="arena">Where the matrix is put.</param>
    /// <param name="file">The open file.</param>
    /// <param name="name">Tensor name.</param>
    /// <param name="rowCount">Expected outputs.</param>
    /// <param name="length">Expected inputs.</param>
    /// <param name="sourceRow">Row of the file for each row of the matrix; null keeps the order.</param>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public static PackedMatrix Pack(WeightArena arena, GgufFile file, string name, int rowCount, int length, Func<int, int>? sourceRow = null)
    {
        GgufTensor tensor = file.GetTensor(name);
        CheckShape(file, tensor, rowCount, length);
        byte* source = file.GetPointer(tensor);
        long rowBytes = tensor.SizeBytes / tensor.RowCount;
        sourceRow ??= static row => row;
        PackedMatrix matrix = PackedMatrices.Create(arena, tensor.Type, rowCount, length);
        nint address = (nint)source;
        Parallel.For(0, matrix.GroupCount, group => matrix.PackGroup(group, (byte*)address, rowBytes, sourceRow));
        return matrix;
    }

    /// <exception cref="GgufException">The shape differs.</exception>
    public static void CheckShape(GgufFile file, GgufTensor tensor, int rowCount, int length)
    {
        if (tensor.RowLength != length || tensor.RowCount != rowCount)
        {
            throw new GgufException(
                $"{file.Path}: tensor '{tensor.Name}': expected {length} x {rowCount} values, found {tensor.RowLength} x {tensor.RowCount}.");
        }
    }
}
