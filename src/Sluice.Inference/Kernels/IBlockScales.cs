using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>
/// How the scales of a block of 16 rows stand in memory, apart from the integers: a header for each block, with the file's own numbers. What a
/// strip is multiplied with is computed from them when it is read, with the products that the file's type defines.
/// </summary>
internal unsafe interface IBlockScales
{
    /// <summary>Strips of 32 values that share a header: 1, or 8 for super-blocks.</summary>
    static abstract int StripCount { get; }

    /// <summary>Whether a scale is for 16 values, not 32.</summary>
    static abstract bool IsPer16 { get; }

    /// <summary>Bytes of a block's header.</summary>
    static abstract int HeaderBytes { get; }

    /// <summary>Whether x = d · u + m with m from the file; otherwise x = d · (u - <see cref="IWeightPlanes.Zero"/>).</summary>
    static abstract bool HasMinima { get; }

    /// <summary>What all scales of a block have in common.</summary>
    static abstract TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct;

    /// <summary>What all minima of a block have in common; zeros without minima.</summary>
    static abstract TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct;

    /// <summary>The scales of strip or half strip <paramref name="index"/> of the block.</summary>
    static abstract TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct;

    /// <summary>The minima of strip or half strip <paramref name="index"/>; not called without minima.</summary>
    static abstract TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct;

    /// <summary>Scale and minimum of one row, for the scalar kernel.</summary>
    static abstract (float Scale, float Minimum) Read(byte* header, int row, int index);

    /// <summary>Writes those of one row.</summary>
    static abstract void Put(byte* header, int row, in BlockFields fields);
}
