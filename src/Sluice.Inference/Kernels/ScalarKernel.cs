using System.Runtime.CompilerServices;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>
/// The reference of the vector kernels, one value at a time, and the path for processors without them. Same order of operations as
/// <see cref="QuantizedKernel"/>, <see cref="DenseKernel"/> and <see cref="FloatKernel"/>, so the results are equal bit for bit.
/// </summary>
internal static unsafe class ScalarKernel
{
    public static void MultiplyGroup<TFormat>(
        byte* group, QuantizedActivations activations, float* output, int outputStride, bool accumulate)
        where TFormat : struct, IBlockFormat
    {
        for (int column = 0; column < activations.ColumnCount; column++)
        {
            for (int row = 0; row < PackedMatrix.GroupRows; row++)
            {
                float sum = Dot<TFormat>(group, row, activations, column);
                float* cell = output + ((long)column * outputStride) + row;
                *cell = accumulate ? sum + *cell : sum;
            }
        }
    }

    /// <summary>Product of densely packed weights.</summary>
    public static void MultiplyGroup<TPlanes, TScales>(
        byte* headers, byte* strips, QuantizedActivations activations, float* output, int outputStride, bool accumulate)
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
    {
        for (int column = 0; column < activations.ColumnCount; column++)
        {
            for (int row = 0; row < PackedMatrix.GroupRows; row++)
            {
                float sum = Dot<TPlanes, TScales>(headers, strips, row, activations, column);
                float* cell = output + ((long)column * outputStride) + row;
                *cell = accumulate ? sum + *cell : sum;
            }
        }
    }

    /// <summary>Product of float weights: sum over k in order, one fused multiply-add each.</summary>
    public static void MultiplyGroup<TType>(byte* group, int length, BatchInput input, float* output, int outputStride, bool accumulate, TType type)
        where TType : struct, IFloatFormat
    {
        for (int column = 0; column < input.ColumnCount; column++)
        {
            for (int row = 0; row < PackedMatrix.GroupRows; row++)
            {
                float sum = 0;
                float* x = input.Column(column);
                for (int k = 0; k < length; k++)
                {
                    sum = MathF.FusedMultiplyAdd(type.Read(group + ((((long)k * PackedMatrix.GroupRows) + row) * TType.ValueBytes)), x[k], sum);
                }

                float* cell = output + ((long)column * outputStride) + row;
                *cell = accumulate ? sum + *cell : sum;
            }
        }
    }

    private static float Dot<TFormat>(byte* group, int row, QuantizedActivations activations, int column)
        where TFormat : struct, IBlockFormat
    {
        int tileStart = ActivationLayout.TileStart(column);
        int width = ActivationLayout.TileWidth(tileStart, activations.ColumnCount);
        int lane = column - tileStart;
        sbyte* values = activations.TileValues(tileStart);
        float* scales = activations.TileScales(tileStart);
        float sum = 0;
        for (int b = 0; b < activations.Length / ActivationLayout.BlockLength; b++)
        {
            byte* block = group + ((long)b * QuantizedKernel.BlockBytes<TFormat>());
            byte* weights = block + (2 * PackedMatrix.GroupRows * sizeof(ushort));
            int dot = 0;
            for (int k = 0; k < ActivationLayout.BlockLength; k++)
            {
                int index = (b * ActivationLayout.BlockLength) + k;
                int x = values[(((index / 4 * width) + lane) * 4) + (index % 4)];
                dot += Weight<TFormat>(weights, row, k) * x;
            }

            float dx = scales[(b * 2 * width) + lane];
            float sx = scales[(((b * 2) + 1) * width) + lane];
            sum = MathF.FusedMultiplyAdd(dot, HalfBits.ToSingle(((ushort*)block)[row]) * dx, sum);
            sum = MathF.FusedMultiplyAdd(HalfBits.ToSingle(((ushort*)block)[PackedMatrix.GroupRows + row]), sx, sum);
        }

        return sum;
    }

    private static float Dot<TPlanes, TScales>(byte* headers, byte* strips, int row, QuantizedActivations activations, int column)
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
    {
        int tileStart = ActivationLayout.TileStart(column);
        int width = ActivationLayout.TileWidth(tileStart, activations.ColumnCount);
        int lane = column - tileStart;
        sbyte* values = activations.TileValues(tileStart);
        float* scales = activations.TileScales(tileStart);
        float* halfSums = activations.TileHalfSums(tileStart);
        int partLength = TScales.IsPer16 ? 16 : IWeightPlanes.StripLength;
        int partsPerBlock = IWeightPlanes.StripLength * TScales.StripCount / partLength;
        float sum = 0;
        for (int part = 0; part < activations.Length / partLength; part++)
        {
            int strip = part * partLength / IWeightPlanes.StripLength;
            int dot = 0;
            for (int k = 0; k < partLength; k++)
            {
                int index = (part * partLength) + k;
                int x = values[(((index / 4 * width) + lane) * 4) + (index % 4)];
                dot += TPlanes.Read(strips + ((long)strip * TPlanes.StripBytes), row, index % IWeightPlanes.StripLength) * x;
            }

            var (scale, minimum) = TScales.Read(headers + (part / partsPerBlock * TScales.HeaderBytes), row, part % partsPerBlock);
            if (!TScales.HasMinima)
            {
                minimum = scale * -TPlanes.Zero;
            }

            float dx = scales[(strip * 2 * width) + lane];
            float sx = TScales.IsPer16 ? halfSums[(part * width) + lane] : scales[(((strip * 2) + 1) * width) + lane];
            sum = MathF.FusedMultiplyAdd(dot, scale * dx, sum);
            sum = MathF.FusedMultiplyAdd(minimum, sx, sum);
        }

        return sum;
    }

    /// <summary>Integer k of a row of a packed block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Weight<TFormat>(byte* weights, int row, int k)
        where TFormat : struct, IBlockFormat
    {
        if (TFormat.IsByte)
        {
            return weights[(k / 4 * 64) + (row * 4) + (k % 4)];
        }

        int within = k % 16;
        int pair = weights[(within / 4 * 64) + (row * 4) + (within % 4)];
        return k < 16 ? pair & 15 : pair >> 4;
    }
}
