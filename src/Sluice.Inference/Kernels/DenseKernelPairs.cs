using System.Runtime.CompilerServices;

namespace Sluice.Inference.Kernels;

/// <content>
/// The loop for registers of half a group: both halves in one pass, so that memory is read while there is something to multiply, and a
/// broadcast value serves both. There are 16 registers; what doesn't fit are the sums, which are needed once a strip. Each kind of type has a
/// method of its own: the compiler gives up on registers in a method that holds them all.
/// </content>
internal static unsafe partial class DenseKernel
{
    // From one half of a strip's vector to the other, and of a header's bytes.
    private const int HalfVector = 32;
    private const int HalfRows = PackedMatrix.GroupRows / 2;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pair1<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
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
        TVector s0 = TIsa.Zero;
        TVector t0 = TIsa.Zero;
        for (int b = 0; b < tile.BlockCount; b++)
        {
            TVector factor0 = TScales.Factor<TIsa, TVector>(header, 0);
            TVector factor1 = TScales.Factor<TIsa, TVector>(header, HalfRows);
            TVector minimumFactor0 = TScales.MinimumFactor<TIsa, TVector>(header, 0);
            TVector minimumFactor1 = TScales.MinimumFactor<TIsa, TVector>(header, HalfRows);
            for (int s = 0; s < TScales.StripCount; s++)
            {
                Prefetch<TPlanes>(strip);
                TVector a0 = TIsa.Zero;
                TVector b0 = TIsa.Zero;
                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 0, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 0, table);
                    TVector x0 = TIsa.BroadcastInt32(x);
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 1, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 1, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (1 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 2, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 2, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (2 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 3, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 3, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (3 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                TVector c0 = a0;
                TVector d0 = b0;
                if (TPlanes.SumLimit == 4)
                {
                    a0 = TIsa.Zero;
                    b0 = TIsa.Zero;
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 4, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 4, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (4 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 5, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 5, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (5 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 6, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 6, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (6 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 7, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 7, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (7 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                }

                TVector scale0 = TScales.Scale<TIsa, TVector>(factor0, header, 0, s);
                TVector minimum0 = Minimum<TIsa, TVector, TPlanes, TScales>(scale0, minimumFactor0, header, 0, s);
                TVector scale1 = TScales.Scale<TIsa, TVector>(factor1, header, HalfRows, s);
                TVector minimum1 = Minimum<TIsa, TVector, TPlanes, TScales>(scale1, minimumFactor1, header, HalfRows, s);
                float* sums = scales + width;
                s0 = TIsa.AddScaled(s0, SumStrip<TIsa, TVector, TPlanes>(c0, a0), scale0, minimum0, scales, sums);
                t0 = TIsa.AddScaled(t0, SumStrip<TIsa, TVector, TPlanes>(d0, b0), scale1, minimum1, scales, sums);

                strip += TPlanes.StripBytes;
                x += IWeightPlanes.StripLength * width;
                scales += 2 * width;
            }

            header += TScales.HeaderBytes;
        }

        float* output = tile.Output;
        Put<TIsa, TVector>(s0, output, tile.Accumulate);
        Put<TIsa, TVector>(t0, output + HalfRows, tile.Accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pair2<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
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
            for (int s = 0; s < TScales.StripCount; s++)
            {
                Prefetch<TPlanes>(strip);
                TVector a0 = TIsa.Zero;
                TVector b0 = TIsa.Zero;
                TVector a1 = TIsa.Zero;
                TVector b1 = TIsa.Zero;
                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 0, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 0, table);
                    TVector x0 = TIsa.BroadcastInt32(x);
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 1, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 1, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (1 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (1 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 2, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 2, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (2 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (2 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 3, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 3, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (3 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (3 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                TVector c0 = a0;
                TVector d0 = b0;
                TVector c1 = a1;
                TVector d1 = b1;
                if (TPlanes.SumLimit == 4)
                {
                    a0 = TIsa.Zero;
                    b0 = TIsa.Zero;
                    a1 = TIsa.Zero;
                    b1 = TIsa.Zero;
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 4, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 4, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (4 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (4 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 5, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 5, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (5 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (5 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 6, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 6, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (6 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (6 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                {
                    TVector w = TPlanes.Low<TIsa, TVector>(strip, 7, table);
                    TVector v = TPlanes.Low<TIsa, TVector>(strip + HalfVector, 7, table);
                    TVector x0 = TIsa.BroadcastInt32(x + (7 * stride));
                    a0 = TIsa.MultiplyAddPairs(a0, w, x0);
                    b0 = TIsa.MultiplyAddPairs(b0, v, x0);
                    TVector x1 = TIsa.BroadcastInt32(x + (7 * stride) + 4);
                    a1 = TIsa.MultiplyAddPairs(a1, w, x1);
                    b1 = TIsa.MultiplyAddPairs(b1, v, x1);
                }

                TVector scale0 = TScales.Scale<TIsa, TVector>(factor0, header, 0, s);
                TVector minimum0 = Minimum<TIsa, TVector, TPlanes, TScales>(scale0, minimumFactor0, header, 0, s);
                TVector scale1 = TScales.Scale<TIsa, TVector>(factor1, header, HalfRows, s);
                TVector minimum1 = Minimum<TIsa, TVector, TPlanes, TScales>(scale1, minimumFactor1, header, HalfRows, s);
                float* sums = scales + width;
                s0 = TIsa.AddScaled(s0, SumStrip<TIsa, TVector, TPlanes>(c0, a0), scale0, minimum0, scales, sums);
                t0 = TIsa.AddScaled(t0, SumStrip<TIsa, TVector, TPlanes>(d0, b0), scale1, minimum1, scales, sums);
                s1 = TIsa.AddScaled(s1, SumStrip<TIsa, TVector, TPlanes>(c1, a1), scale0, minimum0, scales + 1, sums + 1);
                t1 = TIsa.AddScaled(t1, SumStrip<TIsa, TVector, TPlanes>(d1, b1), scale1, minimum1, scales + 1, sums + 1);

                strip += TPlanes.StripBytes;
                x += IWeightPlanes.StripLength * width;
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

    // What was summed of the first half of a strip counts apart where 16 bits don't hold both.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector SumStrip<TIsa, TVector, TPlanes>(TVector first, TVector all)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes =>
        TPlanes.SumLimit == 4 ? TIsa.SumBothToSingle(first, all) : TIsa.SumPairsToSingle(all);
}
