using System.Runtime.CompilerServices;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>Q4_K, Q5_K: two halves for 256 values, the second negated; then for each 32 values 16 integers for scales and 16 for minima.</summary>
internal readonly unsafe struct SuperLine : IBlockScales
{
    private const int Rows = PackedMatrix.GroupRows;
    private const int FactorBytes = 2 * Rows * sizeof(ushort);

    public static int StripCount => 8;

    public static bool IsPer16 => false;

    public static int HeaderBytes => FactorBytes + (StripCount * 2 * Rows);

    public static bool HasMinima => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => HalfLine.Factor<TIsa, TVector>(header, firstRow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => HalfLine.MinimumFactor<TIsa, TVector>(header, firstRow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Multiply(factor, TIsa.ToSingle(TIsa.LoadUInt8(header + FactorBytes + (index * 2 * Rows) + firstRow)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Multiply(factor, TIsa.ToSingle(TIsa.LoadUInt8(header + FactorBytes + (index * 2 * Rows) + Rows + firstRow)));

    public static (float Scale, float Minimum) Read(byte* header, int row, int index)
    {
        var (scale, minimum) = HalfLine.Read(header, row, 0);
        byte* integers = header + FactorBytes + (index * 2 * Rows) + row;
        return (scale * integers[0], minimum * integers[Rows]);
    }

    public static void Put(byte* header, int row, in BlockFields fields)
    {
        ((ushort*)header)[row] = fields.Scale;
        ((ushort*)header)[Rows + row] = (ushort)(fields.Minimum ^ BlockFields.HalfSign);
        for (int i = 0; i < StripCount; i++)
        {
            header[FactorBytes + (i * 2 * Rows) + row] = (byte)fields.Scales[i];
            header[FactorBytes + (i * 2 * Rows) + Rows + row] = fields.Minima[i];
        }
    }
}

/// <summary>Q2_K: two halves for 256 values, the second negated; then for each 16 values a byte, scale in its low and minimum in its high half.</summary>
internal readonly unsafe struct SuperNibbleLine : IBlockScales
{
    private const int Rows = PackedMatrix.GroupRows;
    private const int FactorBytes = 2 * Rows * sizeof(ushort);
    private const int ScaleCount = 16;

    public static int StripCount => 8;

    public static bool IsPer16 => true;

    public static int HeaderBytes => FactorBytes + (ScaleCount * Rows);

    public static bool HasMinima => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => HalfLine.Factor<TIsa, TVector>(header, firstRow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => HalfLine.MinimumFactor<TIsa, TVector>(header, firstRow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Multiply(factor, TIsa.LowNibbleToSingle(TIsa.LoadUInt8(header + FactorBytes + (index * Rows) + firstRow)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct =>
        TIsa.Multiply(factor, TIsa.HighNibbleToSingle(TIsa.LoadUInt8(header + FactorBytes + (index * Rows) + firstRow)));

    public static (float Scale, float Minimum) Read(byte* header, int row, int index)
    {
        var (scale, minimum) = HalfLine.Read(header, row, 0);
        int pair = header[FactorBytes + (index * Rows) + row];
        return (scale * (pair & 15), minimum * (pair >> 4));
    }

    public static void Put(byte* header, int row, in BlockFields fields)
    {
        ((ushort*)header)[row] = fields.Scale;
        ((ushort*)header)[Rows + row] = (ushort)(fields.Minimum ^ BlockFields.HalfSign);
        for (int i = 0; i < ScaleCount; i++)
        {
            header[FactorBytes + (i * Rows) + row] = (byte)((byte)fields.Scales[i] | (fields.Minima[i] << 4));
        }
    }
}

/// <summary>How many values a scale of <see cref="SuperScale{TLength}"/> is for.</summary>
internal interface IScaleLength
{
    static abstract bool Is16 { get; }

    /// <summary>What an integer counts for: a power of two.</summary>
    static virtual float Unit => 1;
}

/// <summary>Q3_K, Q6_K.</summary>
internal readonly struct Per16 : IScaleLength
{
    public static bool Is16 => true;
}

/// <summary>IQ2_XS, IQ2_S: eighths.</summary>
internal readonly struct Per16InEighths : IScaleLength
{
    public static bool Is16 => true;

    public static float Unit => 1 / 8f;
}

/// <summary>IQ2_XXS: eighths.</summary>
internal readonly struct Per32InEighths : IScaleLength
{
    public static bool Is16 => false;

    public static float Unit => 1 / 8f;
}

/// <summary>IQ3_XXS: quarters.</summary>
internal readonly struct Per32InQuarters : IScaleLength
{
    public static bool Is16 => false;

    public static float Unit => 1 / 4f;
}

/// <summary>IQ3_S, IQ4_XS.</summary>
internal readonly struct Per32 : IScaleLength
{
    public static bool Is16 => false;
}

/// <summary>Q3_K, Q6_K, IQ2, IQ3, IQ4_XS: one half for 256 values, then for each 16 or 32 of them a signed integer.</summary>
internal readonly unsafe struct SuperScale<TLength> : IBlockScales
    where TLength : struct, IScaleLength
{
    private const int Rows = PackedMatrix.GroupRows;
    private const int FactorBytes = Rows * sizeof(ushort);

    public static int StripCount => 8;

    public static bool IsPer16 => TLength.Is16;

    public static int HeaderBytes => FactorBytes + (ScaleCount * Rows);

    public static bool HasMinima => false;

    private static int ScaleCount => TLength.Is16 ? 16 : 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct
    {
        TVector factor = HalfScale.Factor<TIsa, TVector>(header, firstRow);
        return TLength.Unit == 1 ? factor : TIsa.Multiply(factor, TIsa.CreateSingle(TLength.Unit));
    }

    public static TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Multiply(factor, TIsa.ToSingle(TIsa.LoadInt8(header + FactorBytes + (index * Rows) + firstRow)));

    public static TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static (float Scale, float Minimum) Read(byte* header, int row, int index) =>
        (HalfBits.ToSingle(((ushort*)header)[row]) * TLength.Unit * (sbyte)header[FactorBytes + (index * Rows) + row], 0);

    public static void Put(byte* header, int row, in BlockFields fields)
    {
        ((ushort*)header)[row] = fields.Scale;
        for (int i = 0; i < ScaleCount; i++) header[FactorBytes + (i * Rows) + row] = (byte)fields.Scales[i];
    }
}
