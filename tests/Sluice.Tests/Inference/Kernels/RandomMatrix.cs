using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Testing;

namespace Sluice.Tests.Inference.Kernels;

/// <summary>A packed matrix of random weights with the rows that it was made from.</summary>
internal sealed unsafe class RandomMatrix : IDisposable
{
    private readonly WeightArena _arena = new(0);
    private readonly byte[] _rows;
    private readonly int _rowBytes;

    public RandomMatrix(GgufTensorType type, int rowCount, int length, RandomBlocks random)
    {
        Type = type;
        long count = (long)rowCount * length;
        _rows = type switch
        {
            GgufTensorType.F32 => Encode(random.Singles(count, 1), 4, static (value, target) => BitConverter.TryWriteBytes(target, value)),
            GgufTensorType.F16 => Encode(
                random.Singles(count, 1), 2, static (value, target) => BitConverter.TryWriteBytes(target, (Half)value)),
            GgufTensorType.BF16 => Encode(
                random.Singles(count, 1),
                2,
                static (value, target) => BitConverter.TryWriteBytes(target, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))),
            _ => random.Blocks(type, count, 1),
        };
        _rowBytes = _rows.Length / rowCount;
        Packed = PackedMatrices.Create(_arena, type, rowCount, length);
        fixed (byte* source = _rows)
        {
            for (var group = 0; group < Packed.GroupCount; group++) Packed.PackGroup(group, source, _rowBytes, static row => row);
        }
    }

    public GgufTensorType Type { get; }

    public PackedMatrix Packed { get; }

    /// <summary>A row as in a file.</summary>
    public ReadOnlySpan<byte> Row(int row) => _rows.AsSpan(row * _rowBytes, _rowBytes);

    /// <summary>A weight by the formulas of <see cref="WeightFormats"/>.</summary>
    public double Weight(int row, int k) => WeightFormats.Value(Type, _rows.AsSpan(row * _rowBytes, _rowBytes), k);

    /// <summary>Multiplies with the kernels of one instruction set; the result has as many rows as whole groups have.</summary>
    public float[] Multiply(BatchInput input, KernelPath path, float[]? accumulateOnto = null)
    {
        Packed.Path = path;
        var stride = Packed.GroupCount * PackedMatrix.GroupRows;
        var result = accumulateOnto?.ToArray() ?? new float[stride * input.ColumnCount];
        fixed (float* output = result)
        {
            for (var group = 0; group < Packed.GroupCount; group++)
            {
                Packed.MultiplyGroup(group, input, output + (group * PackedMatrix.GroupRows), stride, accumulateOnto != null);
            }
        }

        return result;
    }

    public void Dispose() => _arena.Dispose();

    private static byte[] Encode(float[] values, int width, Action<float, byte[]> write)
    {
        var bytes = new byte[values.Length * width];
        var one = new byte[width];
        for (var i = 0; i < values.Length; i++)
        {
            write(values[i], one);
            one.CopyTo(bytes, i * width);
        }

        return bytes;
    }
}
