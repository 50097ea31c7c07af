using System.Runtime.Intrinsics;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>A matrix of Q4_0, Q4_1 or Q8_0 in the layout of <typeparamref name="TFormat"/>.</summary>
internal sealed unsafe class QuantizedMatrix<TFormat> : PackedMatrix
    where TFormat : struct, IBlockFormat
{
    public QuantizedMatrix(WeightArena arena, GgufTensorType sourceType, int rowCount, int length)
        : base(arena, sourceType, rowCount, length, (long)(length / ActivationLayout.BlockLength) * QuantizedKernel.BlockBytes<TFormat>())
    {
    }

    public override bool ReadsQuantized => true;

    /// <inheritdoc/>
    public override void PackGroup(int groupIndex, byte* source, long sourceRowBytes, Func<int, int> sourceRow)
    {
        byte* group = Group(groupIndex);
        for (int r = 0; r < GroupRows && (groupIndex * GroupRows) + r < RowCount; r++)
        {
            byte* row = source + (sourceRow((groupIndex * GroupRows) + r) * sourceRowBytes);
            CopyRow(group, r, row);
        }
    }

    // These types already hold four neighbouring values in four neighbouring bytes: a model loads several times faster this way.
    private void CopyRow(byte* group, int r, byte* row)
    {
        int blockBytes = GgufTensorTypes.BlockBytes(SourceType);
        int valuesOffset = SourceType == GgufTensorType.Q4_1 ? 4 : 2;
        int vectorCount = SourceType == GgufTensorType.Q8_0 ? 8 : 4;
        int flip = SourceType == GgufTensorType.Q8_0 ? unchecked((int)0x80808080) : 0;
        float minimum = SourceType == GgufTensorType.Q8_0 ? -128 : -8;
        byte* target = group;
        for (int i = 0; i < Length; i += ActivationLayout.BlockLength)
        {
            ((ushort*)target)[r] = *(ushort*)row;
            ((ushort*)target)[GroupRows + r] = SourceType == GgufTensorType.Q4_1
                ? *(ushort*)(row + 2)
                : BitConverter.HalfToUInt16Bits((Half)(minimum * HalfBits.ToSingle(*(ushort*)row)));
            int* values = (int*)(row + valuesOffset);
            int* vectors = (int*)(target + (2 * GroupRows * sizeof(ushort))) + r;
            for (int j = 0; j < vectorCount; j++)
            {
                vectors[j * GroupRows] = values[j] ^ flip;
            }

            row += blockBytes;
            target += QuantizedKernel.BlockBytes<TFormat>();
        }
    }

    /// <inheritdoc/>
    public override void ReadRow(int row, float* destination)
    {
        byte* block = Group(row / GroupRows);
        int lane = row % GroupRows;
        int zero = SourceType switch { GgufTensorType.Q8_0 => 128, GgufTensorType.Q4_0 => 8, _ => 0 };
        for (int i = 0; i < Length; i += ActivationLayout.BlockLength)
        {
            float scale = HalfBits.ToSingle(((ushort*)block)[lane]);
            float minimum = SourceType == GgufTensorType.Q4_1 ? HalfBits.ToSingle(((ushort*)block)[GroupRows + lane]) : 0;
            for (int k = 0; k < ActivationLayout.BlockLength; k++)
            {
                float product = scale * (ScalarKernel.Weight<TFormat>(block + (2 * GroupRows * sizeof(ushort)), lane, k) - zero);
                destination[i + k] = SourceType == GgufTensorType.Q4_1 ? product + minimum : product;
            }

            block += QuantizedKernel.BlockBytes<TFormat>();
        }
    }

    public override void MultiplyGroup(int groupIndex, BatchInput input, float* output, int outputStride, bool accumulate)
    {
        QuantizedActivations activations = input.Quantized!;
        byte* group = Group(groupIndex);
        switch (Path)
        {
            case KernelPath.Avx512:
                QuantizedKernel.MultiplyGroup<Avx512Isa, Vector512<byte>, TFormat>(group, activations, output, outputStride, accumulate);
                break;
            case KernelPath.Avx2:
                QuantizedKernel.MultiplyGroup<Avx2Isa, Vector256<byte>, TFormat>(group, activations, output, outputStride, accumulate);
                break;
            case KernelPath.Vector128:
                QuantizedKernel.MultiplyGroup<Vector128Isa, Vector128<byte>, TFormat>(group, activations, output, outputStride, accumulate);
                break;
            default:
                ScalarKernel.MultiplyGroup<TFormat>(group, activations, output, outputStride, accumulate);
                break;
        }
    }
}
