using System.Runtime.Intrinsics;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>A matrix of a quantised type in the layout of <typeparamref name="TFormat"/>.</summary>
internal sealed unsafe class QuantizedMatrix<TFormat> : PackedMatrix
    where TFormat : struct, IBlockFormat
{
    public QuantizedMatrix(WeightArena arena, GgufTensorType sourceType, int rowCount, int length)
        : base(arena, sourceType, rowCount, length, (long)(length / TFormat.BlockLength) * QuantizedKernel.BlockBytes<TFormat>())
    {
    }

    public override bool ReadsQuantized => true;

    /// <summary>The instruction set to use; tests set it to compare paths.</summary>
    public KernelPath Path { get; set; } = KernelPaths.Best;

    /// <summary>Repacks 16 rows of the file.</summary>
    /// <param name="groupIndex">The group to fill.</param>
    /// <param name="source">First row of the tensor.</param>
    /// <param name="sourceRowBytes">Bytes from one row of the file to the next.</param>
    /// <param name="sourceRow">Row of the file for each row of this matrix.</param>
    public void PackGroup(int groupIndex, byte* source, long sourceRowBytes, Func<int, int> sourceRow)
    {
        byte* group = Group(groupIndex);
        for (int r = 0; r < GroupRows && (groupIndex * GroupRows) + r < RowCount; r++)
        {
            byte* row = source + (sourceRow((groupIndex * GroupRows) + r) * sourceRowBytes);
            switch (SourceType)
            {
                case GgufTensorType.Q4_0 or GgufTensorType.Q4_1 or GgufTensorType.Q8_0:
                    CopyRow(group, r, row);
                    break;
                default:
                    UnpackRow(group, r, row);
                    break;
            }
        }
    }

    // The common types already hold four neighbouring values in four neighbouring bytes: a model loads several times faster this way.
    private void CopyRow(byte* group, int r, byte* row)
    {
        int blockBytes = GgufTensorTypes.BlockBytes(SourceType);
        int valuesOffset = SourceType == GgufTensorType.Q4_1 ? 4 : 2;
        int vectorCount = SourceType == GgufTensorType.Q8_0 ? 8 : 4;
        int flip = SourceType == GgufTensorType.Q8_0 ? unchecked((int)0x80808080) : 0;
        float minimum = SourceType == GgufTensorType.Q8_0 ? -128 : -8;
        byte* target = group;
        for (int i = 0; i < Length; i += TFormat.BlockLength)
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

    private void UnpackRow(byte* group, int r, byte* row)
    {
        byte* values = stackalloc byte[BlockUnpacker.BlockLengthMax];
        float* scales = stackalloc float[BlockUnpacker.ScaleCountMax];
        float* minima = stackalloc float[BlockUnpacker.ScaleCountMax];
        int sourceBlockLength = GgufTensorTypes.BlockElements(SourceType);
        int sourceBlockBytes = GgufTensorTypes.BlockBytes(SourceType);
        byte* target = group;
        for (int i = 0; i < Length; i += sourceBlockLength)
        {
            BlockUnpacker.Unpack(SourceType, row, values, scales, minima);
            row += sourceBlockBytes;
            for (int s = 0; s < sourceBlockLength / TFormat.BlockLength; s++)
            {
                PutScale(target, r, scales[s]);
                PutScale(target + (GroupRows * ScaleBytes), r, minima[s]);
                PutValues(target + (2 * GroupRows * ScaleBytes) + (4 * r), values + (s * TFormat.BlockLength));
                target += QuantizedKernel.BlockBytes<TFormat>();
            }
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

    private static int ScaleBytes => TFormat.HasSingleScales ? 4 : 2;

    private static void PutScale(byte* scales, int row, float value)
    {
        if (TFormat.HasSingleScales)
        {
            ((float*)scales)[row] = value;
        }
        else
        {
            // Exact: the value is the file's own half, or that times a power of two.
            ((Half*)scales)[row] = (Half)value;
        }
    }

    private static void PutValues(byte* target, byte* values)
    {
        if (TFormat.IsByte)
        {
            for (int j = 0; j < TFormat.BlockLength / 4; j++)
            {
                *(int*)(target + (64 * j)) = *(int*)(values + (4 * j));
            }
        }
        else
        {
            for (int j = 0; j < 4; j++)
            {
                *(int*)(target + (64 * j)) = *(int*)(values + (4 * j)) | (*(int*)(values + 16 + (4 * j)) << 4);
            }
        }
    }
}
