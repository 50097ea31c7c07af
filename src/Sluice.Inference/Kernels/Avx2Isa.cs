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
    public static Vector256<byte> BroadcastInt32(byte* address) => Vector256.Create(*(int*)address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> BroadcastSingle(float* address) => Vector256.Create(*address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> LowNibbles(Vector256<byte> bytes) => bytes & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> HighNibbles(Vector256<byte> bytes) =>
        Avx2.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & Vector256.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> MultiplyAddPairs(Vector256<byte> acc, Vector256<byte> unsignedBytes, Vector256<byte> signedBytes) =>
        Avx2.Add(acc.AsInt16(), Avx2.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> SumPairsToSingle(Vector256<byte> int16) =>
        Avx.ConvertToVector256Single(Avx2.MultiplyAddAdjacent(int16.AsInt16(), Vector256.Create((short)1))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> CombinePlanesToSingle(Vector256<byte> low, Vector256<byte> high)
    {
        Vector256<int> sum = Avx2.Add(
            Avx2.MultiplyAddAdjacent(low.AsInt16(), Vector256.Create((short)1)),
            Avx2.MultiplyAddAdjacent(high.AsInt16(), Vector256.Create((short)16)));
        return Avx.ConvertToVector256Single(sum).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Multiply(Vector256<byte> a, Vector256<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Add(Vector256<byte> a, Vector256<byte> b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> FusedMultiplyAdd(Vector256<byte> a, Vector256<byte> b, Vector256<byte> c) =>
        Fma.MultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<byte> value, float* address) => value.AsSingle().Store(address);
}
