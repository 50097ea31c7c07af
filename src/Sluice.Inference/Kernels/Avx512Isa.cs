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
    public static Vector512<byte> BroadcastInt32(byte* address) => Vector512.Create(*(int*)address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> BroadcastSingle(float* address) => Vector512.Create(*address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> LowNibbles(Vector512<byte> bytes) => bytes & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> HighNibbles(Vector512<byte> bytes) =>
        Avx512BW.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & Vector512.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> MultiplyAddPairs(Vector512<byte> acc, Vector512<byte> unsignedBytes, Vector512<byte> signedBytes) =>
        Avx512BW.Add(acc.AsInt16(), Avx512BW.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte())).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> SumPairsToSingle(Vector512<byte> int16) =>
        Avx512F.ConvertToVector512Single(Avx512BW.MultiplyAddAdjacent(int16.AsInt16(), Vector512.Create((short)1))).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> CombinePlanesToSingle(Vector512<byte> low, Vector512<byte> high)
    {
        Vector512<int> sum = Avx512F.Add(
            Avx512BW.MultiplyAddAdjacent(low.AsInt16(), Vector512.Create((short)1)),
            Avx512BW.MultiplyAddAdjacent(high.AsInt16(), Vector512.Create((short)16)));
        return Avx512F.ConvertToVector512Single(sum).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Multiply(Vector512<byte> a, Vector512<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Add(Vector512<byte> a, Vector512<byte> b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> FusedMultiplyAdd(Vector512<byte> a, Vector512<byte> b, Vector512<byte> c) =>
        Avx512F.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<byte> value, float* address) => value.AsSingle().Store(address);
}
