using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>128-bit operations: Arm's Advanced SIMD, and the same body on x86 (SSSE3 and SSE4.1), where CI exercises it.</summary>
internal readonly unsafe struct Vector128Isa : IVectorIsa<Vector128<byte>>
{
    public static bool IsSupported => AdvSimd.Arm64.IsSupported || Sse41.IsSupported;

    public static int PartCount => 4;

    public static bool HasWideTile => false;

    public static Vector128<byte> Zero => Vector128<byte>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* address) => Vector128.Load(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LoadHalf(byte* address)
    {
        Vector128<int> wide = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)address).AsInt16());
        Vector128<int> bits = Vector128.ShiftLeft(wide, 13) & Vector128.Create(unchecked((int)0x8FFFE000));
        return (bits.AsSingle() * Vector128.Create(HalfBits.Rescale)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LoadBFloat16(byte* address) =>
        Vector128.ShiftLeft(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)address).AsInt16()), 16).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LoadUInt8(byte* address) => Widen(*(int*)address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LoadInt8(byte* address) => Vector128.ShiftRightArithmetic(Vector128.ShiftLeft(Widen(*(int*)address).AsInt32(), 24), 24).AsByte();

    // The exponent's bits; for e = 1 those are too few, and the result is subnormal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LoadPowerOfTwo(byte* address)
    {
        Vector128<int> e = LoadUInt8(address).AsInt32();
        return Vector128.Max(Vector128.ShiftLeft(e - Vector128.Create(1), 23), Vector128.ShiftLeft(e, 22)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> BroadcastInt32(byte* address) => Vector128.Create(*(int*)address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> BroadcastSingle(float* address) => Vector128.Create(*address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> CreateSingle(float value) => Vector128.Create(value).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> CreateTable(Vector128<byte> table) => table;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LookUp(Vector128<byte> table, Vector128<byte> indices) => Vector128.ShuffleNative(table, indices);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LowNibbles(Vector128<byte> bytes) => bytes & Vector128.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> HighNibbles(Vector128<byte> bytes) =>
        Vector128.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & Vector128.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> MoveBits(Vector128<byte> bytes, int shift, byte mask)
    {
        Vector128<ushort> words = bytes.AsUInt16();
        Vector128<ushort> moved = shift > 0 ? Vector128.ShiftLeft(words, shift) : shift < 0 ? Vector128.ShiftRightLogical(words, -shift) : words;
        return moved.AsByte() & Vector128.Create(mask);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Or(Vector128<byte> a, Vector128<byte> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> MultiplyTwo(Vector128<byte> w0, Vector128<byte> w1, byte* x, int stride) =>
        (MultiplyPairs(w0, Vector128.Create(*(int*)x).AsByte()) + MultiplyPairs(w1, Vector128.Create(*(int*)(x + stride)).AsByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> MultiplyFour(
        Vector128<byte> w0, Vector128<byte> w1, Vector128<byte> w2, Vector128<byte> w3, byte* x, int stride)
    {
        Vector128<short> sum = MultiplyPairs(w0, Vector128.Create(*(int*)x).AsByte());
        sum += MultiplyPairs(w1, Vector128.Create(*(int*)(x + stride)).AsByte());
        sum += MultiplyPairs(w2, Vector128.Create(*(int*)(x + (2 * stride))).AsByte());
        return (sum + MultiplyPairs(w3, Vector128.Create(*(int*)(x + (3 * stride))).AsByte())).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> AddInt16(Vector128<byte> a, Vector128<byte> b) => (a.AsInt16() + b.AsInt16()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> MultiplyAddPairs(Vector128<byte> acc, Vector128<byte> unsignedBytes, Vector128<byte> signedBytes) =>
        (acc.AsInt16() + MultiplyPairs(unsignedBytes, signedBytes)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> MultiplyBytes(Vector128<byte> unsignedBytes, Vector128<byte> signedBytes) =>
        MultiplyPairs(unsignedBytes, signedBytes).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> AddPairs(Vector128<byte> acc, Vector128<byte> int16) =>
        (acc.AsInt32() + SumPairs(int16)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> SumPairsToSingle(Vector128<byte> int16) => Vector128.ConvertToSingle(SumPairs(int16)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> SumBothToSingle(Vector128<byte> a, Vector128<byte> b) =>
        Vector128.ConvertToSingle(SumPairs(a) + SumPairs(b)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> CombinePlanesToSingle(Vector128<byte> low, Vector128<byte> high) =>
        Vector128.ConvertToSingle(SumPairs(low) + Vector128.ShiftLeft(SumPairs(high), 4)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> ToSingle(Vector128<byte> int32) => Vector128.ConvertToSingle(int32.AsInt32()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LowNibbleToSingle(Vector128<byte> int32) => ToSingle((int32.AsInt32() & Vector128.Create(15)).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> HighNibbleToSingle(Vector128<byte> int32) => ToSingle(Vector128.ShiftRightLogical(int32.AsInt32(), 4).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Multiply(Vector128<byte> a, Vector128<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Add(Vector128<byte> a, Vector128<byte> b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> FusedMultiplyAdd(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) =>
        Vector128.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> AddScaled(
        Vector128<byte> sum, Vector128<byte> dot, Vector128<byte> scale, Vector128<byte> minimum, float* dx, float* sx)
    {
        Vector128<float> scaled = Vector128.FusedMultiplyAdd(dot.AsSingle(), scale.AsSingle() * Vector128.Create(*dx), sum.AsSingle());
        return Vector128.FusedMultiplyAdd(minimum.AsSingle(), Vector128.Create(*sx), scaled).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> value, float* address) => value.AsSingle().Store(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> MultiplyPairs(Vector128<byte> unsignedBytes, Vector128<byte> signedBytes)
    {
        if (AdvSimd.Arm64.IsSupported)
        {
            // The unsigned side is below 128, so it is the same number read as signed.
            Vector128<short> low = AdvSimd.MultiplyWideningLower(
                unsignedBytes.AsSByte().GetLower(), signedBytes.AsSByte().GetLower());
            Vector128<short> high = AdvSimd.MultiplyWideningUpper(unsignedBytes.AsSByte(), signedBytes.AsSByte());
            return AdvSimd.Arm64.AddPairwise(low, high);
        }

        return Ssse3.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> SumPairs(Vector128<byte> int16) =>
        AdvSimd.IsSupported
            ? AdvSimd.AddPairwiseWidening(int16.AsInt16())
            : Sse2.MultiplyAddAdjacent(int16.AsInt16(), Vector128.Create((short)1));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Widen(int fourBytes) =>
        Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(fourBytes).AsByte())).AsByte();
}
