using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Sluice.Inference.Kernels;

/// <summary>
/// Products of packed quantised weights with quantised activations. For every (row, column) the order of operations is the same whatever the
/// number of columns and whatever the instruction set: per block one exact integer sum, then two fused multiply-adds. Results are
/// therefore equal to <see cref="ScalarKernel"/> bit for bit, and a token's logits do not depend on what else is in the batch.
/// The loops are unrolled by hand over columns, because only local variables stay in registers.
/// </summary>
internal static unsafe partial class QuantizedKernel
{
    // Bytes ahead: what a core reads from memory (some 25 GB/s) in two to three times the 100 ns that memory takes to answer. Measured from 1 to 12 KiB.
    private const int PrefetchDistance = 6 << 10;

    /// <summary>One tile's operands. All pointers stand at the first block.</summary>
    internal ref struct Tile
    {
        /// <summary>One packed group of 16 rows.</summary>
        public byte* Weights;

        /// <summary>Blocks of the format in a row.</summary>
        public int BlockCount;

        /// <summary>Quantised values in the order of <see cref="ActivationLayout"/>.</summary>
        public sbyte* Values;

        /// <summary>Per 32 values: W scales, then W products of scale and sum.</summary>
        public float* Scales;

        /// <summary>16 results of the tile's first column; the next column is <see cref="OutputStride"/> floats on.</summary>
        public float* Output;

        public int OutputStride;

        /// <summary>Columns of the tile whose results are wanted.</summary>
        public int ColumnCount;

        /// <summary>Whether results are added to what stands in <see cref="Output"/>.</summary>
        public bool Accumulate;
    }

    /// <summary>Bytes of a packed block of 16 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int BlockBytes<TFormat>()
        where TFormat : struct, IBlockFormat =>
        (2 * PackedMatrix.GroupRows * sizeof(ushort)) + (PackedMatrix.GroupRows * ActivationLayout.BlockLength / (TFormat.IsByte ? 1 : 2));

    /// <summary>Multiplies one group of 16 rows with all columns of a batch.</summary>
    /// <param name="group">The packed group.</param>
    /// <param name="activations">The batch's columns.</param>
    /// <param name="output">Row 0 of the group in column 0; shape (columns, outputStride).</param>
    /// <param name="outputStride">Floats from one column to the next.</param>
    /// <param name="accumulate">Whether results are added to <paramref name="output"/>.</param>
    public static void MultiplyGroup<TIsa, TVector, TFormat>(
        byte* group, QuantizedActivations activations, float* output, int outputStride, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IBlockFormat
    {
        int columnCount = activations.ColumnCount;
        Tile tile = default;
        tile.Weights = group;
        tile.BlockCount = activations.Length / ActivationLayout.BlockLength;
        tile.OutputStride = outputStride;
        tile.Accumulate = accumulate;
        for (int start = 0; start < columnCount; start += ActivationLayout.TileWidthMax)
        {
            int width = ActivationLayout.TileWidth(start, columnCount);
            tile.Values = activations.TileValues(start);
            tile.Scales = activations.TileScales(start);
            tile.Output = output + ((long)start * outputStride);
            tile.ColumnCount = Math.Min(width, columnCount - start);
            if (TIsa.PartCount == 2 && width == 1)
            {
                Pair1<TIsa, TVector, TFormat, Width1>(tile);
            }
            else if (TIsa.PartCount == 2 && !TFormat.IsByte)
            {
                if (width == 4)
                {
                    Pair4<TIsa, TVector, TFormat, Width4>(tile);
                    continue;
                }

                Pair4<TIsa, TVector, TFormat, Width8>(tile);
                if (tile.ColumnCount > 4)
                {
                    tile.Values += 16;
                    tile.Scales += 4;
                    tile.Output += 4 * outputStride;
                    tile.ColumnCount -= 4;
                    Pair4<TIsa, TVector, TFormat, Width8>(tile);
                }
            }
            else if (width == 1)
            {
                Tile1<TIsa, TVector, TFormat, Width1>(tile);
            }
            else if (width == 4)
            {
                Tile4<TIsa, TVector, TFormat, Width4>(tile);
            }
            else if (TIsa.HasWideTile && !TFormat.IsByte)
            {
                Tile8<TIsa, TVector, TFormat, Width8>(tile);
            }
            else
            {
                Tile4<TIsa, TVector, TFormat, Width8>(tile);
                tile.Values += 16;
                tile.Scales += 4;
                tile.Output += 4 * outputStride;
                tile.ColumnCount -= 4;
                Tile4<TIsa, TVector, TFormat, Width8>(tile);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<TFormat>(byte* block)
        where TFormat : struct, IBlockFormat
    {
        if (Sse.IsSupported)
        {
            for (int line = 0; line < BlockBytes<TFormat>(); line += 64)
            {
                Sse.Prefetch0(block + PrefetchDistance + line);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TIsa, TVector>(TVector value, float* output, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Store(accumulate ? TIsa.Add(value, TIsa.Load((byte*)output)) : value, output);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1<TIsa, TVector, TFormat, TWidth>(in Tile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IBlockFormat
        where TWidth : struct, ITileWidth
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        int vectorBytes = 4 * rowsPerPart;
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            byte* block = tile.Weights;
            sbyte* x = tile.Values;
            float* scales = tile.Scales;
            byte* partScales = block + (part * rowsPerPart * sizeof(ushort));
            byte* partWeights = block + (2 * PackedMatrix.GroupRows * sizeof(ushort)) + (part * vectorBytes);
            TVector sum0 = TIsa.Zero;
            for (int b = 0; b < tile.BlockCount; b++)
            {
                Prefetch<TFormat>(partWeights);
                TVector low0 = TIsa.Zero;
                if (TFormat.IsByte)
                {
                    TVector high0 = TIsa.Zero;
                    for (int j = 0; j < ActivationLayout.BlockLength / 4; j++)
                    {
                        TVector bytes = TIsa.Load(partWeights + (j * 64));
                        TVector lowPlane = TIsa.LowNibbles(bytes);
                        TVector highPlane = TIsa.HighNibbles(bytes);
                        byte* values = (byte*)x + (j * TWidth.Value * 4);
                        TVector v;
                        v = TIsa.BroadcastInt32(values + 0);
                        low0 = TIsa.MultiplyAddPairs(low0, lowPlane, v);
                        high0 = TIsa.MultiplyAddPairs(high0, highPlane, v);
                    }

                    low0 = TIsa.CombinePlanesToSingle(low0, high0);
                }
                else
                {
                    for (int j = 0; j < 4; j++)
                    {
                        TVector bytes = TIsa.Load(partWeights + (j * 64));
                        TVector w = TIsa.LowNibbles(bytes);
                        byte* values = (byte*)x + (j * TWidth.Value * 4);
                        low0 = TIsa.MultiplyAddPairs(low0, w, TIsa.BroadcastInt32(values + 0));
                        w = TIsa.HighNibbles(bytes);
                        values += 4 * TWidth.Value * 4;
                        low0 = TIsa.MultiplyAddPairs(low0, w, TIsa.BroadcastInt32(values + 0));
                    }

                    low0 = TIsa.SumPairsToSingle(low0);
                }

                TVector d = TIsa.LoadHalf(partScales);
                TVector m = TIsa.LoadHalf(partScales + (PackedMatrix.GroupRows * sizeof(ushort)));
                float* sums = scales + TWidth.Value;
                sum0 = TIsa.FusedMultiplyAdd(low0, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 0)), sum0);
                sum0 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 0), sum0);
                partScales += BlockBytes<TFormat>();
                partWeights += BlockBytes<TFormat>();
                x += ActivationLayout.BlockLength * TWidth.Value;
                scales += 2 * TWidth.Value;
            }

            float* output = tile.Output + (part * rowsPerPart);
            int stride = tile.OutputStride;
            Put<TIsa, TVector>(sum0, output, tile.Accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4<TIsa, TVector, TFormat, TWidth>(in Tile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IBlockFormat
        where TWidth : struct, ITileWidth
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        int vectorBytes = 4 * rowsPerPart;
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            byte* block = tile.Weights;
            sbyte* x = tile.Values;
            float* scales = tile.Scales;
            byte* partScales = block + (part * rowsPerPart * sizeof(ushort));
            byte* partWeights = block + (2 * PackedMatrix.GroupRows * sizeof(ushort)) + (part * vectorBytes);
            TVector sum0 = TIsa.Zero;
            TVector sum1 = TIsa.Zero;
            TVector sum2 = TIsa.Zero;
            TVector sum3 = TIsa.Zero;
            for (int b = 0; b < tile.BlockCount; b++)
            {
                Prefetch<TFormat>(partWeights);
                TVector low0 = TIsa.Zero;
                TVector low1 = TIsa.Zero;
                TVector low2 = TIsa.Zero;
                TVector low3 = TIsa.Zero;
                if (TFormat.IsByte)
                {
                    TVector high0 = TIsa.Zero;
                    TVector high1 = TIsa.Zero;
                    TVector high2 = TIsa.Zero;
                    TVector high3 = TIsa.Zero;
                    for (int j = 0; j < ActivationLayout.BlockLength / 4; j++)
                    {
                        TVector bytes = TIsa.Load(partWeights + (j * 64));
                        TVector lowPlane = TIsa.LowNibbles(bytes);
                        TVector highPlane = TIsa.HighNibbles(bytes);
                        byte* values = (byte*)x + (j * TWidth.Value * 4);
                        TVector v;
                        v = TIsa.BroadcastInt32(values + 0);
                        low0 = TIsa.MultiplyAddPairs(low0, lowPlane, v);
                        high0 = TIsa.MultiplyAddPairs(high0, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 4);
                        low1 = TIsa.MultiplyAddPairs(low1, lowPlane, v);
                        high1 = TIsa.MultiplyAddPairs(high1, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 8);
                        low2 = TIsa.MultiplyAddPairs(low2, lowPlane, v);
                        high2 = TIsa.MultiplyAddPairs(high2, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 12);
                        low3 = TIsa.MultiplyAddPairs(low3, lowPlane, v);
                        high3 = TIsa.MultiplyAddPairs(high3, highPlane, v);
                    }

                    low0 = TIsa.CombinePlanesToSingle(low0, high0);
                    low1 = TIsa.CombinePlanesToSingle(low1, high1);
                    low2 = TIsa.CombinePlanesToSingle(low2, high2);
                    low3 = TIsa.CombinePlanesToSingle(low3, high3);
                }
                else
                {
                    for (int j = 0; j < 4; j++)
                    {
                        TVector bytes = TIsa.Load(partWeights + (j * 64));
                        TVector w = TIsa.LowNibbles(bytes);
                        byte* values = (byte*)x + (j * TWidth.Value * 4);
                        low0 = TIsa.MultiplyAddPairs(low0, w, TIsa.BroadcastInt32(values + 0));
                        low1 = TIsa.MultiplyAddPairs(low1, w, TIsa.BroadcastInt32(values + 4));
                        low2 = TIsa.MultiplyAddPairs(low2, w, TIsa.BroadcastInt32(values + 8));
                        low3 = TIsa.MultiplyAddPairs(low3, w, TIsa.BroadcastInt32(values + 12));
                        w = TIsa.HighNibbles(bytes);
                        values += 4 * TWidth.Value * 4;
                        low0 = TIsa.MultiplyAddPairs(low0, w, TIsa.BroadcastInt32(values + 0));
                        low1 = TIsa.MultiplyAddPairs(low1, w, TIsa.BroadcastInt32(values + 4));
                        low2 = TIsa.MultiplyAddPairs(low2, w, TIsa.BroadcastInt32(values + 8));
                        low3 = TIsa.MultiplyAddPairs(low3, w, TIsa.BroadcastInt32(values + 12));
                    }

                    low0 = TIsa.SumPairsToSingle(low0);
                    low1 = TIsa.SumPairsToSingle(low1);
                    low2 = TIsa.SumPairsToSingle(low2);
                    low3 = TIsa.SumPairsToSingle(low3);
                }

                TVector d = TIsa.LoadHalf(partScales);
                TVector m = TIsa.LoadHalf(partScales + (PackedMatrix.GroupRows * sizeof(ushort)));
                float* sums = scales + TWidth.Value;
                sum0 = TIsa.FusedMultiplyAdd(low0, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 0)), sum0);
                sum1 = TIsa.FusedMultiplyAdd(low1, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 1)), sum1);
                sum2 = TIsa.FusedMultiplyAdd(low2, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 2)), sum2);
                sum3 = TIsa.FusedMultiplyAdd(low3, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 3)), sum3);
                sum0 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 0), sum0);
                sum1 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 1), sum1);
                sum2 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 2), sum2);
                sum3 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 3), sum3);
                partScales += BlockBytes<TFormat>();
                partWeights += BlockBytes<TFormat>();
                x += ActivationLayout.BlockLength * TWidth.Value;
                scales += 2 * TWidth.Value;
            }

            float* output = tile.Output + (part * rowsPerPart);
            int stride = tile.OutputStride;
            Put<TIsa, TVector>(sum0, output, tile.Accumulate);
            if (tile.ColumnCount > 1) Put<TIsa, TVector>(sum1, output + (1 * stride), tile.Accumulate);
            if (tile.ColumnCount > 2) Put<TIsa, TVector>(sum2, output + (2 * stride), tile.Accumulate);
            if (tile.ColumnCount > 3) Put<TIsa, TVector>(sum3, output + (3 * stride), tile.Accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile8<TIsa, TVector, TFormat, TWidth>(in Tile tile)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IBlockFormat
        where TWidth : struct, ITileWidth
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        int vectorBytes = 4 * rowsPerPart;
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            byte* block = tile.Weights;
            sbyte* x = tile.Values;
            float* scales = tile.Scales;
            byte* partScales = block + (part * rowsPerPart * sizeof(ushort));
            byte* partWeights = block + (2 * PackedMatrix.GroupRows * sizeof(ushort)) + (part * vectorBytes);
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
                TVector low0 = TIsa.Zero;
                TVector low1 = TIsa.Zero;
                TVector low2 = TIsa.Zero;
                TVector low3 = TIsa.Zero;
                TVector low4 = TIsa.Zero;
                TVector low5 = TIsa.Zero;
                TVector low6 = TIsa.Zero;
                TVector low7 = TIsa.Zero;
                if (TFormat.IsByte)
                {
                    TVector high0 = TIsa.Zero;
                    TVector high1 = TIsa.Zero;
                    TVector high2 = TIsa.Zero;
                    TVector high3 = TIsa.Zero;
                    TVector high4 = TIsa.Zero;
                    TVector high5 = TIsa.Zero;
                    TVector high6 = TIsa.Zero;
                    TVector high7 = TIsa.Zero;
                    for (int j = 0; j < ActivationLayout.BlockLength / 4; j++)
                    {
                        TVector bytes = TIsa.Load(partWeights + (j * 64));
                        TVector lowPlane = TIsa.LowNibbles(bytes);
                        TVector highPlane = TIsa.HighNibbles(bytes);
                        byte* values = (byte*)x + (j * TWidth.Value * 4);
                        TVector v;
                        v = TIsa.BroadcastInt32(values + 0);
                        low0 = TIsa.MultiplyAddPairs(low0, lowPlane, v);
                        high0 = TIsa.MultiplyAddPairs(high0, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 4);
                        low1 = TIsa.MultiplyAddPairs(low1, lowPlane, v);
                        high1 = TIsa.MultiplyAddPairs(high1, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 8);
                        low2 = TIsa.MultiplyAddPairs(low2, lowPlane, v);
                        high2 = TIsa.MultiplyAddPairs(high2, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 12);
                        low3 = TIsa.MultiplyAddPairs(low3, lowPlane, v);
                        high3 = TIsa.MultiplyAddPairs(high3, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 16);
                        low4 = TIsa.MultiplyAddPairs(low4, lowPlane, v);
                        high4 = TIsa.MultiplyAddPairs(high4, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 20);
                        low5 = TIsa.MultiplyAddPairs(low5, lowPlane, v);
                        high5 = TIsa.MultiplyAddPairs(high5, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 24);
                        low6 = TIsa.MultiplyAddPairs(low6, lowPlane, v);
                        high6 = TIsa.MultiplyAddPairs(high6, highPlane, v);
                        v = TIsa.BroadcastInt32(values + 28);
                        low7 = TIsa.MultiplyAddPairs(low7, lowPlane, v);
                        high7 = TIsa.MultiplyAddPairs(high7, highPlane, v);
                    }

                    low0 = TIsa.CombinePlanesToSingle(low0, high0);
                    low1 = TIsa.CombinePlanesToSingle(low1, high1);
                    low2 = TIsa.CombinePlanesToSingle(low2, high2);
                    low3 = TIsa.CombinePlanesToSingle(low3, high3);
                    low4 = TIsa.CombinePlanesToSingle(low4, high4);
                    low5 = TIsa.CombinePlanesToSingle(low5, high5);
                    low6 = TIsa.CombinePlanesToSingle(low6, high6);
                    low7 = TIsa.CombinePlanesToSingle(low7, high7);
                }
                else
                {
                    for (int j = 0; j < 4; j++)
                    {
                        TVector bytes = TIsa.Load(partWeights + (j * 64));
                        TVector w = TIsa.LowNibbles(bytes);
                        byte* values = (byte*)x + (j * TWidth.Value * 4);
                        low0 = TIsa.MultiplyAddPairs(low0, w, TIsa.BroadcastInt32(values + 0));
                        low1 = TIsa.MultiplyAddPairs(low1, w, TIsa.BroadcastInt32(values + 4));
                        low2 = TIsa.MultiplyAddPairs(low2, w, TIsa.BroadcastInt32(values + 8));
                        low3 = TIsa.MultiplyAddPairs(low3, w, TIsa.BroadcastInt32(values + 12));
                        low4 = TIsa.MultiplyAddPairs(low4, w, TIsa.BroadcastInt32(values + 16));
                        low5 = TIsa.MultiplyAddPairs(low5, w, TIsa.BroadcastInt32(values + 20));
                        low6 = TIsa.MultiplyAddPairs(low6, w, TIsa.BroadcastInt32(values + 24));
                        low7 = TIsa.MultiplyAddPairs(low7, w, TIsa.BroadcastInt32(values + 28));
                        w = TIsa.HighNibbles(bytes);
                        values += 4 * TWidth.Value * 4;
                        low0 = TIsa.MultiplyAddPairs(low0, w, TIsa.BroadcastInt32(values + 0));
                        low1 = TIsa.MultiplyAddPairs(low1, w, TIsa.BroadcastInt32(values + 4));
                        low2 = TIsa.MultiplyAddPairs(low2, w, TIsa.BroadcastInt32(values + 8));
                        low3 = TIsa.MultiplyAddPairs(low3, w, TIsa.BroadcastInt32(values + 12));
                        low4 = TIsa.MultiplyAddPairs(low4, w, TIsa.BroadcastInt32(values + 16));
                        low5 = TIsa.MultiplyAddPairs(low5, w, TIsa.BroadcastInt32(values + 20));
                        low6 = TIsa.MultiplyAddPairs(low6, w, TIsa.BroadcastInt32(values + 24));
                        low7 = TIsa.MultiplyAddPairs(low7, w, TIsa.BroadcastInt32(values + 28));
                    }

                    low0 = TIsa.SumPairsToSingle(low0);
                    low1 = TIsa.SumPairsToSingle(low1);
                    low2 = TIsa.SumPairsToSingle(low2);
                    low3 = TIsa.SumPairsToSingle(low3);
                    low4 = TIsa.SumPairsToSingle(low4);
                    low5 = TIsa.SumPairsToSingle(low5);
                    low6 = TIsa.SumPairsToSingle(low6);
                    low7 = TIsa.SumPairsToSingle(low7);
                }

                TVector d = TIsa.LoadHalf(partScales);
                TVector m = TIsa.LoadHalf(partScales + (PackedMatrix.GroupRows * sizeof(ushort)));
                float* sums = scales + TWidth.Value;
                sum0 = TIsa.FusedMultiplyAdd(low0, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 0)), sum0);
                sum1 = TIsa.FusedMultiplyAdd(low1, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 1)), sum1);
                sum2 = TIsa.FusedMultiplyAdd(low2, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 2)), sum2);
                sum3 = TIsa.FusedMultiplyAdd(low3, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 3)), sum3);
                sum4 = TIsa.FusedMultiplyAdd(low4, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 4)), sum4);
                sum5 = TIsa.FusedMultiplyAdd(low5, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 5)), sum5);
                sum6 = TIsa.FusedMultiplyAdd(low6, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 6)), sum6);
                sum7 = TIsa.FusedMultiplyAdd(low7, TIsa.Multiply(d, TIsa.BroadcastSingle(scales + 7)), sum7);
                sum0 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 0), sum0);
                sum1 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 1), sum1);
                sum2 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 2), sum2);
                sum3 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 3), sum3);
                sum4 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 4), sum4);
                sum5 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 5), sum5);
                sum6 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 6), sum6);
                sum7 = TIsa.FusedMultiplyAdd(m, TIsa.BroadcastSingle(sums + 7), sum7);
                partScales += BlockBytes<TFormat>();
                partWeights += BlockBytes<TFormat>();
                x += ActivationLayout.BlockLength * TWidth.Value;
                scales += 2 * TWidth.Value;
            }

            float* output = tile.Output + (part * rowsPerPart);
            int stride = tile.OutputStride;
            Put<TIsa, TVector>(sum0, output, tile.Accumulate);
            if (tile.ColumnCount > 1) Put<TIsa, TVector>(sum1, output + (1 * stride), tile.Accumulate);
            if (tile.ColumnCount > 2) Put<TIsa, TVector>(sum2, output + (2 * stride), tile.Accumulate);
            if (tile.ColumnCount > 3) Put<TIsa, TVector>(sum3, output + (3 * stride), tile.Accumulate);
            if (tile.ColumnCount > 4) Put<TIsa, TVector>(sum4, output + (4 * stride), tile.Accumulate);
            if (tile.ColumnCount > 5) Put<TIsa, TVector>(sum5, output + (5 * stride), tile.Accumulate);
            if (tile.ColumnCount > 6) Put<TIsa, TVector>(sum6, output + (6 * stride), tile.Accumulate);
            if (tile.ColumnCount > 7) Put<TIsa, TVector>(sum7, output + (7 * stride), tile.Accumulate);
        }
    }
}
