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
        Packed = type switch
        {
            GgufTensorType.Q4_0 or GgufTensorType.Q4_1 => Quantized<NibbleHalf>(rowCount, length),
            GgufTensorType.Q4_K => Quantized<NibbleSingle>(rowCount, length),
            GgufTensorType.Q5_0 or GgufTensorType.Q5_1 or GgufTensorType.Q8_0 => Quantized<ByteHalf>(rowCount, length),
            GgufTensorType.Q5_K => Quantized<ByteSingle>(rowCount, length),
            GgufTensorType.Q6_K => Quantized<ByteSingle16>(rowCount, length),
            GgufTensorType.F32 => Floats<SingleFormat>(rowCount, length),
            GgufTensorType.F16 => Floats<HalfFormat>(rowCount, length),
            _ => Floats<BFloat16Format>(rowCount, length),
        };
    }

    public GgufTensorType Type { get; }

    public PackedMatrix Packed { get; }

    /// <summary>A weight by the formulas of <see cref="WeightFormats"/>.</summary>
    public double Weight(int row, int k) => WeightFormats.Value(Type, _rows.AsSpan(row * _rowBytes, _rowBytes), k);

    /// <summary>Multiplies with the kernels of one instruction set; the result has as many rows as whole groups have.</summary>
    public float[] Multiply(BatchInput input, KernelPath path, float[]? accumulateOnto = null)
    {
        SetPath(path);
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

    private QuantizedMatrix<TFormat> Quantized<TFormat>(int rowCount, int length)
        where TFormat : struct, IBlockFormat
    {
        var matrix = new QuantizedMatrix<TFormat>(_arena, Type, rowCount, length);
        fixed (byte* source = _rows)
        {
            for (var group = 0; group < matrix.GroupCount; group++)
            {
                matrix.PackGroup(group, source, _rowBytes, static row => row);
            }
        }

        return matrix;
    }

    private FloatMatrix<TFormat> Floats<TFormat>(int rowCount, int length)
        where TFormat : struct, IFloatFormat
    {
        var matrix = new FloatMatrix<TFormat>(_arena, Type, rowCount, length);
        fixed (byte* source = _rows)
        {
            for (var group = 0; group < matrix.GroupCount; group++)
            {
                matrix.PackGroup(group, source, _rowBytes, static row => row);
            }
        }

        return matrix;
    }

    private void SetPath(KernelPath path)
    {
        switch (Packed)
        {
            case QuantizedMatrix<NibbleHalf> matrix: matrix.Path = path; break;
            case QuantizedMatrix<NibbleSingle> matrix: matrix.Path = path; break;
            case QuantizedMatrix<ByteHalf> matrix: matrix.Path = path; break;
            case QuantizedMatrix<ByteSingle> matrix: matrix.Path = path; break;
            case QuantizedMatrix<ByteSingle16> matrix: matrix.Path = path; break;
            case FloatMatrix<SingleFormat> matrix: matrix.Path = path; break;
            case FloatMatrix<HalfFormat> matrix: matrix.Path = path; break;
            case FloatMatrix<BFloat16Format> matrix: matrix.Path = path; break;
        }
    }
}
