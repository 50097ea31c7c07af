using System.Runtime.CompilerServices;

namespace Sluice.Inference.Kernels;

/// <content>The loop for registers of half a group: both halves in one pass, as in <see cref="DenseKernel"/>.</content>
internal static unsafe partial class QuantizedKernel
{
    // From one half of a vector of 16 rows to the other, and of their scales.
    private const int HalfVector = 32;
    private const int HalfScales = PackedMatrix.GroupRows;
    private const int HalfRows = PackedMatrix.GroupRows / 2;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pair1<TIsa, TVector, TFormat, TWidth>(in Tile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IBlockFormat
        where TWidth : struct, ITileWidth
    {
        int width = TWidth.Value;
        int stride = 4 * width;
        byte* block = tile.Weights;
        byte* x = (byte*)tile.Values;
        float* scales = tile.Scales;
        TVector s0 = TIsa.Zero;
        TVector t0 = TIsa.Zero;
        for (int i = 0; i < tile.BlockCount; i++)
        {
            byte* weights = block + (4 * HalfScales);
            Prefetch<TFormat>(weights);
            TVector a0 = TIsa.Zero;
            TVector b0 = TIsa.Zero;
            if (TFormat.IsByte)
            {
                TVector c0 = TIsa.Zero;
                TVector e0 = TIsa.Zero;
                for (int j = 0; j < ActivationLayout.BlockLength / 4; j++)
                {
                    TVector v = TIsa.BroadcastInt32(x + (j * stride));
                    TVector bytes = TIsa.Load(weights + (j * 64));
                    a0 = TIsa.MultiplyAddPairs(a0, TIsa.LowNibbles(bytes), v);
                    c0 = TIsa.MultiplyAddPairs(c0, TIsa.HighNibbles(bytes), v);
                    bytes = TIsa.Load(weights + (j * 64) + HalfVector);
                    b0 = TIsa.MultiplyAddPairs(b0, TIsa.LowNibbles(bytes), v);
                    e0 = TIsa.MultiplyAddPairs(e0, TIsa.HighNibbles(bytes), v);
                }

                a0 = TIsa.CombinePlanesToSingle(a0, c0);
                b0 = TIsa.CombinePlanesToSingle(b0, e0);
            }
            else
            {
                for (int j = 0; j < 4; j++)
                {
                    TVector low = TIsa.Load(weights + (j * 64));
                    TVector high = TIsa.Load(weights + (j * 64) + HalfVector);
                    byte* y = x + (j * stride);
                    TVector w0 = TIsa.LowNibbles(low);
                    TVector v0 = TIsa.LowNibbles(high);
                    TVector x00 = TIsa.BroadcastInt32(y);
                    a0 = TIsa.MultiplyAddPairs(a0, w0, x00);
                    b0 = TIsa.MultiplyAddPairs(b0, v0, x00);
                    y += 4 * stride;
                    TVector w1 = TIsa.HighNibbles(low);
                    TVector v1 = TIsa.HighNibbles(high);
                    TVector x01 = TIsa.BroadcastInt32(y);
                    a0 = TIsa.MultiplyAddPairs(a0, w1, x01);
                    b0 = TIsa.MultiplyAddPairs(b0, v1, x01);
                }

                a0 = TIsa.SumPairsToSingle(a0);
                b0 = TIsa.SumPairsToSingle(b0);
            }

            float* sums = scales + width;
            byte* minima = block + (2 * HalfScales);
            TVector d0 = TIsa.LoadHalf(block);
            TVector d1 = TIsa.LoadHalf(block + HalfScales);
            TVector m0 = TIsa.LoadHalf(minima);
            TVector m1 = TIsa.LoadHalf(minima + HalfScales);
            s0 = TIsa.AddScaled(s0, a0, d0, m0, scales, sums);
            t0 = TIsa.AddScaled(t0, b0, d1, m1, scales, sums);
            block += BlockBytes<TFormat>();
            x += ActivationLayout.BlockLength * width;
            scales += 2 * width;
        }

        float* output = tile.Output;
        Put<TIsa, TVector>(s0, output, tile.Accumulate);
        Put<TIsa, TVector>(t0, output + HalfRows, tile.Accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pair4<TIsa, TVector, TFormat, TWidth>(in Tile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IBlockFormat
        where TWidth : struct, ITileWidth
    {
        int width = TWidth.Value;
        int stride = 4 * width;
        byte* block = tile.Weights;
        byte* x = (byte*)tile.Values;
        float* scales = tile.Scales;
        TVector s0 = TIsa.Zero;
        TVector s1 = TIsa.Zero;
        TVector s2 = TIsa.Zero;
        TVector s3 = TIsa.Zero;
        TVector t0 = TIsa.Zero;
        TVector t1 = TIsa.Zero;
        TVector t2 = TIsa.Zero;
        TVector t3 = TIsa.Zero;
        for (int i = 0; i < tile.BlockCount; i++)
        {
            byte* weights = block + (4 * HalfScales);
            Prefetch<TFormat>(weights);
            TVector a0 = TIsa.Zero;
            TVector b0 = TIsa.Zero;
            TVector a1 = TIsa.Zero;
            TVector b1 = TIsa.Zero;
            TVector a2 = TIsa.Zero;
            TVector b2 = TIsa.Zero;
            TVector a3 = TIsa.Zero;
            TVector b3 = TIsa.Zero;
            for (int j = 0; j < 4; j++)
            {
                TVector low = TIsa.Load(weights + (j * 64));
                TVector high = TIsa.Load(weights + (j * 64) + HalfVector);
                byte* y = x + (j * stride);
                TVector w0 = TIsa.LowNibbles(low);
                TVector v0 = TIsa.LowNibbles(high);
                TVector x00 = TIsa.BroadcastInt32(y);
                a0 = TIsa.MultiplyAddPairs(a0, w0, x00);
                b0 = TIsa.MultiplyAddPairs(b0, v0, x00);
                TVector x10 = TIsa.BroadcastInt32(y + 4);
                a1 = TIsa.MultiplyAddPairs(a1, w0, x10);
                b1 = TIsa.MultiplyAddPairs(b1, v0, x10);
                TVector x20 = TIsa.BroadcastInt32(y + 8);
                a2 = TIsa.MultiplyAddPairs(a2, w0, x20);
                b2 = TIsa.MultiplyAddPairs(b2, v0, x20);
                TVector x30 = TIsa.BroadcastInt32(y + 12);
                a3 = TIsa.MultiplyAddPairs(a3, w0, x30);
                b3 = TIsa.MultiplyAddPairs(b3, v0, x30);
                y += 4 * stride;
                TVector w1 = TIsa.HighNibbles(low);
                TVector v1 = TIsa.HighNibbles(high);
                TVector x01 = TIsa.BroadcastInt32(y);
                a0 = TIsa.MultiplyAddPairs(a0, w1, x01);
                b0 = TIsa.MultiplyAddPairs(b0, v1, x01);
                TVector x11 = TIsa.BroadcastInt32(y + 4);
                a1 = TIsa.MultiplyAddPairs(a1, w1, x11);
                b1 = TIsa.MultiplyAddPairs(b1, v1, x11);
                TVector x21 = TIsa.BroadcastInt32(y + 8);
                a2 = TIsa.MultiplyAddPairs(a2, w1, x21);
                b2 = TIsa.MultiplyAddPairs(b2, v1, x21);
                TVector x31 = TIsa.BroadcastInt32(y + 12);
                a3 = TIsa.MultiplyAddPairs(a3, w1, x31);
                b3 = TIsa.MultiplyAddPairs(b3, v1, x31);
            }

            a0 = TIsa.SumPairsToSingle(a0);
            b0 = TIsa.SumPairsToSingle(b0);
            a1 = TIsa.SumPairsToSingle(a1);
            b1 = TIsa.SumPairsToSingle(b1);
            a2 = TIsa.SumPairsToSingle(a2);
            b2 = TIsa.SumPairsToSingle(b2);
            a3 = TIsa.SumPairsToSingle(a3);
            b3 = TIsa.SumPairsToSingle(b3);

            float* sums = scales + width;
            byte* minima = block + (2 * HalfScales);
            TVector d0 = TIsa.LoadHalf(block);
            TVector d1 = TIsa.LoadHalf(block + HalfScales);
            TVector m0 = TIsa.LoadHalf(minima);
            TVector m1 = TIsa.LoadHalf(minima + HalfScales);
            s0 = TIsa.AddScaled(s0, a0, d0, m0, scales, sums);
            t0 = TIsa.AddScaled(t0, b0, d1, m1, scales, sums);
            s1 = TIsa.AddScaled(s1, a1, d0, m0, scales + 1, sums + 1);
            t1 = TIsa.AddScaled(t1, b1, d1, m1, scales + 1, sums + 1);
            s2 = TIsa.AddScaled(s2, a2, d0, m0, scales + 2, sums + 2);
            t2 = TIsa.AddScaled(t2, b2, d1, m1, scales + 2, sums + 2);
            s3 = TIsa.AddScaled(s3, a3, d0, m0, scales + 3, sums + 3);
            t3 = TIsa.AddScaled(t3, b3, d1, m1, scales + 3, sums + 3);
            block += BlockBytes<TFormat>();
            x += ActivationLayout.BlockLength * width;
            scales += 2 * width;
        }

        float* output = tile.Output;
        int outputStride = tile.OutputStride;
        Put<TIsa, TVector>(s0, output, tile.Accumulate);
        Put<TIsa, TVector>(t0, output + HalfRows, tile.Accumulate);
        if (tile.ColumnCount > 1) Put<TIsa, TVector>(s1, output + (1 * outputStride), tile.Accumulate);
        if (tile.ColumnCount > 1) Put<TIsa, TVector>(t1, output + (1 * outputStride) + HalfRows, tile.Accumulate);
        if (tile.ColumnCount > 2) Put<TIsa, TVector>(s2, output + (2 * outputStride), tile.Accumulate);
        if (tile.ColumnCount > 2) Put<TIsa, TVector>(t2, output + (2 * outputStride) + HalfRows, tile.Accumulate);
        if (tile.ColumnCount > 3) Put<TIsa, TVector>(s3, output + (3 * outputStride), tile.Accumulate);
        if (tile.ColumnCount > 3) Put<TIsa, TVector>(t3, output + (3 * outputStride) + HalfRows, tile.Accumulate);
    }
}
