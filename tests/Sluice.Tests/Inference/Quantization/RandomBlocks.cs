using Sluice.Inference.Gguf;

namespace Sluice.Tests.Inference.Quantization;

/// <summary>Tensors of random blocks whose scales are small finite numbers.</summary>
internal static class RandomBlocks
{
    public static readonly GgufTensorType[] QuantizedTypes =
    [
        GgufTensorType.Q4_0, GgufTensorType.Q4_1, GgufTensorType.Q5_0, GgufTensorType.Q5_1, GgufTensorType.Q8_0,
        GgufTensorType.Q4_K, GgufTensorType.Q5_K, GgufTensorType.Q6_K,
    ];

    public static byte[] Create(GgufTensorType type, int rowCount, int length, int seed)
    {
        var random = new Random(seed);
        int count = rowCount * length / GgufTensorTypes.BlockElements(type);
        byte[] bytes = new byte[count * GgufTensorTypes.BlockBytes(type)];
        random.NextBytes(bytes);
        for (int block = 0; block < count; block++)
        {
            Span<byte> span = bytes.AsSpan(block * GgufTensorTypes.BlockBytes(type), GgufTensorTypes.BlockBytes(type));
            switch (type)
            {
                case GgufTensorType.F32:
                    BitConverter.TryWriteBytes(span, (float)(random.NextDouble() - 0.5));
                    break;
                case GgufTensorType.F16:
                    Put(span, 0, random.NextDouble() - 0.5);
                    break;
                case GgufTensorType.BF16:
                    BitConverter.TryWriteBytes(span, (ushort)(BitConverter.SingleToInt32Bits((float)(random.NextDouble() - 0.5)) >> 16));
                    break;
                case GgufTensorType.Q6_K:
                    Put(span, 208, random.NextDouble() / 500);
                    break;
                case GgufTensorType.Q4_1 or GgufTensorType.Q5_1 or GgufTensorType.Q4_K or GgufTensorType.Q5_K:
                    Put(span, 0, random.NextDouble() / 50);
                    Put(span, 2, (random.NextDouble() - 0.5) / 10);
                    break;
                default:
                    Put(span, 0, random.NextDouble() / 50);
                    break;
            }
        }

        return bytes;
    }

    private static void Put(Span<byte> block, int offset, double value) => BitConverter.TryWriteBytes(block[offset..], (Half)value);
}
