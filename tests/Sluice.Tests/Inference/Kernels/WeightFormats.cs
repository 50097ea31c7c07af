using System.Buffers.Binary;
using Sluice.Inference.Gguf;

namespace Sluice.Tests.Inference.Kernels;

/// <summary>
/// The weight formats once more, from ggml's documentation and independent of the engine: one value at a time, in double precision.
/// </summary>
internal static class WeightFormats
{
    public static readonly GgufTensorType[] Quantized =
    [
        GgufTensorType.Q4_0, GgufTensorType.Q4_1, GgufTensorType.Q5_0, GgufTensorType.Q5_1, GgufTensorType.Q8_0,
        GgufTensorType.Q4_K, GgufTensorType.Q5_K, GgufTensorType.Q6_K, GgufTensorType.Q2_K, GgufTensorType.Q3_K,
        GgufTensorType.IQ4_NL, GgufTensorType.IQ4_XS, GgufTensorType.MXFP4,
        GgufTensorType.IQ2_XXS, GgufTensorType.IQ2_XS, GgufTensorType.IQ2_S, GgufTensorType.IQ3_XXS, GgufTensorType.IQ3_S,
    ];

    private static readonly int[] NonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    public static readonly GgufTensorType[] All = [.. Quantized, GgufTensorType.F32, GgufTensorType.F16, GgufTensorType.BF16];

    /// <summary>Value <paramref name="index"/> of a row.</summary>
    public static double Value(GgufTensorType type, ReadOnlySpan<byte> row, int index)
    {
        var blockLength = GgufTensorTypes.BlockElements(type);
        var blockBytes = GgufTensorTypes.BlockBytes(type);
        var block = row.Slice(index / blockLength * blockBytes, blockBytes);
        var i = index % blockLength;
        return type switch
        {
            GgufTensorType.F32 => BinaryPrimitives.ReadSingleLittleEndian(block),
            GgufTensorType.F16 => (double)BinaryPrimitives.ReadHalfLittleEndian(block),
            GgufTensorType.BF16 => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(block) << 16),
            GgufTensorType.Q4_0 => D(block, 0) * (Nibble(block[2..], i) - 8),
            GgufTensorType.Q4_1 => (D(block, 0) * Nibble(block[4..], i)) + D(block, 2),
            GgufTensorType.Q5_0 => D(block, 0) * ((Nibble(block[6..], i) | (Bit(block[2..], i) << 4)) - 16),
            GgufTensorType.Q5_1 => (D(block, 0) * (Nibble(block[8..], i) | (Bit(block[4..], i) << 4))) + D(block, 2),
            GgufTensorType.Q8_0 => D(block, 0) * (sbyte)block[2 + i],
            GgufTensorType.Q4_K => SuperBlock(block, i, SuperNibble(block[16..], i)),
            GgufTensorType.Q5_K => SuperBlock(block, i, SuperNibble(block[48..], i) | (((block[16 + (i % 32)] >> (i / 32)) & 1) << 4)),
            GgufTensorType.Q6_K => Q6(block, i),
            GgufTensorType.Q2_K => (D(block, 80) * (block[i / 16] & 15) * Crumb(block[16..], i)) - (D(block, 82) * (block[i / 16] >> 4)),
            GgufTensorType.Q3_K => D(block, 108) * Q3Scale(block.Slice(96, 12), i / 16) * (Crumb(block[32..], i) + (4 * ((block[i % 32] >> (i / 32)) & 1)) - 4),
            GgufTensorType.IQ4_NL => D(block, 0) * NonLinear[Nibble(block[2..], i)],
            GgufTensorType.IQ4_XS => D(block, 0) * (Iq4Scale(block, i / 32) - 32) * NonLinear[Nibble(block[(8 + (i / 32 * 16))..], i % 32)],
            GgufTensorType.MXFP4 => Math.Pow(2, block[0] - 127) * E2M1(Nibble(block[1..], i)),
            GgufTensorType.IQ2_XXS or GgufTensorType.IQ2_XS or GgufTensorType.IQ2_S or GgufTensorType.IQ3_XXS or GgufTensorType.IQ3_S => GridFormats.Value(type, block, i),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a weight type."),
        };
    }

    // Four values a byte: 128 values share 32 bytes, each quarter two bits further up.
    private static int Crumb(ReadOnlySpan<byte> packed, int i) => (packed[(i / 128 * 32) + (i % 32)] >> (i % 128 / 32 * 2)) & 3;

    private static int Q3Scale(ReadOnlySpan<byte> packed, int s) =>
        ((s < 8 ? packed[s] & 15 : packed[s - 8] >> 4) | (((packed[8 + (s % 4)] >> (s / 4 * 2)) & 3) << 4)) - 32;

    private static int Iq4Scale(ReadOnlySpan<byte> block, int s) =>
        ((block[4 + (s / 2)] >> (s % 2 * 4)) & 15) | (((BinaryPrimitives.ReadUInt16LittleEndian(block[2..]) >> (2 * s)) & 3) << 4);

    // Sign, two bits of exponent with a bias of 1, one of mantissa.
    private static double E2M1(int bits)
    {
        var exponent = (bits >> 1) & 3;
        var magnitude = exponent == 0 ? 0.5 * (bits & 1) : Math.Pow(2, exponent - 1) * (1 + (0.5 * (bits & 1)));
        return bits < 8 ? magnitude : -magnitude;
    }

    private static double D(ReadOnlySpan<byte> block, int at) => (double)BinaryPrimitives.ReadHalfLittleEndian(block[at..]);

    private static int Nibble(ReadOnlySpan<byte> packed, int i) => i < 16 ? packed[i] & 15 : packed[i - 16] >> 4;

    private static int Bit(ReadOnlySpan<byte> bits, int i) => (bits[i / 8] >> (i % 8)) & 1;

    // 64 values share 32 bytes: the first 32 the low nibbles, the others the high ones.
    private static int SuperNibble(ReadOnlySpan<byte> packed, int i)
    {
        var pair = packed[(i / 64 * 32) + (i % 32)];
        return i % 64 < 32 ? pair & 15 : pair >> 4;
    }

    private static double SuperBlock(ReadOnlySpan<byte> block, int i, int value)
    {
        var packed = block.Slice(4, 12);
        var s = i / 32;
        var (scale, minimum) = s < 4
            ? (packed[s] & 63, packed[s + 4] & 63)
            : ((packed[s + 4] & 15) | (packed[s - 4] >> 6 << 4), (packed[s + 4] >> 4) | (packed[s] >> 6 << 4));
        return (D(block, 0) * scale * value) - (D(block, 2) * minimum);
    }

    private static double Q6(ReadOnlySpan<byte> block, int i)
    {
        var part = i / 128;
        var quarter = i % 128 / 32;
        var within = i % 32;
        var pair = block[(part * 64) + (quarter % 2 * 32) + within];
        var low = quarter < 2 ? pair & 15 : pair >> 4;
        var high = (block[128 + (part * 32) + within] >> (2 * quarter)) & 3;
        return D(block, 208) * (sbyte)block[192 + (i / 16)] * ((low | (high << 4)) - 32);
    }
}
