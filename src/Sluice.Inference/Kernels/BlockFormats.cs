namespace Sluice.Inference.Kernels;

/// <summary>
/// How a block of 16 rows × 32 values stands in memory after repacking. Every value is d · u + m with u unsigned: first 16 scales d and 16 minima
/// m as halves, then u. Weight vector j holds, for each row, four consecutive values; with nibbles the low half holds values 4j … 4j+3 and the
/// high half values 16+4j … 16+4j+3.
/// </summary>
internal interface IBlockFormat
{
    /// <summary>Whether u is a byte, multiplied as two nibble planes, and not a nibble.</summary>
    static abstract bool IsByte { get; }
}

/// <summary>Q4_0 and Q4_1: the file's halves and nibbles, 5 bits a weight.</summary>
internal readonly struct NibbleHalf : IBlockFormat
{
    public static bool IsByte => false;
}

/// <summary>Q8_0: bytes with the file's halves, 9 bits a weight.</summary>
internal readonly struct ByteHalf : IBlockFormat
{
    public static bool IsByte => true;
}
