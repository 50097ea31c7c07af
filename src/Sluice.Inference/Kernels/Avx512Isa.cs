using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>512-bit operations of AVX-512 F and BW. .NET 10 has no 512-bit dot product, so products go through 16-bit pairs.</summary>
internal readonly unsafe struct Avx512Isa : IVectorIsa<Vector512<byte>>
{
    public static bool IsSupported => Avx512BW.IsSupported;

    public static int PartCount => 1;

    public static bool HasWideTile => true;

    public static Vector512<byte> Zero => Vector512<byte>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Load(byte* address) => Vector512.Load(address);

    // Half to single without F16C: move the bits into place and rescale by 2^112; exact for all finite halves, subnormal ones too.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LoadHalf(byte* address)
    {
        Vector512<int> wide = Avx512F.ConvertToVector512Int32(Vector256.Load((short*)address));
        Vector512<int> bits = Vector512.ShiftLeft(wide, 13) & Vector512.Create(unchecked((int)0x8FFFE000));
        return (bits.AsSingle() * Vector512.Create(HalfBits.Rescale)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LoadBFloat16(byte* address) =>
        Vector512.ShiftLeft(Avx512F.ConvertToVector512Int32(Vector256.Load((ushort*)address)), 16).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LoadUInt8(byte* address) => Avx512F.ConvertToVector512Int32(Vector128.Load(address)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LoadInt8(byte* address) => Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)address)).AsByte();

    // The exponent's bits; for e = 1 those are too few, and the result is subnormal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LoadPowerOfTwo(byte* address)
    {
        Vector512<int> e = LoadUInt8(address).AsInt32();
        return Vector512.Max(Vector512.ShiftLeft(e - Vector512.Create(1), 23), Vector512.ShiftLeft(e, 22)).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> BroadcastInt32(byte* address) => Vector512.Create(*(int*)address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> BroadcastSingle(float* address) => Vector512.Create(*address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> CreateSingle(float value) => Vector512.Create(value).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> CreateTable(Vector128<byte> table) => Vector512.Create(table);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LookUp(Vector512<byte> table, Vector512<byte> indices) => Avx512BW.Shuffle(table, indices);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LowNibbles(Vector512<byte> bytes) => bytes & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> HighNibbles(Vector512<byte> bytes) =>
        Avx512BW.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> MoveBits(Vector512<byte> bytes, int shift, byte mask)
    {
        Vector512<ushort> words = bytes.AsUInt16();
        Vector512<ushort> moved = shift > 0 ? Vector512.ShiftLeft(words, shift) : shift < 0 ? Vector512.ShiftRightLogical(words, -shift) : words;
        return moved.AsByte() & Vector512.Create(mask);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Or(Vector512<byte> a, Vector512<byte> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> MultiplyTwo(Vector512<byte> w0, Vector512<byte> w1, byte* x, int stride) => Avx512BW.Add(
        Avx512BW.MultiplyAddAdjacent(w0, Vector512.Create(*(int*)x).AsSByte()),
        Avx512BW.MultiplyAddAdjacent(w1, Vector512.Create(*(int*)(x + stride)).AsSByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> MultiplyFour(
        Vector512<byte> w0, Vector512<byte> w1, Vector512<byte> w2, Vector512<byte> w3, byte* x, int stride)
    {
        Vector512<short> sum = Avx512BW.MultiplyAddAdjacent(w0, Vector512.Create(*(int*)x).AsSByte());
        sum = Avx512BW.Add(sum, Avx512BW.MultiplyAddAdjacent(w1, Vector512.Create(*(int*)(x + stride)).AsSByte()));
        sum = Avx512BW.Add(sum, Avx512BW.MultiplyAddAdjacent(w2, Vector512.Create(*(int*)(x + (2 * stride))).AsSByte()));
        return Avx512BW.Add(sum, Avx512BW.MultiplyAddAdjacent(w3, Vector512.Create(*(int*)(x + (3 * stride))).AsSByte())).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> AddInt16(Vector512<byte> a, Vector512<byte> b) => Avx512BW.Add(a.AsInt16(), b.AsInt16()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> MultiplyAddPairs(Vector512<byte> acc, Vector512<byte> unsignedBytes, Vector512<byte> signedBytes) =>
        Avx512BW.Add(acc.AsInt16(), Avx512BW.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> MultiplyBytes(Vector512<byte> unsignedBytes, Vector512<byte> signedBytes) =>
        Avx512BW.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> AddPairs(Vector512<byte> acc, Vector512<byte> int16) =>
        Avx512F.Add(acc.AsInt32(), Avx512BW.MultiplyAddAdjacent(int16.AsInt16(), Vector512.Create((short)1))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> SumPairsToSingle(Vector512<byte> int16) =>
        Avx512F.ConvertToVector512Single(Avx512BW.MultiplyAddAdjacent(int16.AsInt16(), Vector512.Create((short)1))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> SumBothToSingle(Vector512<byte> a, Vector512<byte> b) =>
        Avx512F.ConvertToVector512Single(Avx512F.Add(
            Avx512BW.MultiplyAddAdjacent(a.AsInt16(), Vector512.Create((short)1)),
            Avx512BW.MultiplyAddAdjacent(b.AsInt16(), Vector512.Create((short)1)))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> CombinePlanesToSingle(Vector512<byte> low, Vector512<byte> high)
    {
        Vector512<int> sum = Avx512F.Add(
            Avx512BW.MultiplyAddAdjacent(low.AsInt16(), Vector512.Create((short)1)),
            Avx512BW.MultiplyAddAdjacent(high.AsInt16(), Vector512.Create((short)16)));
        return Avx512F.ConvertToVector512Single(sum).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> ToSingle(Vector512<byte> int32) => Vector512.ConvertToSingle(int32.AsInt32()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LowNibbleToSingle(Vector512<byte> int32) => ToSingle((int32.AsInt32() & Vector512.Create(15)).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> HighNibbleToSingle(Vector512<byte> int32) => ToSingle(Vector512.ShiftRightLogical(int32.AsInt32(), 4).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Multiply(Vector512<byte> a, Vector512<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Add(Vector512<byte> a, Vector512<byte> b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> FusedMultiplyAdd(Vector512<byte> a, Vector512<byte> b, Vector512<byte> c) =>
        Avx512F.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> AddScaled(
        Vector512<byte> sum, Vector512<byte> dot, Vector512<byte> scale, Vector512<byte> minimum, float* dx, float* sx)
    {
        Vector512<float> scaled = Avx512F.FusedMultiplyAdd(dot.AsSingle(), scale.AsSingle() * Vector512.Create(*dx), sum.AsSingle());
        return Avx512F.FusedMultiplyAdd(minimum.AsSingle(), Vector512.Create(*sx), scaled).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<byte> value, float* address) => value.AsSingle().Store(address);
}
