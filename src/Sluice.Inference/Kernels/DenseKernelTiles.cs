using System.Runtime.CompilerServices;

namespace Sluice.Inference.Kernels;

/// <content>The same loop for one, four and eight columns.</content>
internal static unsafe partial class DenseKernel
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
        where TWidth : struct, ITileWidth
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        int width = TWidth.Value;
        int stride = 4 * width;
        TVector lowTable = TPlanes.LowTable<TIsa, TVector>();
        TVector highTable = TPlanes.HighTable<TIsa, TVector>();
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            int firstRow = part * rowsPerPart;
            byte* header = tile.Headers;
            byte* strip = tile.Strips + (4 * firstRow);
            byte* x = (byte*)tile.Values;
            float* scales = tile.Scales;
            float* halfSums = tile.HalfSums;
            TVector sum0 = TIsa.Zero;
            for (int b = 0; b < tile.BlockCount; b++)
            {
                TVector factor = TScales.Factor<TIsa, TVector>(header, firstRow);
                TVector minimumFactor = TScales.MinimumFactor<TIsa, TVector>(header, firstRow);
                for (int s = 0; s < TScales.StripCount; s++)
                {
                    Prefetch<TPlanes>(strip);
                    TVector w0 = TPlanes.Low<TIsa, TVector>(strip, 0, lowTable);
                    TVector w1 = TPlanes.Low<TIsa, TVector>(strip, 1, lowTable);
                    TVector w2 = TPlanes.Low<TIsa, TVector>(strip, 2, lowTable);
                    TVector w3 = TPlanes.Low<TIsa, TVector>(strip, 3, lowTable);
                    TVector w4 = TPlanes.Low<TIsa, TVector>(strip, 4, lowTable);
                    TVector w5 = TPlanes.Low<TIsa, TVector>(strip, 5, lowTable);
                    TVector w6 = TPlanes.Low<TIsa, TVector>(strip, 6, lowTable);
                    TVector w7 = TPlanes.Low<TIsa, TVector>(strip, 7, lowTable);
                    if (TScales.IsPer16)
                    {
                        TVector scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, 2 * s);
                        TVector minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, 2 * s);
                        sum0 = AddHalf<TIsa, TVector, TPlanes>(sum0, w0, w1, w2, w3, scale, minimum, x + 0, stride, scales + 0, halfSums + 0);
                        scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, (2 * s) + 1);
                        minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, (2 * s) + 1);
                        byte* y = x + (4 * stride);
                        float* sums = halfSums + width;
                        sum0 = AddHalf<TIsa, TVector, TPlanes>(sum0, w4, w5, w6, w7, scale, minimum, y + 0, stride, scales + 0, sums + 0);
                    }
                    else
                    {
                        TVector scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, s);
                        TVector minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, s);
                        float* sums = scales + width;
                        if (TPlanes.IsSplit)
                        {
                            TVector v0 = TPlanes.High<TIsa, TVector>(strip, 0, highTable);
                            TVector v1 = TPlanes.High<TIsa, TVector>(strip, 1, highTable);
                            TVector v2 = TPlanes.High<TIsa, TVector>(strip, 2, highTable);
                            TVector v3 = TPlanes.High<TIsa, TVector>(strip, 3, highTable);
                            TVector v4 = TPlanes.High<TIsa, TVector>(strip, 4, highTable);
                            TVector v5 = TPlanes.High<TIsa, TVector>(strip, 5, highTable);
                            TVector v6 = TPlanes.High<TIsa, TVector>(strip, 6, highTable);
                            TVector v7 = TPlanes.High<TIsa, TVector>(strip, 7, highTable);
                            sum0 = AddSplit<TIsa, TVector>(sum0, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 0, stride, scales + 0, sums + 0);
                        }
                        else
                        {
                            sum0 = Add<TIsa, TVector, TPlanes>(sum0, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 0, stride, scales + 0, sums + 0);
                        }
                    }

                    strip += TPlanes.StripBytes;
                    x += IWeightPlanes.StripLength * width;
                    scales += 2 * width;
                    halfSums += 2 * width;
                }

                header += TScales.HeaderBytes;
            }

            float* output = tile.Output + firstRow;
            Put<TIsa, TVector>(sum0, output, tile.Accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
        where TWidth : struct, ITileWidth
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        int width = TWidth.Value;
        int stride = 4 * width;
        TVector lowTable = TPlanes.LowTable<TIsa, TVector>();
        TVector highTable = TPlanes.HighTable<TIsa, TVector>();
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            int firstRow = part * rowsPerPart;
            byte* header = tile.Headers;
            byte* strip = tile.Strips + (4 * firstRow);
            byte* x = (byte*)tile.Values;
            float* scales = tile.Scales;
            float* halfSums = tile.HalfSums;
            TVector sum0 = TIsa.Zero;
            TVector sum1 = TIsa.Zero;
            TVector sum2 = TIsa.Zero;
            TVector sum3 = TIsa.Zero;
            for (int b = 0; b < tile.BlockCount; b++)
            {
                TVector factor = TScales.Factor<TIsa, TVector>(header, firstRow);
                TVector minimumFactor = TScales.MinimumFactor<TIsa, TVector>(header, firstRow);
                for (int s = 0; s < TScales.StripCount; s++)
                {
                    Prefetch<TPlanes>(strip);
                    TVector w0 = TPlanes.Low<TIsa, TVector>(strip, 0, lowTable);
                    TVector w1 = TPlanes.Low<TIsa, TVector>(strip, 1, lowTable);
                    TVector w2 = TPlanes.Low<TIsa, TVector>(strip, 2, lowTable);
                    TVector w3 = TPlanes.Low<TIsa, TVector>(strip, 3, lowTable);
                    TVector w4 = TPlanes.Low<TIsa, TVector>(strip, 4, lowTable);
                    TVector w5 = TPlanes.Low<TIsa, TVector>(strip, 5, lowTable);
                    TVector w6 = TPlanes.Low<TIsa, TVector>(strip, 6, lowTable);
                    TVector w7 = TPlanes.Low<TIsa, TVector>(strip, 7, lowTable);
                    if (TScales.IsPer16)
                    {
                        TVector scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, 2 * s);
                        TVector minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, 2 * s);
                        sum0 = AddHalf<TIsa, TVector, TPlanes>(sum0, w0, w1, w2, w3, scale, minimum, x + 0, stride, scales + 0, halfSums + 0);
                        sum1 = AddHalf<TIsa, TVector, TPlanes>(sum1, w0, w1, w2, w3, scale, minimum, x + 4, stride, scales + 1, halfSums + 1);
                        sum2 = AddHalf<TIsa, TVector, TPlanes>(sum2, w0, w1, w2, w3, scale, minimum, x + 8, stride, scales + 2, halfSums + 2);
                        sum3 = AddHalf<TIsa, TVector, TPlanes>(sum3, w0, w1, w2, w3, scale, minimum, x + 12, stride, scales + 3, halfSums + 3);
                        scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, (2 * s) + 1);
                        minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, (2 * s) + 1);
                        byte* y = x + (4 * stride);
                        float* sums = halfSums + width;
                        sum0 = AddHalf<TIsa, TVector, TPlanes>(sum0, w4, w5, w6, w7, scale, minimum, y + 0, stride, scales + 0, sums + 0);
                        sum1 = AddHalf<TIsa, TVector, TPlanes>(sum1, w4, w5, w6, w7, scale, minimum, y + 4, stride, scales + 1, sums + 1);
                        sum2 = AddHalf<TIsa, TVector, TPlanes>(sum2, w4, w5, w6, w7, scale, minimum, y + 8, stride, scales + 2, sums + 2);
                        sum3 = AddHalf<TIsa, TVector, TPlanes>(sum3, w4, w5, w6, w7, scale, minimum, y + 12, stride, scales + 3, sums + 3);
                    }
                    else
                    {
                        TVector scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, s);
                        TVector minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, s);
                        float* sums = scales + width;
                        if (TPlanes.IsSplit)
                        {
                            TVector v0 = TPlanes.High<TIsa, TVector>(strip, 0, highTable);
                            TVector v1 = TPlanes.High<TIsa, TVector>(strip, 1, highTable);
                            TVector v2 = TPlanes.High<TIsa, TVector>(strip, 2, highTable);
                            TVector v3 = TPlanes.High<TIsa, TVector>(strip, 3, highTable);
                            TVector v4 = TPlanes.High<TIsa, TVector>(strip, 4, highTable);
                            TVector v5 = TPlanes.High<TIsa, TVector>(strip, 5, highTable);
                            TVector v6 = TPlanes.High<TIsa, TVector>(strip, 6, highTable);
                            TVector v7 = TPlanes.High<TIsa, TVector>(strip, 7, highTable);
                            sum0 = AddSplit<TIsa, TVector>(sum0, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 0, stride, scales + 0, sums + 0);
                            sum1 = AddSplit<TIsa, TVector>(sum1, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 4, stride, scales + 1, sums + 1);
                            sum2 = AddSplit<TIsa, TVector>(sum2, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 8, stride, scales + 2, sums + 2);
                            sum3 = AddSplit<TIsa, TVector>(sum3, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 12, stride, scales + 3, sums + 3);
                        }
                        else
                        {
                            sum0 = Add<TIsa, TVector, TPlanes>(sum0, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 0, stride, scales + 0, sums + 0);
                            sum1 = Add<TIsa, TVector, TPlanes>(sum1, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 4, stride, scales + 1, sums + 1);
                            sum2 = Add<TIsa, TVector, TPlanes>(sum2, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 8, stride, scales + 2, sums + 2);
                            sum3 = Add<TIsa, TVector, TPlanes>(sum3, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 12, stride, scales + 3, sums + 3);
                        }
                    }

                    strip += TPlanes.StripBytes;
                    x += IWeightPlanes.StripLength * width;
                    scales += 2 * width;
                    halfSums += 2 * width;
                }

                header += TScales.HeaderBytes;
            }

            float* output = tile.Output + firstRow;
            int outputStride = tile.OutputStride;
            Put<TIsa, TVector>(sum0, output, tile.Accumulate);
            if (tile.ColumnCount > 1) Put<TIsa, TVector>(sum1, output + (1 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 2) Put<TIsa, TVector>(sum2, output + (2 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 3) Put<TIsa, TVector>(sum3, output + (3 * outputStride), tile.Accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile8<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
        where TWidth : struct, ITileWidth
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        int width = TWidth.Value;
        int stride = 4 * width;
        TVector lowTable = TPlanes.LowTable<TIsa, TVector>();
        TVector highTable = TPlanes.HighTable<TIsa, TVector>();
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            int firstRow = part * rowsPerPart;
            byte* header = tile.Headers;
            byte* strip = tile.Strips + (4 * firstRow);
            byte* x = (byte*)tile.Values;
            float* scales = tile.Scales;
            float* halfSums = tile.HalfSums;
            TVector sum0 = TIsa.Zero;
            TVector sum1 = TIsa.Zero;
            TVector sum2 = TIsa.Zero;
            TVector sum3 = TIsa.Zero;
            TVector sum4 = TIsa.Zero;
            TVector sum5 = TIsa.Zero;
            TVector sum6 = TIsa.Zero;
            TVector sum7 = TIsa.Zero;
            for (int b = 0; b < tile.BlockCount; b++)
            {
                TVector factor = TScales.Factor<TIsa, TVector>(header, firstRow);
                TVector minimumFactor = TScales.MinimumFactor<TIsa, TVector>(header, firstRow);
                for (int s = 0; s < TScales.StripCount; s++)
                {
                    TVector w0 = TPlanes.Low<TIsa, TVector>(strip, 0, lowTable);
                    TVector w1 = TPlanes.Low<TIsa, TVector>(strip, 1, lowTable);
                    TVector w2 = TPlanes.Low<TIsa, TVector>(strip, 2, lowTable);
                    TVector w3 = TPlanes.Low<TIsa, TVector>(strip, 3, lowTable);
                    TVector w4 = TPlanes.Low<TIsa, TVector>(strip, 4, lowTable);
                    TVector w5 = TPlanes.Low<TIsa, TVector>(strip, 5, lowTable);
                    TVector w6 = TPlanes.Low<TIsa, TVector>(strip, 6, lowTable);
                    TVector w7 = TPlanes.Low<TIsa, TVector>(strip, 7, lowTable);
                    if (TScales.IsPer16)
                    {
                        TVector scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, 2 * s);
                        TVector minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, 2 * s);
                        sum0 = AddHalf<TIsa, TVector, TPlanes>(sum0, w0, w1, w2, w3, scale, minimum, x + 0, stride, scales + 0, halfSums + 0);
                        sum1 = AddHalf<TIsa, TVector, TPlanes>(sum1, w0, w1, w2, w3, scale, minimum, x + 4, stride, scales + 1, halfSums + 1);
                        sum2 = AddHalf<TIsa, TVector, TPlanes>(sum2, w0, w1, w2, w3, scale, minimum, x + 8, stride, scales + 2, halfSums + 2);
                        sum3 = AddHalf<TIsa, TVector, TPlanes>(sum3, w0, w1, w2, w3, scale, minimum, x + 12, stride, scales + 3, halfSums + 3);
                        sum4 = AddHalf<TIsa, TVector, TPlanes>(sum4, w0, w1, w2, w3, scale, minimum, x + 16, stride, scales + 4, halfSums + 4);
                        sum5 = AddHalf<TIsa, TVector, TPlanes>(sum5, w0, w1, w2, w3, scale, minimum, x + 20, stride, scales + 5, halfSums + 5);
                        sum6 = AddHalf<TIsa, TVector, TPlanes>(sum6, w0, w1, w2, w3, scale, minimum, x + 24, stride, scales + 6, halfSums + 6);
                        sum7 = AddHalf<TIsa, TVector, TPlanes>(sum7, w0, w1, w2, w3, scale, minimum, x + 28, stride, scales + 7, halfSums + 7);
                        scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, (2 * s) + 1);
                        minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, (2 * s) + 1);
                        byte* y = x + (4 * stride);
                        float* sums = halfSums + width;
                        sum0 = AddHalf<TIsa, TVector, TPlanes>(sum0, w4, w5, w6, w7, scale, minimum, y + 0, stride, scales + 0, sums + 0);
                        sum1 = AddHalf<TIsa, TVector, TPlanes>(sum1, w4, w5, w6, w7, scale, minimum, y + 4, stride, scales + 1, sums + 1);
                        sum2 = AddHalf<TIsa, TVector, TPlanes>(sum2, w4, w5, w6, w7, scale, minimum, y + 8, stride, scales + 2, sums + 2);
                        sum3 = AddHalf<TIsa, TVector, TPlanes>(sum3, w4, w5, w6, w7, scale, minimum, y + 12, stride, scales + 3, sums + 3);
                        sum4 = AddHalf<TIsa, TVector, TPlanes>(sum4, w4, w5, w6, w7, scale, minimum, y + 16, stride, scales + 4, sums + 4);
                        sum5 = AddHalf<TIsa, TVector, TPlanes>(sum5, w4, w5, w6, w7, scale, minimum, y + 20, stride, scales + 5, sums + 5);
                        sum6 = AddHalf<TIsa, TVector, TPlanes>(sum6, w4, w5, w6, w7, scale, minimum, y + 24, stride, scales + 6, sums + 6);
                        sum7 = AddHalf<TIsa, TVector, TPlanes>(sum7, w4, w5, w6, w7, scale, minimum, y + 28, stride, scales + 7, sums + 7);
                    }
                    else
                    {
                        TVector scale = TScales.Scale<TIsa, TVector>(factor, header, firstRow, s);
                        TVector minimum = Minimum<TIsa, TVector, TPlanes, TScales>(scale, minimumFactor, header, firstRow, s);
                        float* sums = scales + width;
                        if (TPlanes.IsSplit)
                        {
                            TVector v0 = TPlanes.High<TIsa, TVector>(strip, 0, highTable);
                            TVector v1 = TPlanes.High<TIsa, TVector>(strip, 1, highTable);
                            TVector v2 = TPlanes.High<TIsa, TVector>(strip, 2, highTable);
                            TVector v3 = TPlanes.High<TIsa, TVector>(strip, 3, highTable);
                            TVector v4 = TPlanes.High<TIsa, TVector>(strip, 4, highTable);
                            TVector v5 = TPlanes.High<TIsa, TVector>(strip, 5, highTable);
                            TVector v6 = TPlanes.High<TIsa, TVector>(strip, 6, highTable);
                            TVector v7 = TPlanes.High<TIsa, TVector>(strip, 7, highTable);
                            sum0 = AddSplit<TIsa, TVector>(sum0, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 0, stride, scales + 0, sums + 0);
                            sum1 = AddSplit<TIsa, TVector>(sum1, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 4, stride, scales + 1, sums + 1);
                            sum2 = AddSplit<TIsa, TVector>(sum2, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 8, stride, scales + 2, sums + 2);
                            sum3 = AddSplit<TIsa, TVector>(sum3, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 12, stride, scales + 3, sums + 3);
                            sum4 = AddSplit<TIsa, TVector>(sum4, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 16, stride, scales + 4, sums + 4);
                            sum5 = AddSplit<TIsa, TVector>(sum5, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 20, stride, scales + 5, sums + 5);
                            sum6 = AddSplit<TIsa, TVector>(sum6, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 24, stride, scales + 6, sums + 6);
                            sum7 = AddSplit<TIsa, TVector>(sum7, w0, w1, w2, w3, w4, w5, w6, w7, v0, v1, v2, v3, v4, v5, v6, v7, scale, minimum, x + 28, stride, scales + 7, sums + 7);
                        }
                        else
                        {
                            sum0 = Add<TIsa, TVector, TPlanes>(sum0, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 0, stride, scales + 0, sums + 0);
                            sum1 = Add<TIsa, TVector, TPlanes>(sum1, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 4, stride, scales + 1, sums + 1);
                            sum2 = Add<TIsa, TVector, TPlanes>(sum2, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 8, stride, scales + 2, sums + 2);
                            sum3 = Add<TIsa, TVector, TPlanes>(sum3, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 12, stride, scales + 3, sums + 3);
                            sum4 = Add<TIsa, TVector, TPlanes>(sum4, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 16, stride, scales + 4, sums + 4);
                            sum5 = Add<TIsa, TVector, TPlanes>(sum5, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 20, stride, scales + 5, sums + 5);
                            sum6 = Add<TIsa, TVector, TPlanes>(sum6, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 24, stride, scales + 6, sums + 6);
                            sum7 = Add<TIsa, TVector, TPlanes>(sum7, w0, w1, w2, w3, w4, w5, w6, w7, scale, minimum, x + 28, stride, scales + 7, sums + 7);
                        }
                    }

                    strip += TPlanes.StripBytes;
                    x += IWeightPlanes.StripLength * width;
                    scales += 2 * width;
                    halfSums += 2 * width;
                }

                header += TScales.HeaderBytes;
            }

            float* output = tile.Output + firstRow;
            int outputStride = tile.OutputStride;
            Put<TIsa, TVector>(sum0, output, tile.Accumulate);
            if (tile.ColumnCount > 1) Put<TIsa, TVector>(sum1, output + (1 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 2) Put<TIsa, TVector>(sum2, output + (2 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 3) Put<TIsa, TVector>(sum3, output + (3 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 4) Put<TIsa, TVector>(sum4, output + (4 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 5) Put<TIsa, TVector>(sum5, output + (5 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 6) Put<TIsa, TVector>(sum6, output + (6 * outputStride), tile.Accumulate);
            if (tile.ColumnCount > 7) Put<TIsa, TVector>(sum7, output + (7 * outputStride), tile.Accumulate);
        }
    }
}
