using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>Reads rows of a tensor as single precision, value by value: for embeddings, norms and as the reference in tests.</summary>
internal static unsafe class RowReader
{
    /// <summary>Dequantises <paramref name="count"/> values that start at a block border.</summary>
    /// <param name="type">Type of the tensor.</param>
    /// <param name="source">First block.</param>
    /// <param name="destination">Receives <paramref name="count"/> floats.</param>
    /// <param name="count">A multiple of the type's block length.</param>
    public static void Read(GgufTensorType type, byte* source, float* destination, long count)
    {
        switch (type)
        {
            case GgufTensorType.F32:
                Buffer.MemoryCopy(source, destination, count * sizeof(float), count * sizeof(float));
                return;
            case GgufTensorType.F16:
                for (long i = 0; i < count; i++)
                {
                    destination[i] = HalfBits.ToSingle(((ushort*)source)[i]);
                }

                return;
            case GgufTensorType.BF16:
                for (long i = 0; i < count; i++)
                {
                    destination[i] = BitConverter.Int32BitsToSingle(((ushort*)source)[i] << 16);
                }

                return;
        }

        int blockLength = GgufTensorTypes.BlockElements(type);
        int blockBytes = GgufTensorTypes.BlockBytes(type);
        BlockShape shape = BlockShape.Of(type);
        BlockFields fields = default;
        for (long i = 0; i < count; i += blockLength)
        {
            BlockUnpacker.Unpack(type, source, ref fields);
            float factor = type == GgufTensorType.MXFP4 ? BlockFields.PowerOfTwo(fields.Scale) : HalfBits.ToSingle(fields.Scale) * shape.Unit;
            float minimumFactor = HalfBits.ToSingle(fields.Minimum);
            for (int start = 0; start < blockLength; start += shape.ScaleLength)
            {
                int part = start / shape.ScaleLength;
                float scale = shape.IsSuperBlock ? factor * fields.Scales[part] : factor;
                float minimum = !shape.HasMinima ? 0 : shape.IsSuperBlock ? -(minimumFactor * fields.Minima[part]) : minimumFactor;
                for (int j = start; j < start + shape.ScaleLength; j++)
                {
                    // Rounded like llama.cpp's: the product first, then the sum.
                    float product = scale * shape.Value(fields.Codes[j]);
                    destination[i + j] = shape.HasMinima ? product + minimum : product;
                }
            }

            source += blockBytes;
        }
    }
}
