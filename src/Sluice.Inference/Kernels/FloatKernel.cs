using System.Runtime.CompilerServices;

namespace Sluice.Inference.Kernels;

/// <summary>Products of F32, F16 and BF16 weights with single precision columns: sum over k in order, one fused multiply-add each.</summary>
internal static unsafe class FloatKernel
{
    private const int TileColumns = 4;

    /// <summary>Multiplies one group of 16 rows with all columns of a batch; parameters as in <see cref="PackedMatrix.MultiplyGroup"/>.</summary>
    public static void MultiplyGroup<TIsa, TVector, TFormat>(
        byte* group, int length, BatchInput input, float* output, int outputStride, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IFloatFormat
    {
        int column = 0;
        for (; column + TileColumns <= input.ColumnCount; column += TileColumns)
        {
            Tile4<TIsa, TVector, TFormat>(
                group, length, input.Column(column), input.Stride, output + ((long)column * outputStride), outputStride, accumulate);
        }

        for (; column < input.ColumnCount; column++)
        {
            Tile1<TIsa, TVector, TFormat>(group, length, input.Column(column), output + ((long)column * outputStride), accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4<TIsa, TVector, TFormat>(
        byte* group, int length, float* x, int stride, float* output, int outputStride, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IFloatFormat
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            byte* weights = group + (part * rowsPerPart * TFormat.ValueBytes);
            TVector sum0 = TIsa.Zero;
            TVector sum1 = TIsa.Zero;
            TVector sum2 = TIsa.Zero;
            TVector sum3 = TIsa.Zero;
            float* x0 = x;
            float* x1 = x + stride;
            float* x2 = x1 + stride;
            float* x3 = x2 + stride;
            for (int k = 0; k < length; k++)
            {
                TVector w = TFormat.Load<TIsa, TVector>(weights);
                sum0 = TIsa.FusedMultiplyAdd(w, TIsa.BroadcastSingle(x0 + k), sum0);
                sum1 = TIsa.FusedMultiplyAdd(w, TIsa.BroadcastSingle(x1 + k), sum1);
                sum2 = TIsa.FusedMultiplyAdd(w, TIsa.BroadcastSingle(x2 + k), sum2);
                sum3 = TIsa.FusedMultiplyAdd(w, TIsa.BroadcastSingle(x3 + k), sum3);
                weights += PackedMatrix.GroupRows * TFormat.ValueBytes;
            }

            float* target = output + (part * rowsPerPart);
            Put<TIsa, TVector>(sum0, target, accumulate);
            Put<TIsa, TVector>(sum1, target + outputStride, accumulate);
            Put<TIsa, TVector>(sum2, target + (2 * outputStride), accumulate);
            Put<TIsa, TVector>(sum3, target + (3 * outputStride), accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1<TIsa, TVector, TFormat>(byte* group, int length, float* x, float* output, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
        where TFormat : struct, IFloatFormat
    {
        int rowsPerPart = PackedMatrix.GroupRows / TIsa.PartCount;
        for (int part = 0; part < TIsa.PartCount; part++)
        {
            byte* weights = group + (part * rowsPerPart * TFormat.ValueBytes);
            TVector sum = TIsa.Zero;
            for (int k = 0; k < length; k++)
            {
                sum = TIsa.FusedMultiplyAdd(TFormat.Load<TIsa, TVector>(weights), TIsa.BroadcastSingle(x + k), sum);
                weights += PackedMatrix.GroupRows * TFormat.ValueBytes;
            }

            Put<TIsa, TVector>(sum, output + (part * rowsPerPart), accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TIsa, TVector>(TVector value, float* output, bool accumulate)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Store(accumulate ? TIsa.Add(value, TIsa.Load((byte*)output)) : value, output);
}
