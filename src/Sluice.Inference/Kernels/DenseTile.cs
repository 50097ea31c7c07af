namespace Sluice.Inference.Kernels;

/// <summary>Operands of <see cref="DenseKernel"/> for the columns of one tile. All pointers stand at the first block.</summary>
internal unsafe ref struct DenseTile
{
    /// <summary>Headers of a group of 16 rows, one for each block.</summary>
    public byte* Headers;

    /// <summary>Strips of the group.</summary>
    public byte* Strips;

    /// <summary>The strips as planes of whole bytes, where many columns need them; null otherwise.</summary>
    public byte* Codes;

    /// <summary>Blocks in a row.</summary>
    public int BlockCount;

    /// <summary>Quantised values in the order of <see cref="ActivationLayout"/>.</summary>
    public sbyte* Values;

    /// <summary>Per 32 values: W scales, then W products of scale and sum.</summary>
    public float* Scales;

    /// <summary>Per 16 values: W products of scale and sum.</summary>
    public float* HalfSums;

    /// <summary>16 results of the tile's first column; the next column is <see cref="OutputStride"/> floats on.</summary>
    public float* Output;

    public int OutputStride;

    /// <summary>Columns of the tile whose results are wanted.</summary>
    public int ColumnCount;

    /// <summary>Whether results are added to what stands in <see cref="Output"/>.</summary>
    public bool Accumulate;
}

/// <summary>Columns of a tile, as a constant.</summary>
internal interface ITileWidth
{
    static abstract int Value { get; }
}

internal readonly struct Width1 : ITileWidth
{
    public static int Value => 1;
}

internal readonly struct Width4 : ITileWidth
{
    public static int Value => 4;
}

internal readonly struct Width8 : ITileWidth
{
    public static int Value => 8;
}
