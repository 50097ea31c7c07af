using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>256-bit operations of AVX2 and FMA.</summary>
internal readonly unsafe struct Avx2Isa : IVectorIsa<Vector256<byte>>
{
    public static bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    public static int PartCount => 2;

    public static bool HasWideTile => false;

    public static Vector256<byte> Zero => Vector256<byte>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Load(byte* address) => Vector256.Load(address);

    // Half to single without F16C: move the bits into place and rescale by 2^112; exact for all finite halves, subnormal ones too.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadHalf(byte* address)
    {
        Vector256<int> wide = Avx2.ConvertToVector256Int32(Vector128.Load((short*)address));
        Vector256<int> bits = Vector256.ShiftLeft(wide, 13) & Vector256.Create(unchecked((int)0x8FFFE000));
        return (bits.AsSingle() * Vector256.Create(HalfBits.Rescale)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadBFloat16(byte* address) =>
        Vector256.ShiftLeft(Avx2.ConvertToVector256Int32(Vector128.Load((ushort*)address)), 16).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadUInt8(byte* address) => Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(*(long*)address).AsByte()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadInt8(byte* address) => Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(*(long*)address).AsSByte()).AsByte();

    // The exponent's bits; for e = 1 those are too few, and the result is subnormal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LoadPowerOfTwo(byte* address)
    {
        Vector256<int> e = LoadUInt8(address).AsInt32();
        return Vector256.Max(Vector256.ShiftLeft(e - Vector256.Create(1), 23), Vector256.ShiftLeft(e, 22)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> BroadcastInt32(byte* address) => Vector256.Create(*(int*)address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> BroadcastSingle(float* address) => Vector256.Create(*address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> CreateSingle(float value) => Vector256.Create(value).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> CreateTable(Vector128<byte> table) => Vector256.Create(table);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LookUp(Vector256<byte> table, Vector256<byte> indices) => Avx2.Shuffle(table, indices);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LowNibbles(Vector256<byte> bytes) => bytes & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> HighNibbles(Vector256<byte> bytes) =>
        Avx2.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> MoveBits(Vector256<byte> bytes, int shift, byte mask)
    {
        Vector256<ushort> words = bytes.AsUInt16();
        Vector256<ushort> moved = shift > 0 ? Vector256.ShiftLeft(words, shift) : shift < 0 ? Vector256.ShiftRightLogical(words, -shift) : words;
        return moved.AsByte() & Vector256.Create(mask);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Or(Vector256<byte> a, Vector256<byte> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> MultiplyTwo(Vector256<byte> w0, Vector256<byte> w1, byte* x, int stride) => Avx2.Add(
        Avx2.MultiplyAddAdjacent(w0, Vector256.Create(*(int*)x).AsSByte()),
        Avx2.MultiplyAddAdjacent(w1, Vector256.Create(*(int*)(x + stride)).AsSByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> MultiplyFour(
        Vector256<byte> w0, Vector256<byte> w1, Vector256<byte> w2, Vector256<byte> w3, byte* x, int stride)
    {
        Vector256<short> sum = Avx2.MultiplyAddAdjacent(w0, Vector256.Create(*(int*)x).AsSByte());
        sum = Avx2.Add(sum, Avx2.MultiplyAddAdjacent(w1, Vector256.Create(*(int*)(x + stride)).AsSByte()));
        sum = Avx2.Add(sum, Avx2.MultiplyAddAdjacent(w2, Vector256.Create(*(int*)(x + (2 * stride))).AsSByte()));
        return Avx2.Add(sum, Avx2.MultiplyAddAdjacent(w3, Vector256.Create(*(int*)(x + (3 * stride))).AsSByte())).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> AddInt16(Vector256<byte> a, Vector256<byte> b) => Avx2.Add(a.AsInt16(), b.AsInt16()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> MultiplyAddPairs(Vector256<byte> acc, Vector256<byte> unsignedBytes, Vector256<byte> signedBytes) =>
        Avx2.Add(acc.AsInt16(), Avx2.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> MultiplyBytes(Vector256<byte> unsignedBytes, Vector256<byte> signedBytes) =>
        Avx2.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> AddPairs(Vector256<byte> acc, Vector256<byte> int16) =>
        Avx2.Add(acc.AsInt32(), Avx2.MultiplyAddAdjacent(int16.AsInt16(), Vector256.Create((short)1))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> SumPairsToSingle(Vector256<byte> int16) =>
        Avx.ConvertToVector256Single(Avx2.MultiplyAddAdjacent(int16.AsInt16(), Vector256.Create((short)1))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> SumBothToSingle(Vector256<byte> a, Vector256<byte> b) =>
        Avx.ConvertToVector256Single(Avx2.Add(
            Avx2.MultiplyAddAdjacent(a.AsInt16(), Vector256.Create((short)1)),
            Avx2.MultiplyAddAdjacent(b.AsInt16(), Vector256.Create((short)1)))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> CombinePlanesToSingle(Vector256<byte> low, Vector256<byte> high)
    {
        Vector256<int> sum = Avx2.Add(
            Avx2.MultiplyAddAdjacent(low.AsInt16(), Vector256.Create((short)1)),
            Avx2.MultiplyAddAdjacent(high.AsInt16(), Vector256.Create((short)16)));
        return Avx.ConvertToVector256Single(sum).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> ToSingle(Vector256<byte> int32) => Vector256.ConvertToSingle(int32.AsInt32()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LowNibbleToSingle(Vector256<byte> int32) => ToSingle((int32.AsInt32() & Vector256.Create(15)).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> HighNibbleToSingle(Vector256<byte> int32) => ToSingle(Vector256.ShiftRightLogical(int32.AsInt32(), 4).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Multiply(Vector256<byte> a, Vector256<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Add(Vector256<byte> a, Vector256<byte> b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> FusedMultiplyAdd(Vector256<byte> a, Vector256<byte> b, Vector256<byte> c) =>
        Fma.MultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> AddScaled(
        Vector256<byte> sum, Vector256<byte> dot, Vector256<byte> scale, Vector256<byte> minimum, float* dx, float* sx)
    {
        Vector256<float> scaled = Fma.MultiplyAdd(dot.AsSingle(), scale.AsSingle() * Vector256.Create(*dx), sum.AsSingle());
        return Fma.MultiplyAdd(minimum.AsSingle(), Vector256.Create(*sx), scaled).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<byte> value, float* address) => value.AsSingle().Store(address);
}
