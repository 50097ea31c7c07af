using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Sluice.Inference.Kernels;

/// <summary>Nibbles: vectors 0 to 3 in the low halves of four planes, 4 to 7 in the high ones.</summary>
internal readonly unsafe struct NibblePlanes : IWeightPlanes
{
    public static int StripBytes => 4 * BitPlanes.PlaneBytes;

    public static int Zero => 8;

    public static int SumLimit => 8;

    public static bool IsSplit => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
    {
        TVector pair = TIsa.Load(strip + (k % 4 * BitPlanes.PlaneBytes));
        return k < 4 ? TIsa.LowNibbles(pair) : TIsa.HighNibbles(pair);
    }

    public static int Read(byte* strip, int row, int index)
    {
        int pair = strip[(index / 4 % 4 * BitPlanes.PlaneBytes) + BitPlanes.Offset(row, index)];
        return index < 16 ? pair & 15 : pair >> 4;
    }

    public static void Put(byte* strip, int row, byte* codes)
    {
        for (int k = 0; k < 8; k++) BitPlanes.Add(strip + (k % 4 * BitPlanes.PlaneBytes), row, codes + (4 * k), 15, k < 4 ? 0 : 4);
    }
}

/// <summary>Nibbles, and the fifth bits in one plane: bit k is that of vector k.</summary>
internal readonly unsafe struct FiveBitPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes + BitPlanes.PlaneBytes;

    public static int Zero => 16;

    // 31 · 127 · 2 · 4 = 31,496.
    public static int SumLimit => 4;

    public static bool IsSplit => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Or(NibblePlanes.Low<TIsa, TVector>(strip, k, table), TIsa.MoveBits(TIsa.Load(strip + NibblePlanes.StripBytes), 4 - k, 0x10));

    public static int Read(byte* strip, int row, int index)
    {
        int bits = strip[NibblePlanes.StripBytes + BitPlanes.Offset(row, index)];
        return NibblePlanes.Read(strip, row, index) | (((bits >> (index / 4)) & 1) << 4);
    }

    public static void Put(byte* strip, int row, byte* codes)
    {
        NibblePlanes.Put(strip, row, codes);
        for (int k = 0; k < 8; k++) BitPlanes.Add(strip + NibblePlanes.StripBytes, row, codes + (4 * k), 0x10, k - 4);
    }
}

/// <summary>Nibbles, and two more bits in two planes: those of vectors 0 to 3 from the lowest bits on in the first, 4 to 7 in the second.</summary>
internal readonly unsafe struct SixBitPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes + (2 * BitPlanes.PlaneBytes);

    public static int Zero => 32;

    // 63 · 127 · 2 · 2 = 32,004.
    public static int SumLimit => 2;

    public static bool IsSplit => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
    {
        TVector bits = TIsa.Load(strip + NibblePlanes.StripBytes + (k / 4 * BitPlanes.PlaneBytes));
        return TIsa.Or(NibblePlanes.Low<TIsa, TVector>(strip, k, table), TIsa.MoveBits(bits, 4 - (2 * (k % 4)), 0x30));
    }

    public static int Read(byte* strip, int row, int index) =>
        NibblePlanes.Read(strip, row, index) | (TwoBitPlanes.Read(strip + NibblePlanes.StripBytes, row, index) << 4);

    public static void Put(byte* strip, int row, byte* codes)
    {
        NibblePlanes.Put(strip, row, codes);
        for (int k = 0; k < 8; k++)
        {
            BitPlanes.Add(strip + NibblePlanes.StripBytes + (k / 4 * BitPlanes.PlaneBytes), row, codes + (4 * k), 0x30, (2 * (k % 4)) - 4);
        }
    }
}

/// <summary>Two bits in two planes: those of vectors 0 to 3 from the lowest bits on in the first, 4 to 7 in the second.</summary>
internal readonly unsafe struct TwoBitPlanes : IWeightPlanes
{
    public static int StripBytes => 2 * BitPlanes.PlaneBytes;

    public static int Zero => 2;

    public static int SumLimit => 8;

    public static bool IsSplit => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.MoveBits(TIsa.Load(strip + (k / 4 * BitPlanes.PlaneBytes)), -2 * (k % 4), 3);

    public static int Read(byte* strip, int row, int index)
    {
        int bits = strip[(index / 16 * BitPlanes.PlaneBytes) + BitPlanes.Offset(row, index)];
        return (bits >> (index / 4 % 4 * 2)) & 3;
    }

    public static void Put(byte* strip, int row, byte* codes)
    {
        for (int k = 0; k < 8; k++) BitPlanes.Add(strip + (k / 4 * BitPlanes.PlaneBytes), row, codes + (4 * k), 3, 2 * (k % 4));
    }
}

/// <summary>Two bits as <see cref="TwoBitPlanes"/>, and the third in one plane: bit k is that of vector k.</summary>
internal readonly unsafe struct ThreeBitPlanes : IWeightPlanes
{
    public static int StripBytes => TwoBitPlanes.StripBytes + BitPlanes.PlaneBytes;

    public static int Zero => 4;

    public static int SumLimit => 8;

    public static bool IsSplit => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Or(TwoBitPlanes.Low<TIsa, TVector>(strip, k, table), TIsa.MoveBits(TIsa.Load(strip + TwoBitPlanes.StripBytes), 2 - k, 4));

    public static int Read(byte* strip, int row, int index)
    {
        int bits = strip[TwoBitPlanes.StripBytes + BitPlanes.Offset(row, index)];
        return TwoBitPlanes.Read(strip, row, index) | (((bits >> (index / 4)) & 1) << 2);
    }

    public static void Put(byte* strip, int row, byte* codes)
    {
        TwoBitPlanes.Put(strip, row, codes);
        for (int k = 0; k < 8; k++) BitPlanes.Add(strip + TwoBitPlanes.StripBytes, row, codes + (4 * k), 4, k - 2);
    }
}

/// <summary>Nibbles that are indices into the 16 values of IQ4_NL and IQ4_XS.</summary>
internal readonly unsafe struct NonLinearPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes;

    public static int Zero => 127;

    public static int SumLimit => 8;

    public static bool IsSplit => true;

    // u = value + 127, from 0 to 240.
    private static Vector128<byte> Values => Vector128.Create((byte)0, 23, 44, 62, 78, 92, 105, 117, 128, 140, 152, 165, 180, 196, 216, 240);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LowTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.CreateTable(Values & Vector128.Create((byte)15));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector HighTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.CreateTable(Values >>> 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.LookUp(table, NibblePlanes.Low<TIsa, TVector>(strip, k, table));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector High<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.LookUp(table, NibblePlanes.Low<TIsa, TVector>(strip, k, table));

    public static int Read(byte* strip, int row, int index) => Values[NibblePlanes.Read(strip, row, index)];

    public static void Put(byte* strip, int row, byte* codes) => NibblePlanes.Put(strip, row, codes);
}

/// <summary>Nibbles that are numbers of two exponent bits and one of mantissa (E2M1), in halves.</summary>
internal readonly unsafe struct MiniFloatPlanes : IWeightPlanes
{
    public static int StripBytes => NibblePlanes.StripBytes;

    public static int Zero => 12;

    // 24 · 127 · 2 · 4 = 24,384.
    public static int SumLimit => 4;

    public static bool IsSplit => false;

    // u = value + 12: 0, 1, 2, 3, 4, 6, 8, 12 and their negatives.
    private static Vector128<byte> Values => Vector128.Create((byte)12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);

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
