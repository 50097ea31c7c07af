using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Sluice.Inference.Kernels;

/// <summary>Nibbles that are codes of <c>GridUnpacker</c>: magnitudes of IQ2 with their signs.</summary>
internal readonly unsafe struct TwoBitGridPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes;

    public static int Zero => 43;

    // 86 · 127 · 2 = 21,844.
    public static int SumLimit => 1;

    public static bool IsSplit => false;

    // u = value + 43.
    private static Vector128<byte> Values => Vector128.Create((byte)51, 68, 86, 43, 43, 43, 43, 43, 35, 18, 0, 43, 43, 43, 43, 43);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LowTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.CreateTable(Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LookUp(table, NibblePlanes.Low<TIsa, TVector>(strip, k, table));

    public static int Read(byte* strip, int row, int index) => Values[NibblePlanes.Read(strip, row, index)];

    public static void Put(byte* strip, int row, byte* codes) => NibblePlanes.Put(strip, row, codes);
}

/// <summary>The same of IQ3_XXS.</summary>
internal readonly unsafe struct ThreeBitGridPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes;

    public static int Zero => 62;

    // 124 · 127 · 2 = 31,496.
    public static int SumLimit => 1;

    public static bool IsSplit => false;

    // u = value + 62.
    private static Vector128<byte> Values => Vector128.Create((byte)66, 74, 82, 90, 98, 106, 114, 124, 58, 50, 42, 34, 26, 18, 10, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LowTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.CreateTable(Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LookUp(table, NibblePlanes.Low<TIsa, TVector>(strip, k, table));

    public static int Read(byte* strip, int row, int index) => Values[NibblePlanes.Read(strip, row, index)];

    public static void Put(byte* strip, int row, byte* codes) => NibblePlanes.Put(strip, row, codes);
}

/// <summary>The same of IQ3_S.</summary>
internal readonly unsafe struct OddGridPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes;

    public static int Zero => 15;

    // 30 · 127 · 2 · 4 = 30,480.
    public static int SumLimit => 4;

    public static bool IsSplit => false;

    // u = value + 15.
    private static Vector128<byte> Values => Vector128.Create((byte)16, 18, 20, 22, 24, 26, 28, 30, 14, 12, 10, 8, 6, 4, 2, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LowTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.CreateTable(Values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LookUp(table, NibblePlanes.Low<TIsa, TVector>(strip, k, table));

    public static int Read(byte* strip, int row, int index) => Values[NibblePlanes.Read(strip, row, index)];

    public static void Put(byte* strip, int row, byte* codes) => NibblePlanes.Put(strip, row, codes);
}
