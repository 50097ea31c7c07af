using System.Runtime.Intrinsics;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>
/// A matrix of a quantised type with as many bits as its file has. Per group of 16 rows first the headers of all blocks, then the strips.
/// </summary>
internal sealed unsafe class DenseMatrix<TPlanes, TScales> : PackedMatrix
    where TPlanes : struct, IWeightPlanes
    where TScales : struct, IBlockScales
{
    private readonly long _headersBytes;

    public DenseMatrix(WeightArena arena, GgufTensorType sourceType, int rowCount, int length)
        : base(arena, sourceType, rowCount, length, BytesOfGroup(length)) => _headersBytes = BytesOfHeaders(length);

    public override bool ReadsQuantized => true;

    /// <summary>Bytes of 16 rows.</summary>
    public static long BytesOfGroup(long length) => BytesOfHeaders(length) + (length / IWeightPlanes.StripLength * TPlanes.StripBytes);

    /// <inheritdoc/>
    public override void PackGroup(int groupIndex, byte* source, long sourceRowBytes, Func<int, int> sourceRow)
    {
        byte* group = Group(groupIndex);
        new Span<byte>(group, checked((int)GroupBytes)).Clear();
        BlockFields fields = default;
        int blockBytes = GgufTensorTypes.BlockBytes(SourceType);
        for (int r = 0; r < GroupRows && (groupIndex * GroupRows) + r < RowCount; r++)
        {
            byte* block = source + (sourceRow((groupIndex * GroupRows) + r) * sourceRowBytes);
            byte* header = group;
            byte* strip = group + _headersBytes;
            for (int i = 0; i < Length; i += IWeightPlanes.StripLength * TScales.StripCount)
            {
                BlockUnpacker.Unpack(SourceType, block, ref fields);
                TScales.Put(header, r, fields);
                for (int s = 0; s < TScales.StripCount; s++)
                {
                    TPlanes.Put(strip, r, fields.Codes + (s * IWeightPlanes.StripLength));
                    strip += TPlanes.StripBytes;
                }

                block += blockBytes;
                header += TScales.HeaderBytes;
            }
        }
    }

    public override void MultiplyGroup(int groupIndex, BatchInput input, float* output, int outputStride, bool accumulate)
    {
        QuantizedActivations activations = input.Quantized!;
        byte* headers = Group(groupIndex);
        byte* strips = headers + _headersBytes;
        switch (Path)
        {
            case KernelPath.Avx512:
                DenseKernel.MultiplyGroup<Avx512Isa, Vector512<byte>, TPlanes, TScales>(headers, strips, activations, output, outputStride, accumulate);
                break;
            case KernelPath.Avx2:
                DenseKernel.MultiplyGroup<Avx2Isa, Vector256<byte>, TPlanes, TScales>(headers, strips, activations, output, outputStride, accumulate);
                break;
            case KernelPath.Vector128:
                DenseKernel.MultiplyGroup<Vector128Isa, Vector128<byte>, TPlanes, TScales>(headers, strips, activations, output, outputStride, accumulate);
                break;
            default:
                ScalarKernel.MultiplyGroup<TPlanes, TScales>(headers, strips, activations, output, outputStride, accumulate);
                break;
        }
    }

    /// <inheritdoc/>
    public override void ReadRow(int row, float* destination)
    {
        byte* header = Group(row / GroupRows);
        byte* strip = header + _headersBytes;
        int lane = row % GroupRows;
        int partLength = TScales.IsPer16 ? IWeightPlanes.StripLength / 2 : IWeightPlanes.StripLength;
        int partsPerStrip = IWeightPlanes.StripLength / partLength;
        int partsPerBlock = partsPerStrip * TScales.StripCount;
        for (int part = 0; part < Length / partLength; part++)
        {
            var (scale, minimum) = TScales.Read(header + (part / partsPerBlock * TScales.HeaderBytes), lane, part % partsPerBlock);
            byte* codes = strip + ((long)(part / partsPerStrip) * TPlanes.StripBytes);
            int first = part % partsPerStrip * partLength;
            float* target = destination + (part * partLength);
            for (int k = 0; k < partLength; k++)
            {
                int code = TPlanes.Read(codes, lane, first + k);
                target[k] = TScales.HasMinima ? (scale * code) + minimum : scale * (code - TPlanes.Zero);
            }
        }
    }

    // The strips stay on 64-byte borders.
    private static long BytesOfHeaders(long length) =>
        ((length / (IWeightPlanes.StripLength * TScales.StripCount) * TScales.HeaderBytes) + 63) & ~63L;
}
