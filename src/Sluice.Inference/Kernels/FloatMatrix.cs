using System.Runtime.Intrinsics;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>A number format of unquantised weights.</summary>
internal unsafe interface IFloatFormat
{
    static abstract int ValueBytes { get; }

    static abstract TVector Load<TIsa, TVector>(byte* address)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct;

    float Read(byte* address);
}

internal readonly unsafe struct SingleFormat : IFloatFormat
{
    public static int ValueBytes => 4;

    public static TVector Load<TIsa, TVector>(byte* address)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Load(address);

    public float Read(byte* address) => *(float*)address;
}

internal readonly unsafe struct HalfFormat : IFloatFormat
{
    public static int ValueBytes => 2;

    public static TVector Load<TIsa, TVector>(byte* address)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LoadHalf(address);

    public float Read(byte* address) => HalfBits.ToSingle(*(ushort*)address);
}

internal readonly unsafe struct BFloat16Format : IFloatFormat
{
    public static int ValueBytes => 2;

    public static TVector Load<TIsa, TVector>(byte* address)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LoadBFloat16(address);

    public float Read(byte* address) => BitConverter.Int32BitsToSingle(*(ushort*)address << 16);
}

/// <summary>A matrix of F32, F16 or BF16 values, kept as they are; per group, value k of all 16 rows are neighbours.</summary>
internal sealed unsafe class FloatMatrix<TFormat> : PackedMatrix
    where TFormat : struct, IFloatFormat
{
    public FloatMatrix(WeightArena arena, GgufTensorType sourceType, int rowCount, int length)
        : base(arena, sourceType, rowCount, length, (long)length * GroupRows * TFormat.ValueBytes)
    {
    }

    public override bool ReadsQuantized => false;

    /// <inheritdoc/>
    public override void PackGroup(int groupIndex, byte* source, long sourceRowBytes, Func<int, int> sourceRow)
    {
        byte* group = Group(groupIndex);
        for (int r = 0; r < GroupRows && (groupIndex * GroupRows) + r < RowCount; r++)
        {
            byte* row = source + (sourceRow((groupIndex * GroupRows) + r) * sourceRowBytes);
            for (int k = 0; k < Length; k++)
            {
                if (TFormat.ValueBytes == 4)
                {
                    ((int*)group)[(k * GroupRows) + r] = ((int*)row)[k];
                }
                else
                {
                    ((short*)group)[(k * GroupRows) + r] = ((short*)row)[k];
                }
            }
        }
    }

    /// <inheritdoc/>
    public override void ReadRow(int row, float* destination)
    {
        TFormat format = default;
        byte* value = Group(row / GroupRows) + (row % GroupRows * TFormat.ValueBytes);
        for (int k = 0; k < Length; k++)
        {
            destination[k] = format.Read(value);
            value += GroupRows * TFormat.ValueBytes;
        }
    }

    public override void MultiplyGroup(int groupIndex, BatchInput input, float* output, int outputStride, bool accumulate)
    {
        byte* group = Group(groupIndex);
        switch (Path)
        {
            case KernelPath.Avx512:
                FloatKernel.MultiplyGroup<Avx512Isa, Vector512<byte>, TFormat>(group, Length, input, output, outputStride, accumulate);
                break;
            case KernelPath.Avx2:
                FloatKernel.MultiplyGroup<Avx2Isa, Vector256<byte>, TFormat>(group, Length, input, output, outputStride, accumulate);
                break;
            case KernelPath.Vector128:
                FloatKernel.MultiplyGroup<Vector128Isa, Vector128<byte>, TFormat>(group, Length, input, output, outputStride, accumulate);
                break;
            default:
                ScalarKernel.MultiplyGroup<TFormat>(group, Length, input, output, outputStride, accumulate, default);
                break;
        }
    }
}
