using System.Runtime.CompilerServices;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Kernels;

/// <summary>Q5_0, IQ4_NL: one half for 32 values.</summary>
internal readonly unsafe struct HalfScale : IBlockScales
{
    public static int StripCount => 1;

    public static bool IsPer16 => false;

    public static int HeaderBytes => PackedMatrix.GroupRows * sizeof(ushort);

    public static bool HasMinima => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LoadHalf(header + (firstRow * sizeof(ushort)));

    public static TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Zero;

    public static TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static (float Scale, float Minimum) Read(byte* header, int row, int index) => (HalfBits.ToSingle(((ushort*)header)[row]), 0);

    public static void Put(byte* header, int row, in BlockFields fields) => ((ushort*)header)[row] = fields.Scale;
}

/// <summary>Q5_1: a half for the scale and one for the minimum of 32 values.</summary>
internal readonly unsafe struct HalfLine : IBlockScales
{
    public static int StripCount => 1;

    public static bool IsPer16 => false;

    public static int HeaderBytes => 2 * HalfScale.HeaderBytes;

    public static bool HasMinima => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => HalfScale.Factor<TIsa, TVector>(header, firstRow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => HalfScale.Factor<TIsa, TVector>(header + HalfScale.HeaderBytes, firstRow);

    public static TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static (float Scale, float Minimum) Read(byte* header, int row, int index) =>
        (HalfBits.ToSingle(((ushort*)header)[row]), HalfBits.ToSingle(((ushort*)header)[PackedMatrix.GroupRows + row]));

    public static void Put(byte* header, int row, in BlockFields fields)
    {
        ((ushort*)header)[row] = fields.Scale;
        ((ushort*)header)[PackedMatrix.GroupRows + row] = fields.Minimum;
    }
}

/// <summary>MXFP4: a power of two for 32 values, as its exponent. The least one, for values up to 4e-38, counts as 0.</summary>
internal readonly unsafe struct ExponentScale : IBlockScales
{
    public static int StripCount => 1;

    public static bool IsPer16 => false;

    public static int HeaderBytes => PackedMatrix.GroupRows;

    public static bool HasMinima => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Factor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.LoadPowerOfTwo(header + firstRow);

    public static TVector MinimumFactor<TIsa, TVector>(byte* header, int firstRow)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => TIsa.Zero;

    public static TVector Scale<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static TVector Minimum<TIsa, TVector>(TVector factor, byte* header, int firstRow, int index)
        where TIsa : struct, IVectorIsa<TVector>
        where TVector : struct => factor;

    public static (float Scale, float Minimum) Read(byte* header, int row, int index) => (header[row] == 0 ? 0 : BlockFields.PowerOfTwo(header[row]), 0);

    public static void Put(byte* header, int row, in BlockFields fields) => header[row] = (byte)fields.Scale;
}
