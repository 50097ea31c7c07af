using Sluice.Inference.Gguf;

namespace Sluice.Inference.Kernels;

/// <summary>The matrix in which the weights of each type of a file are kept.</summary>
internal static class PackedMatrices
{
    /// <summary>An empty matrix, to be filled group by group with <see cref="PackedMatrix.PackGroup"/>.</summary>
    /// <param name="arena">Where it takes its memory.</param>
    /// <param name="type">Type of the tensor.</param>
    /// <param name="rowCount">Outputs.</param>
    /// <param name="length">Inputs, whole blocks.</param>
    public static PackedMatrix Create(WeightArena arena, GgufTensorType type, int rowCount, int length) => type switch
    {
        GgufTensorType.Q4_0 or GgufTensorType.Q4_1 => new QuantizedMatrix<NibbleHalf>(arena, type, rowCount, length),
        GgufTensorType.Q8_0 => new QuantizedMatrix<ByteHalf>(arena, type, rowCount, length),
        GgufTensorType.Q5_0 => new DenseMatrix<FiveBitPlanes, HalfScale>(arena, type, rowCount, length),
        GgufTensorType.Q5_1 => new DenseMatrix<FiveBitPlanes, HalfLine>(arena, type, rowCount, length),
        GgufTensorType.Q2_K => new DenseMatrix<TwoBitPlanes, SuperNibbleLine>(arena, type, rowCount, length),
        GgufTensorType.Q3_K => new DenseMatrix<ThreeBitPlanes, SuperScale<Per16>>(arena, type, rowCount, length),
        GgufTensorType.Q4_K => new DenseMatrix<NibblePlanes, SuperLine>(arena, type, rowCount, length),
        GgufTensorType.Q5_K => new DenseMatrix<FiveBitPlanes, SuperLine>(arena, type, rowCount, length),
        GgufTensorType.Q6_K => new DenseMatrix<SixBitPlanes, SuperScale<Per16>>(arena, type, rowCount, length),
        GgufTensorType.IQ4_NL => new DenseMatrix<NonLinearPlanes, HalfScale>(arena, type, rowCount, length),
        GgufTensorType.IQ4_XS => new DenseMatrix<NonLinearPlanes, SuperScale<Per32>>(arena, type, rowCount, length),
        GgufTensorType.IQ2_XXS => new DenseMatrix<TwoBitGridPlanes, SuperScale<Per32InEighths>>(arena, type, rowCount, length),
        GgufTensorType.IQ2_XS => new DenseMatrix<TwoBitGridPlanes, SuperScale<Per16InEighths>>(arena, type, rowCount, length),
        GgufTensorType.IQ2_S => new DenseMatrix<TwoBitGridPlanes, SuperScale<Per16InEighths>>(arena, type, rowCount, length),
        GgufTensorType.IQ3_XXS => new DenseMatrix<ThreeBitGridPlanes, SuperScale<Per32InQuarters>>(arena, type, rowCount, length),
        GgufTensorType.IQ3_S => new DenseMatrix<OddGridPlanes, SuperScale<Per32>>(arena, type, rowCount, length),
        GgufTensorType.MXFP4 => new DenseMatrix<MiniFloatPlanes, ExponentScale>(arena, type, rowCount, length),
        GgufTensorType.F32 => new FloatMatrix<SingleFormat>(arena, type, rowCount, length),
        GgufTensorType.F16 => new FloatMatrix<HalfFormat>(arena, type, rowCount, length),
        GgufTensorType.BF16 => new FloatMatrix<BFloat16Format>(arena, type, rowCount, length),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a weight type."),
    };

    /// <summary>Bytes that the weights of a tensor take when they are packed, to within the padding of rows.</summary>
    public static long SizeBytes(GgufTensor tensor)
    {
        var length = tensor.RowLength;
        var groupBytes = tensor.Type switch
        {
            GgufTensorType.Q4_0 or GgufTensorType.Q4_1 => length / 32 * QuantizedKernel.BlockBytes<NibbleHalf>(),
            GgufTensorType.Q8_0 => length / 32 * QuantizedKernel.BlockBytes<ByteHalf>(),
            GgufTensorType.Q5_0 => DenseMatrix<FiveBitPlanes, HalfScale>.BytesOfGroup(length),
            GgufTensorType.Q5_1 => DenseMatrix<FiveBitPlanes, HalfLine>.BytesOfGroup(length),
            GgufTensorType.Q2_K => DenseMatrix<TwoBitPlanes, SuperNibbleLine>.BytesOfGroup(length),
            GgufTensorType.Q3_K => DenseMatrix<ThreeBitPlanes, SuperScale<Per16>>.BytesOfGroup(length),
            GgufTensorType.Q4_K => DenseMatrix<NibblePlanes, SuperLine>.BytesOfGroup(length),
            GgufTensorType.Q5_K => DenseMatrix<FiveBitPlanes, SuperLine>.BytesOfGroup(length),
            GgufTensorType.Q6_K => DenseMatrix<SixBitPlanes, SuperScale<Per16>>.BytesOfGroup(length),
            GgufTensorType.IQ4_NL => DenseMatrix<NonLinearPlanes, HalfScale>.BytesOfGroup(length),
            GgufTensorType.IQ4_XS => DenseMatrix<NonLinearPlanes, SuperScale<Per32>>.BytesOfGroup(length),
            GgufTensorType.IQ2_XXS => DenseMatrix<TwoBitGridPlanes, SuperScale<Per32InEighths>>.BytesOfGroup(length),
            GgufTensorType.IQ2_XS => DenseMatrix<TwoBitGridPlanes, SuperScale<Per16InEighths>>.BytesOfGroup(length),
            GgufTensorType.IQ2_S => DenseMatrix<TwoBitGridPlanes, SuperScale<Per16InEighths>>.BytesOfGroup(length),
            GgufTensorType.IQ3_XXS => DenseMatrix<ThreeBitGridPlanes, SuperScale<Per32InQuarters>>.BytesOfGroup(length),
            GgufTensorType.IQ3_S => DenseMatrix<OddGridPlanes, SuperScale<Per32>>.BytesOfGroup(length),
            GgufTensorType.MXFP4 => DenseMatrix<MiniFloatPlanes, ExponentScale>.BytesOfGroup(length),
            GgufTensorType.F32 => length * PackedMatrix.GroupRows * sizeof(float),
            _ => length * PackedMatrix.GroupRows * sizeof(ushort),
        };
        return groupBytes * tensor.RowCount / PackedMatrix.GroupRows;
    }
}
