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

    static abstract TVector BroadcastInt32(byte* address);

    static abstract TVector BroadcastSingle(float* address);

    static abstract TVector LowNibbles(TVector bytes);

    static abstract TVector HighNibbles(TVector bytes);

    /// <summary>
    /// acc + pairwise sums of products of unsigned and signed bytes, as 16-bit lanes. The caller keeps every sum below 2^15:
    /// with nibbles at most 15 · 127 · 2 = 3,810 a call.
    /// </summary>
    static abstract TVector MultiplyAddPairs(TVector acc, TVector unsignedBytes, TVector signedBytes);

    /// <summary>Sums of neighbouring 16-bit lanes as 32-bit lanes, converted to single precision (exact).</summary>
    static abstract TVector SumPairsToSingle(TVector int16);

    /// <summary>16 · (sums of pairs of <paramref name="high"/>) + sums of pairs of <paramref name="low"/>, as single precision.</summary>
    static abstract TVector CombinePlanesToSingle(TVector low, TVector high);

    static abstract TVector Multiply(TVector a, TVector b);

    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a · b + c, rounded once.</summary>
    static abstract TVector FusedMultiplyAdd(TVector a, TVector b, TVector c);

    static abstract void Store(TVector value, float* address);
}
