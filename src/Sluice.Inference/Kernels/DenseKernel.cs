using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Sluice.Inference.Kernels;

/// <summary>
/// Products of densely packed weights with quantised activations. For every (row, column) the order of operations is the same whatever the
/// number of columns and whatever the instruction set: per scale one exact integer sum, then two fused multiply-adds. A strip's weights are
/// unpacked once into registers and meet all columns of the tile. The columns are written out, because only local variables stay in registers.
/// </summary>
internal static unsafe partial class DenseKernel
{
    // As in QuantizedKernel.
    private const int PrefetchDistance = 6 << 10;

    // From so many columns on, and up to so long rows, a group is unpacked once for all of them: on the stack, within a second-level cache.
    private const int UnpackedColumnsMin = 16;
    private const int UnpackedLengthMax = 16_384;

    /// <summary>Multiplies one group of 16 rows with all columns of a batch.</summary>
    /// <param name="headers">Headers of the group's blocks.</param>
    /// <param name="strips">Strips of the group.</param>
    /// <param name="activations">The batch's columns.</param>
    /// <param name="output">Row 0 of the group in column 0; shape (columns, outputStride).</param>
    /// <param name="outputStride">Floats from one column to the next.</param>
    /// <param name="accumulate">Whether results are added to <paramref name="output"/>.</param>
    public static void MultiplyGroup<TIsa, TVector, TPlanes, TScales>(
        byte* headers, byte* strips, QuantizedActivations activations, float* output, int outputStride, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
    {
        bool isUnpacked = TIsa.PartCount == 2 && TScales.IsPer16 && TPlanes.SumLimit > 1
            && activations.ColumnCount >= UnpackedColumnsMin && activations.Length <= UnpackedLengthMax;
        if (isUnpacked)
        {
            MultiplyUnpacked<TIsa, TVector, TPlanes, TScales>(headers, strips, activations, output, outputStride, accumulate);
        }
        else
        {
            MultiplyTiles<TIsa, TVector, TPlanes, TScales>(headers, strips, null, activations, output, outputStride, accumulate);
        }
    }

    private static void MultiplyUnpacked<TIsa, TVector, TPlanes, TScales>(
        byte* headers, byte* strips, QuantizedActivations activations, float* output, int outputStride, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
    {
        byte* codes = stackalloc byte[PackedMatrix.GroupRows * activations.Length];
        TVector table = TPlanes.LowTable<TIsa, TVector>();
        int blockCount = activations.Length / (IWeightPlanes.StripLength * TScales.StripCount);
        for (int block = 0; block < blockCount; block++)
        {
            UnpackBlock<TIsa, TVector, TPlanes>(strips + ((long)block * TScales.StripCount * TPlanes.StripBytes), codes + (block * CodeBytes), table);
        }

        MultiplyTiles<TIsa, TVector, TPlanes, TScales>(headers, strips, codes, activations, output, outputStride, accumulate);
    }

    private static void MultiplyTiles<TIsa, TVector, TPlanes, TScales>(
        byte* headers, byte* strips, byte* codes, QuantizedActivations activations, float* output, int outputStride, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
    {
        int columnCount = activations.ColumnCount;
        DenseTile tile = default;
        tile.Codes = codes;
        tile.Headers = headers;
        tile.Strips = strips;
        tile.BlockCount = activations.Length / (IWeightPlanes.StripLength * TScales.StripCount);
        tile.OutputStride = outputStride;
        tile.Accumulate = accumulate;
        for (int start = 0; start < columnCount; start += ActivationLayout.TileWidthMax)
        {
            int width = ActivationLayout.TileWidth(start, columnCount);
            tile.Values = activations.TileValues(start);
            tile.Scales = activations.TileScales(start);
            tile.HalfSums = activations.TileHalfSums(start);
            tile.Output = output + ((long)start * outputStride);
            tile.ColumnCount = Math.Min(width, columnCount - start);
            if (TIsa.PartCount == 2 && !TPlanes.IsSplit && TPlanes.SumLimit > 1)
            {
                MultiplyPairs<TIsa, TVector, TPlanes, TScales>(tile, width);
            }
            else if (width == 1)
            {
                Tile1<TIsa, TVector, TPlanes, TScales, Width1>(tile);
            }
            else if (width == 4)
            {
                Tile4<TIsa, TVector, TPlanes, TScales, Width4>(tile);
            }
            else if (TIsa.HasWideTile)
            {
                Tile8<TIsa, TVector, TPlanes, TScales, Width8>(tile);
            }
            else
            {
                Tile4<TIsa, TVector, TPlanes, TScales, Width8>(tile);
                tile.Values += 16;
                tile.Scales += 4;
                tile.HalfSums += 4;
                tile.Output += 4 * outputStride;
                tile.ColumnCount -= 4;
                Tile4<TIsa, TVector, TPlanes, TScales, Width8>(tile);
            }
        }
    }

    private static void MultiplyPairs<TIsa, TVector, TPlanes, TScales>(DenseTile tile, int width)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
    {
        if (width == 1)
        {
            if (!TScales.IsPer16) Pair1<TIsa, TVector, TPlanes, TScales, Width1>(tile);
            else if (TPlanes.SumLimit == 2) PairNarrow1<TIsa, TVector, TPlanes, TScales, Width1>(tile);
            else PairHalves1<TIsa, TVector, TPlanes, TScales, Width1>(tile);
            return;
        }

        if (width == 4)
        {
            MultiplyPairsOfFour<TIsa, TVector, TPlanes, TScales, Width4>(tile);
            return;
        }

        MultiplyPairsOfFour<TIsa, TVector, TPlanes, TScales, Width8>(tile);
        if (tile.ColumnCount > 4)
        {
            tile.Values += 16;
            tile.Scales += 4;
            tile.HalfSums += 4;
            tile.Output += 4 * tile.OutputStride;
            tile.ColumnCount -= 4;
            MultiplyPairsOfFour<TIsa, TVector, TPlanes, TScales, Width8>(tile);
        }
    }

    private static void MultiplyPairsOfFour<TIsa, TVector, TPlanes, TScales, TWidth>(in DenseTile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales
        where TWidth : struct, ITileWidth
    {
        if (tile.ColumnCount <= 2)
        {
            // As where a few tokens of a step have chosen an expert.
            if (!TScales.IsPer16) Pair2<TIsa, TVector, TPlanes, TScales, TWidth>(tile);
            else if (TPlanes.SumLimit == 2) PairNarrow2<TIsa, TVector, TPlanes, TScales, TWidth>(tile);
            else PairHalves2<TIsa, TVector, TPlanes, TScales, TWidth>(tile);
        }
        else if (!TScales.IsPer16)
        {
            Pair4<TIsa, TVector, TPlanes, TScales, TWidth>(tile);
        }
        else if (TPlanes.SumLimit == 2)
        {
            PairNarrow4<TIsa, TVector, TPlanes, TScales, TWidth>(tile);
        }
        else
        {
            PairHalves4<TIsa, TVector, TPlanes, TScales, TWidth>(tile);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<TPlanes>(byte* strip)
        where TPlanes : struct, IWeightPlanes
    {
        if (Sse.IsSupported)
        {
            for (int line = 0; line < TPlanes.StripBytes; line += 64)
            {
                Sse.Prefetch0(strip + PrefetchDistance + line);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TIsa, TVector>(TVector value, float* output, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Store(accumulate ? TIsa.Add(value, TIsa.Load((byte*)output)) : value, output);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Minimum<TIsa, TVector, TPlanes, TScales>(TVector scale, TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
        where TScales : struct, IBlockScales =>
        TScales.HasMinima
            ? TScales.Minimum<TIsa, TVector>(factor, header, firstRow, index)
            : TIsa.Multiply(scale, TIsa.CreateSingle(-TPlanes.Zero));

    /// <summary>Adds the product of 16 values of a column.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector AddHalf<TIsa, TVector, TPlanes>(
        TVector sum, TVector w0, TVector w1, TVector w2, TVector w3,
        TVector scale, TVector minimum, byte* x, int stride, float* dx, float* sx)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
    {
        TVector dot = TPlanes.SumLimit == 1
            ? TIsa.ToSingle(AddFour<TIsa, TVector>(TIsa.Zero, w0, w1, w2, w3, x, stride))
            : TPlanes.SumLimit == 2
            ? TIsa.SumBothToSingle(TIsa.MultiplyTwo(w0, w1, x, stride), TIsa.MultiplyTwo(w2, w3, x + (2 * stride), stride))
            : TIsa.SumPairsToSingle(TIsa.MultiplyFour(w0, w1, w2, w3, x, stride));
        return TIsa.AddScaled(sum, dot, scale, minimum, dx, sx);
    }

    /// <summary>Adds the products of four vectors that can't be summed in 16 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector AddFour<TIsa, TVector>(TVector sum, TVector w0, TVector w1, TVector w2, TVector w3, byte* x, int stride)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
    {
        sum = TIsa.AddPairs(sum, TIsa.MultiplyBytes(w0, TIsa.BroadcastInt32(x)));
        sum = TIsa.AddPairs(sum, TIsa.MultiplyBytes(w1, TIsa.BroadcastInt32(x + stride)));
        sum = TIsa.AddPairs(sum, TIsa.MultiplyBytes(w2, TIsa.BroadcastInt32(x + (2 * stride))));
        return TIsa.AddPairs(sum, TIsa.MultiplyBytes(w3, TIsa.BroadcastInt32(x + (3 * stride))));
    }

    /// <summary>Adds the product of 32 values of a column.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Add<TIsa, TVector, TPlanes>(
        TVector sum, TVector w0, TVector w1, TVector w2, TVector w3, TVector w4, TVector w5, TVector w6, TVector w7,
        TVector scale, TVector minimum, byte* x, int stride, float* dx, float* sx)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TPlanes : struct, IWeightPlanes
    {
        if (TPlanes.SumLimit == 1)
        {
            TVector low = AddFour<TIsa, TVector>(TIsa.Zero, w0, w1, w2, w3, x, stride);
            return TIsa.AddScaled(sum, TIsa.ToSingle(AddFour<TIsa, TVector>(low, w4, w5, w6, w7, x + (4 * stride), stride)), scale, minimum, dx, sx);
        }

        TVector a = TIsa.MultiplyFour(w0, w1, w2, w3, x, stride);
        TVector b = TIsa.MultiplyFour(w4, w5, w6, w7, x + (4 * stride), stride);
        TVector dot = TPlanes.SumLimit == 4 ? TIsa.SumBothToSingle(a, b) : TIsa.SumPairsToSingle(TIsa.AddInt16(a, b));
        return TIsa.AddScaled(sum, dot, scale, minimum, dx, sx);
    }

    /// <summary>Adds the product of 32 values of a column whose integers are w + 16 · v.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector AddSplit<TIsa, TVector>(
        TVector sum, TVector w0, TVector w1, TVector w2, TVector w3, TVector w4, TVector w5, TVector w6, TVector w7,
        TVector v0, TVector v1, TVector v2, TVector v3, TVector v4, TVector v5, TVector v6, TVector v7,
        TVector scale, TVector minimum, byte* x, int stride, float* dx, float* sx)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
    {
        byte* y = x + (4 * stride);
        TVector low = TIsa.AddInt16(TIsa.MultiplyFour(w0, w1, w2, w3, x, stride), TIsa.MultiplyFour(w4, w5, w6, w7, y, stride));
        TVector high = TIsa.AddInt16(TIsa.MultiplyFour(v0, v1, v2, v3, x, stride), TIsa.MultiplyFour(v4, v5, v6, v7, y, stride));
        return TIsa.AddScaled(sum, TIsa.CombinePlanesToSingle(low, high), scale, minimum, dx, sx);
    }
}
