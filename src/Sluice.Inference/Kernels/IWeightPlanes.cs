namespace Sluice.Inference.Kernels;

/// <summary>
/// How the integers of a strip, 16 rows × <see cref="StripLength"/> values, stand in memory. Weight vector k of eight holds, for each row, the
/// four values 4k … 4k+3 as unsigned bytes u; in memory their bits lie in planes of 64 bytes, one byte for each of the vector's.
/// </summary>
internal unsafe interface IWeightPlanes
{
    /// <summary>Values per row.</summary>
    const int StripLength = 32;

    /// <summary>Bytes of all planes, a multiple of 64.</summary>
    static abstract int StripBytes { get; }

    /// <summary>What stands for a weight of 0 where the type has no minima: x = d · (u - zero).</summary>
    static abstract int Zero { get; }

    /// <summary>Weight vectors whose products with signed bytes may be added in 16 bits: 8, 4, 2 or 1.</summary>
    static abstract int SumLimit { get; }

    /// <summary>Whether u takes eight bits and is multiplied as two vectors, low + 16 · high.</summary>
    static abstract bool IsSplit { get; }

    /// <summary>What <see cref="Low"/> needs beside the strip; zeros for most.</summary>
    static virtual TVector LowTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Zero;

    /// <summary>What <see cref="High"/> needs beside the strip; zeros for most.</summary>
    static virtual TVector HighTable<TIsa, TVector>()
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Zero;

    /// <summary>Vector <paramref name="k"/>, a constant of 0 to 7; its low four bits where it is split.</summary>
    static abstract TVector Low<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct;

    /// <summary>The high four bits of vector <paramref name="k"/>; not called where it is not split.</summary>
    static virtual TVector High<TIsa, TVector>(byte* strip, int k, TVector table)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Zero;

    /// <summary>One u, for the scalar kernel.</summary>
    /// <param name="strip">The planes of all 16 rows.</param>
    /// <param name="row">0 to 15.</param>
    /// <param name="index">0 to 31.</param>
    static abstract int Read(byte* strip, int row, int index);

    /// <summary>Adds a row to planes that are zero there.</summary>
    /// <param name="strip">The planes of all 16 rows.</param>
    /// <param name="row">0 to 15.</param>
    /// <param name="codes">32 integers as the file has them.</param>
    static abstract void Put(byte* strip, int row, byte* codes);
}

/// <summary>Planes of bits, as all types share them.</summary>
internal static unsafe class BitPlanes
{
    public const int PlaneBytes = 64;

    /// <summary>The byte of a value in its plane.</summary>
    public static int Offset(int row, int index) => (row * 4) + (index % 4);

    /// <summary>Adds bits of four values to a plane.</summary>
    /// <param name="plane">64 bytes.</param>
    /// <param name="row">0 to 15.</param>
    /// <param name="codes">Four neighbouring codes of the row.</param>
    /// <param name="mask">Which bits of a code.</param>
    /// <param name="shift">By how much they move to the left; to the right where it is negative.</param>
    public static void Add(byte* plane, int row, byte* codes, byte mask, int shift)
    {
        uint bits = *(uint*)codes & (mask * 0x01010101u);
        ((uint*)plane)[row] |= shift >= 0 ? bits << shift : bits >> -shift;
    }
}
