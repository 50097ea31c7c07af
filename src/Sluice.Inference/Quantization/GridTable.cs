namespace Sluice.Inference.Quantization;

/// <summary>
/// The vectors that IQ2 and IQ3 choose from, as ranks of their magnitudes. The numbers are ggml's; tests/reference/make_grids.py asks its
/// dequantiser for them and writes the file that is read here.
/// </summary>
internal static class GridTable
{
    private const string File = "Sluice.Inference.Quantization.grids.bin";

    // In the order of the file.
    private static readonly Lazy<byte[][]> s_ranks = new(static () =>
    {
        using Stream stream = typeof(GridTable).Assembly.GetManifestResourceStream(File)!;
        return
        [
            Read(stream, 256 * 8, 2), Read(stream, 512 * 8, 2), Read(stream, 1024 * 8, 2), Read(stream, 256 * 4, 4), Read(stream, 512 * 4, 4),
        ];
    });

    /// <summary>256 × 8.</summary>
    public static byte[] TwoBitSmallest => s_ranks.Value[0];

    /// <summary>512 × 8.</summary>
    public static byte[] TwoBitSmall => s_ranks.Value[1];

    /// <summary>1024 × 8.</summary>
    public static byte[] TwoBit => s_ranks.Value[2];

    /// <summary>256 × 4.</summary>
    public static byte[] ThreeBitSmall => s_ranks.Value[3];

    /// <summary>512 × 4.</summary>
    public static byte[] ThreeBit => s_ranks.Value[4];

    private static byte[] Read(Stream stream, int count, int bits)
    {
        byte[] packed = new byte[count * bits / 8];
        stream.ReadExactly(packed);
        byte[] ranks = new byte[count];
        for (int i = 0; i < count; i++)
        {
            ranks[i] = (byte)((packed[i * bits / 8] >> (i * bits % 8)) & ((1 << bits) - 1));
        }

        return ranks;
    }
}
