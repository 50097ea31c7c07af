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
        byte* values = stackalloc byte[BlockUnpacker.BlockLengthMax];
        float* scales = stackalloc float[BlockUnpacker.ScaleCountMax];
        float* minima = stackalloc float[BlockUnpacker.ScaleCountMax];
        int scaleLength = type == GgufTensorType.Q6_K ? 16 : 32;
        for (long i = 0; i < count; i += blockLength)
        {
            BlockUnpacker.Unpack(type, source, values, scales, minima);
            for (int j = 0; j < blockLength; j++)
            {
                destination[i + j] = (scales[j / scaleLength] * values[j]) + minima[j / scaleLength];
            }

            source += blockBytes;
        }
    }
}
