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
    public static Vector128<byte> BroadcastInt32(byte* address) => Vector128.Create(*(int*)address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> BroadcastSingle(float* address) => Vector128.Create(*address).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> LowNibbles(Vector128<byte> bytes) => bytes & Vector128.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> HighNibbles(Vector128<byte> bytes) =>
        Vector128.ShiftRightLogical(bytes.AsUInt16(), 4).AsByte() & Vector128.Create((byte)15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> MultiplyAddPairs(Vector128<byte> acc, Vector128<byte> unsignedBytes, Vector128<byte> signedBytes)
    {
        if (AdvSimd.Arm64.IsSupported)
        {
            // The unsigned side is a nibble, so it is the same number read as signed.
            Vector128<short> low = AdvSimd.MultiplyWideningLower(
                unsignedBytes.AsSByte().GetLower(), signedBytes.AsSByte().GetLower());
            Vector128<short> high = AdvSimd.MultiplyWideningUpper(unsignedBytes.AsSByte(), signedBytes.AsSByte());
            return (acc.AsInt16() + AdvSimd.Arm64.AddPairwise(low, high)).AsByte();
        }

        return Sse2.Add(acc.AsInt16(), Ssse3.MultiplyAddAdjacent(unsignedBytes, signedBytes.AsSByte())).AsByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> SumPairsToSingle(Vector128<byte> int16) => Vector128.ConvertToSingle(SumPairs(int16)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> CombinePlanesToSingle(Vector128<byte> low, Vector128<byte> high) =>
        Vector128.ConvertToSingle(SumPairs(low) + Vector128.ShiftLeft(SumPairs(high), 4)).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Multiply(Vector128<byte> a, Vector128<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Add(Vector128<byte> a, Vector128<byte> b) => (a.AsSingle() + b.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> FusedMultiplyAdd(Vector128<byte> a, Vector128<byte> b, Vector128<byte> c) =>
        Vector128.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> value, float* address) => value.AsSingle().Store(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> SumPairs(Vector128<byte> int16) =>
        AdvSimd.IsSupported
            ? AdvSimd.AddPairwiseWidening(int16.AsInt16())
            : Sse2.MultiplyAddAdjacent(int16.AsInt16(), Vector128.Create((short)1));
}
