using System.Runtime.Intrinsics;

namespace Sluice.Inference.Kernels;

/// <summary>
/// The few vector operations that the matrix kernels need, for one instruction set. All registers travel as <typeparamref name="TVector"/>,
/// reinterpreted by each operation, so that one kernel body serves every width.
/// </summary>
/// <typeparam name="TVector">The untyped register: 16, 32 or 64 bytes.</typeparam>
internal unsafe interface IVectorIsa<TVector>
    where TVector : struct
{
    /// <summary>Registers that one 64-byte weight vector (16 rows × 4 values) takes.</summary>
    static abstract int PartCount { get; }

    /// <summary>Whether eight column accumulators fit the register file beside their temporaries.</summary>
    static abstract bool HasWideTile { get; }

    static abstract TVector Zero { get; }

    static abstract TVector Load(byte* address);

    /// <summary>One half-precision number per 32-bit lane, widened.</summary>
    static abstract TVector LoadHalf(byte* address);

    /// <summary>One bfloat16 number per 32-bit lane, widened.</summary>
    static abstract TVector LoadBFloat16(byte* address);

    /// <summary>One unsigned byte per 32-bit lane, widened.</summary>
    static abstract TVector LoadUInt8(byte* address);

    /// <summary>One signed byte per 32-bit lane, widened.</summary>
    static abstract TVector LoadInt8(byte* address);

    /// <summary>One byte e per 32-bit lane as the single 2^(e - 128), exact; 0 for e = 0, so that rows of zeros stay zeros.</summary>
    static abstract TVector LoadPowerOfTwo(byte* address);

    static abstract TVector BroadcastInt32(byte* address);

    static abstract TVector BroadcastSingle(float* address);

    static abstract TVector CreateSingle(float value);

    /// <summary>The same 16 bytes in every 128 bits, for <see cref="LookUp"/>.</summary>
    static abstract TVector CreateTable(Vector128<byte> table);

    /// <summary>Per byte of <paramref name="indices"/>, each below 16, the table's byte.</summary>
    static abstract TVector LookUp(TVector table, TVector indices);

    static abstract TVector LowNibbles(TVector bytes);

    static abstract TVector HighNibbles(TVector bytes);

    /// <summary>
    /// Bits of every byte, moved: shifted left by <paramref name="shift"/> (right where it is negative), then only those of
    /// <paramref name="mask"/>, which keeps none that came from a neighbouring byte.
    /// </summary>
    static abstract TVector MoveBits(TVector bytes, int shift, byte mask);

    static abstract TVector Or(TVector a, TVector b);

    /// <summary>
    /// Pairwise sums of products of unsigned bytes with four signed ones that are the same in every lane, over two vectors, as 16-bit lanes.
    /// The caller keeps every sum below 2^15.
    /// </summary>
    /// <param name="w0">Multiplied with the bytes at <paramref name="x"/>.</param>
    /// <param name="w1">Multiplied with those <paramref name="stride"/> bytes on.</param>
    /// <param name="x">Four signed bytes.</param>
    /// <param name="stride">A constant.</param>
    static abstract TVector MultiplyTwo(TVector w0, TVector w1, byte* x, int stride);

    /// <summary>The same over four vectors. One operation, because what is inlined is counted.</summary>
    static abstract TVector MultiplyFour(TVector w0, TVector w1, TVector w2, TVector w3, byte* x, int stride);

    /// <summary>Sums of 16-bit lanes.</summary>
    static abstract TVector AddInt16(TVector a, TVector b);

    /// <summary>
    /// acc + pairwise sums of products of unsigned and signed bytes, as 16-bit lanes. The caller keeps every sum below 2^15:
    /// with nibbles at most 15 · 127 · 2 = 3,810 a call.
    /// </summary>
    static abstract TVector MultiplyAddPairs(TVector acc, TVector unsignedBytes, TVector signedBytes);

    /// <summary>Pairwise sums of products of unsigned and signed bytes, as 16-bit lanes.</summary>
    static abstract TVector MultiplyBytes(TVector unsignedBytes, TVector signedBytes);

    /// <summary>acc + sums of neighbouring 16-bit lanes, as 32-bit lanes.</summary>
    static abstract TVector AddPairs(TVector acc, TVector int16);

    /// <summary>Sums of neighbouring 16-bit lanes as 32-bit lanes, converted to single precision (exact).</summary>
    static abstract TVector SumPairsToSingle(TVector int16);

    /// <summary>Sums of neighbouring 16-bit lanes of both, added as 32-bit lanes and converted to single precision (exact).</summary>
    static abstract TVector SumBothToSingle(TVector a, TVector b);

    /// <summary>16 · (sums of pairs of <paramref name="high"/>) + sums of pairs of <paramref name="low"/>, as single precision.</summary>
    static abstract TVector CombinePlanesToSingle(TVector low, TVector high);

    /// <summary>32-bit integers as single precision.</summary>
    static abstract TVector ToSingle(TVector int32);

    /// <summary>The low four bits of every 32-bit integer below 256, as single precision.</summary>
    static abstract TVector LowNibbleToSingle(TVector int32);

    /// <summary>The high four bits of every 32-bit integer below 256, as single precision.</summary>
    static abstract TVector HighNibbleToSingle(TVector int32);

    static abstract TVector Multiply(TVector a, TVector b);

    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a · b + c, rounded once.</summary>
    static abstract TVector FusedMultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>sum + dot · (scale · dx) + minimum · sx, with two fused multiply-adds in this order.</summary>
    static abstract TVector AddScaled(TVector sum, TVector dot, TVector scale, TVector minimum, float* dx, float* sx);

    static abstract void Store(TVector value, float* address);
}
