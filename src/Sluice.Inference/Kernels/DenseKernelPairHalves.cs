using System.Runtime.CompilerServices;

namespace Sluice.Inference.Kernels;

/// <content>
/// As in the pairs of strips, for types with a scale for 16 values. What their bits say is written down for a block first, in a method of its own:
/// the compiler inlines only so much into one.
/// </content>
internal static unsafe partial class DenseKernel
{
    // Of 16 rows and 256 values.
    private const int CodeBytes = 8 * 8 * BitPlanes.PlaneBytes;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PairHalves1<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
        where TWidth : struct, ITileWidth
    {
        int width = TWidth.Value;
        int stride = 4 * width;
        TVector table = TPlanes.LowTable<TIsa, TVector>();
        byte* header = tile.Headers;
        byte* strip = tile.Strips;
        byte* x = (byte*)tile.Values;
        float* scales = tile.Scales;
        float* halfSums = tile.HalfSums;
        byte* code = tile.Codes;
        bool isUnpacked = code != null;
        byte* buffer = stackalloc byte[isUnpacked ? 1 : CodeBytes];
        TVector s0 = TIsa.Zero;
        TVector t0 = TIsa.Zero;
        for (int b = 0; b < tile.BlockCount; b++)
        {
            TVector factor0 = TScales.Factor<TIsa, TVector>(header, 0);
            TVector factor1 = TScales.Factor<TIsa, TVector>(header, HalfRows);
            TVector minimumFactor0 = TScales.MinimumFactor<TIsa, TVector>(header, 0);
            TVector minimumFactor1 = TScales.MinimumFactor<TIsa, TVector>(header, HalfRows);
            if (!isUnpacked)
            {
                UnpackBlock<TIsa, TVector, TPlanes>(strip, buffer, table);
                strip += TScales.StripCount * TPlanes.StripBytes;
                code = buffer;
            }

            for (int s = 0; s < TScales.StripCount; s++)
            {
                for (int half = 0; half < 2; half++)
                {
                    TVector a0 = TIsa.Zero;
                    TVector b0 = TIsa.Zero;
                    {
                        TVector w = TIsa.Load(code);
                        TVector v = TIsa.Load(code + 32);
                        TVector x0 = TIsa.BroadcastInt32(x);
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    }

                    {
                        TVector w = TIsa.Load(code + 64);
                        TVector v = TIsa.Load(code + 96);
                        TVector x0 = TIsa.BroadcastInt32(x + (1 * stride));
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    }

                    {
                        TVector w = TIsa.Load(code + 128);
                        TVector v = TIsa.Load(code + 160);
                        TVector x0 = TIsa.BroadcastInt32(x + (2 * stride));
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    }

                    {
                        TVector w = TIsa.Load(code + 192);
                        TVector v = TIsa.Load(code + 224);
                        TVector x0 = TIsa.BroadcastInt32(x + (3 * stride));
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    }

                    TVector scale0 = TScales.Scale<TIsa, TVector>(factor0, header, 0, (2 * s) + half);
                    TVector minimum0 = Minimum<TIsa, TVector, TPlanes, TScales>(scale0, minimumFactor0, header, 0, (2 * s) + half);
                    TVector scale1 = TScales.Scale<TIsa, TVector>(factor1, header, HalfRows, (2 * s) + half);
                    TVector minimum1 = Minimum<TIsa, TVector, TPlanes, TScales>(scale1, minimumFactor1, header, HalfRows, (2 * s) + half);
                    s0 = TIsa.AddScaled(s0, TIsa.SumPairsToSingle(a0), scale0, minimum0, scales, halfSums);
                    t0 = TIsa.AddScaled(t0, TIsa.SumPairsToSingle(b0), scale1, minimum1, scales, halfSums);
                    code += 4 * BitPlanes.PlaneBytes;
                    x += 4 * stride;
                    halfSums += width;
                }

                scales += 2 * width;
            }

            header += TScales.HeaderBytes;
        }

        float* output = tile.Output;
        Put<TIsa, TVector>(s0, output, tile.Accumulate);
        Put<TIsa, TVector>(t0, output + HalfRows, tile.Accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PairHalves2<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
        where TWidth : struct, ITileWidth
    {
        int width = TWidth.Value;
        int stride = 4 * width;
        TVector table = TPlanes.LowTable<TIsa, TVector>();
        byte* header = tile.Headers;
        byte* strip = tile.Strips;
        byte* x = (byte*)tile.Values;
        float* scales = tile.Scales;
        float* halfSums = tile.HalfSums;
        byte* code = tile.Codes;
        bool isUnpacked = code != null;
        byte* buffer = stackalloc byte[isUnpacked ? 1 : CodeBytes];
        TVector s0 = TIsa.Zero;
        TVector s1 = TIsa.Zero;
        TVector t0 = TIsa.Zero;
        TVector t1 = TIsa.Zero;
        for (int b = 0; b < tile.BlockCount; b++)
        {
            TVector factor0 = TScales.Factor<TIsa, TVector>(header, 0);
            TVector factor1 = TScales.Factor<TIsa, TVector>(header, HalfRows);
            TVector minimumFactor0 = TScales.MinimumFactor<TIsa, TVector>(header, 0);
            TVector minimumFactor1 = TScales.MinimumFactor<TIsa, TVector>(header, HalfRows);
            if (!isUnpacked)
            {
                UnpackBlock<TIsa, TVector, TPlanes>(strip, buffer, table);
                strip += TScales.StripCount * TPlanes.StripBytes;
                code = buffer;
            }

            for (int s = 0; s < TScales.StripCount; s++)
            {
                for (int half = 0; half < 2; half++)
                {
                    TVector a0 = TIsa.Zero;
                    TVector b0 = TIsa.Zero;
                    TVector a1 = TIsa.Zero;
                    TVector b1 = TIsa.Zero;
                    {
                        TVector w = TIsa.Load(code);
                        TVector v = TIsa.Load(code + 32);
                        TVector x0 = TIsa.BroadcastInt32(x);
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                        TVector x1 = TIsa.BroadcastInt32(x + 4);
                        a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                        b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                    }

                    {
                        TVector w = TIsa.Load(code + 64);
                        TVector v = TIsa.Load(code + 96);
                        TVector x0 = TIsa.BroadcastInt32(x + (1 * stride));
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                        TVector x1 = TIsa.BroadcastInt32(x + (1 * stride) + 4);
                        a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                        b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                    }

                    {
                        TVector w = TIsa.Load(code + 128);
                        TVector v = TIsa.Load(code + 160);
                        TVector x0 = TIsa.BroadcastInt32(x + (2 * stride));
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                        TVector x1 = TIsa.BroadcastInt32(x + (2 * stride) + 4);
                        a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                        b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                    }

                    {
                        TVector w = TIsa.Load(code + 192);
                        TVector v = TIsa.Load(code + 224);
                        TVector x0 = TIsa.BroadcastInt32(x + (3 * stride));
                        a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                        b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                        TVector x1 = TIsa.BroadcastInt32(x + (3 * stride) + 4);
                        a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                        b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                    }

                    TVector scale0 = TScales.Scale<TIsa, TVector>(factor0, header, 0, (2 * s) + half);
                    TVector minimum0 = Minimum<TIsa, TVector, TPlanes, TScales>(scale0, minimumFactor0, header, 0, (2 * s) + half);
                    TVector scale1 = TScales.Scale<TIsa, TVector>(factor1, header, HalfRows, (2 * s) + half);
                    TVector minimum1 = Minimum<TIsa, TVector, TPlanes, TScales>(scale1, minimumFactor1, header, HalfRows, (2 * s) + half);
                    s0 = TIsa.AddScaled(s0, TIsa.SumPairsToSingle(a0), scale0, minimum0, scales, halfSums);
                    t0 = TIsa.AddScaled(t0, TIsa.SumPairsToSingle(b0), scale1, minimum1, scales, halfSums);
                    s1 = TIsa.AddScaled(s1, TIsa.SumPairsToSingle(a1), scale0, minimum0, scales + 1, halfSums + 1);
                    t1 = TIsa.AddScaled(t1, TIsa.SumPairsToSingle(b1), scale1, minimum1, scales + 1, halfSums + 1);
                    code += 4 * BitPlanes.PlaneBytes;
                    x += 4 * stride;
                    halfSums += width;
                }

                scales += 2 * width;
            }

            header += TScales.HeaderBytes;
        }

        float* output = tile.Output;
        int outputStride = tile.OutputStride;
        Put<TIsa, TVector>(s0, output, tile.Accumulate);
        Put<TIsa, TVector>(t0, output + HalfRows, tile.Accumulate);
        if (tile.ColumnCount > 1) Put<TIsa, TVector>(s1, output + (1 * outputStride), tile.Accumulate);
        if (tile.ColumnCount > 1) Put<TIsa, TVector>(t1, output + (1 * outputStride) + HalfRows, tile.Accumulate);
    }

    // Vectors as in planes of whole bytes: eight a strip, each of two halves.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackBlock<TIsa, TVector, TPlanes>(byte* strip, byte* codes, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
    {
        for (int s = 0; s < 8; s++)
        {
            Prefetch<TPlanes>(strip);
            for (int part = 0; part < 2; part++)
            {
                byte* half = strip + (part * HalfVector);
                byte* target = codes + (part * HalfVector);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 0, table), (float*)target);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 1, table), (float*)target + 16);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 2, table), (float*)target + 32);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 3, table), (float*)target + 48);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 4, table), (float*)target + 64);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 5, table), (float*)target + 80);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 6, table), (float*)target + 96);
                TIsa.Store(TPlanes.Low<TIsa, TVector>(half, 7, table), (float*)target + 112);
            }

            strip += TPlanes.StripBytes;
            codes += 8 * BitPlanes.PlaneBytes;
        }
    }
}
