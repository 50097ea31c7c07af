namespace Sluice.Inference.Kernels;

/// <summary>
/// How a block of 16 rows × <see cref="BlockLength"/> values stands in memory after repacking. Every value is d · u + m with u unsigned:
/// first 16 scales d, then 16 minima m, then u. Weight vector j holds, for each row, four consecutive values; with nibbles the low half
/// holds values 4j … 4j+3 and the high half values 16+4j … 16+4j+3.
/// </summary>
internal interface IBlockFormat
{
    /// <summary>Values per row that share a scale: 32, or 16 for Q6_K.</summary>
    static abstract int BlockLength { get; }

    /// <summary>Whether scales and minima are single precision (computed at load) and not the file's own halves.</summary>
    static abstract bool HasSingleScales { get; }

    /// <summary>Whether u is a byte, multiplied as two nibble planes, and not a nibble.</summary>
    static abstract bool IsByte { get; }
}

/// <summary>Q4_0 and Q4_1: the file's halves and nibbles, 5 bits a weight.</summary>
internal readonly struct NibbleHalf : IBlockFormat
{
    public static int BlockLength => 32;

    public static bool HasSingleScales => false;

    public static bool IsByte => false;
}

/// <summary>Q4_K: nibbles with the products of super-block and sub-block scales, 6 bits a weight.</summary>
internal readonly struct NibbleSingle : IBlockFormat
{
    public static int BlockLength => 32;

    public static bool HasSingleScales => true;

    public static bool IsByte => false;
}

/// <summary>Q5_0, Q5_1 and Q8_0: bytes with the file's halves, 9 bits a weight and a minimum.</summary>
internal readonly struct ByteHalf : IBlockFormat
{
    public static int BlockLength => 32;

    public static bool HasSingleScales => false;

    public static bool IsByte => true;
}

/// <summary>Q5_K: bytes with computed scales.</summary>
internal readonly struct ByteSingle : IBlockFormat
{
    public static int BlockLength => 32;

    public static bool HasSingleScales => true;

    public static bool IsByte => true;
}

/// <summary>Q6_K: bytes with a computed scale per 16 values.</summary>
internal readonly struct ByteSingle16 : IBlockFormat
{
    public static int BlockLength => 16;

    public static bool HasSingleScales => true;

    public static bool IsByte => true;
}
