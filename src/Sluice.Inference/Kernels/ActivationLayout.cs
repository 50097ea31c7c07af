namespace Sluice.Inference.Kernels;

/// <summary>
/// Where the quantised activations of a batch stand. Columns (tokens) lie in tiles of 8, the rest in one tile of 8, 4 or 1, so that a kernel
/// walks one pointer: within a tile of width W, the four values 4g … 4g+3 of all W columns are neighbours.
/// </summary>
internal static class ActivationLayout
{
    /// <summary>Values that share one activation scale, as in ggml's Q8_0 and Q8_1.</summary>
    public const int BlockLength = 32;

    /// <summary>Columns of a full tile.</summary>
    public const int TileWidthMax = 8;

    /// <summary>First column of the tile that holds <paramref name="column"/>.</summary>
    public static int TileStart(int column) => column & ~(TileWidthMax - 1);

    /// <summary>Width of the tile that starts at <paramref name="tileStart"/> of <paramref name="columnCount"/> columns: 8, 4 or 1.</summary>
    public static int TileWidth(int tileStart, int columnCount) => (columnCount - tileStart) switch
    {
        1 => 1,
        <= 4 => 4,
        _ => TileWidthMax,
    };

    /// <summary>Columns that memory is needed for: the last tile counts whole.</summary>
    public static int PaddedColumnCount(int columnCount) => (columnCount + TileWidthMax - 1) & ~(TileWidthMax - 1);
}
