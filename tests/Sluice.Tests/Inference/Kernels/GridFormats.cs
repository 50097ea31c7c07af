using System.Buffers.Binary;
using System.Numerics;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;

namespace Sluice.Tests.Inference.Kernels;

/// <summary>IQ2 and IQ3 once more, one value at a time; only the grids are the engine's, which the peer's dequantiser gave.</summary>
internal static class GridFormats
{
    private static readonly int[] Two = [8, 25, 43];
    private static readonly int[] Three = [4, 12, 20, 28, 36, 44, 52, 62];

    public static double Value(GgufTensorType type, ReadOnlySpan<byte> block, int i)
    {
        var d = (double)BinaryPrimitives.ReadHalfLittleEndian(block);
        var (part, eighth, fourth) = (i / 32, i / 8, i / 4);
        uint Word(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        switch (type)
        {
            case GgufTensorType.IQ2_XXS:
                var tail = Word(block[(6 + (8 * part))..]);
                var index = block[2 + (8 * part) + (eighth % 4)];
                return d * (0.5 + (tail >> 28)) / 4 * Two[GridTable.TwoBitSmallest[(8 * index) + (i % 8)]] * Sign((int)(tail >> (7 * (eighth % 4))) & 127, i % 8);
            case GgufTensorType.IQ2_XS:
                var word = BinaryPrimitives.ReadUInt16LittleEndian(block[(2 + (2 * eighth))..]);
                return d * (0.5 + Nibble(block[66 + part], i)) / 4 * Two[GridTable.TwoBitSmall[(8 * (word & 511)) + (i % 8)]] * Sign(word >> 9, i % 8);
            case GgufTensorType.IQ2_S:
                var place = block[2 + eighth] + (256 * ((block[66 + part] >> (2 * (eighth % 4))) & 3));
                return d * (0.5 + Nibble(block[74 + part], i)) / 4 * Two[GridTable.TwoBit[(8 * place) + (i % 8)]] * (1 - (2 * ((block[34 + eighth] >> (i % 8)) & 1)));
            case GgufTensorType.IQ3_XXS:
                var end = Word(block[(66 + (4 * part))..]);
                return d * (0.5 + (end >> 28)) / 2 * Three[GridTable.ThreeBitSmall[(4 * block[2 + fourth]) + (i % 4)]] * Sign((int)(end >> (7 * (eighth % 4))) & 127, i % 8);
            default:
                var at = block[2 + fourth] + (256 * ((block[66 + part] >> (fourth % 8)) & 1));
                var scale = (block[106 + (part / 2)] >> (4 * (part % 2))) & 15;
                return d * (1 + (2 * scale)) * ((2 * GridTable.ThreeBit[(4 * at) + (i % 4)]) + 1) * (1 - (2 * ((block[74 + eighth] >> (i % 8)) & 1)));
        }
    }

    // Two scales a byte, each for 16 values.
    private static int Nibble(byte pair, int i) => i % 32 < 16 ? pair & 15 : pair >> 4;

    // Seven signs are written; the eighth makes their number even.
    private static int Sign(int seven, int i) => ((i < 7 ? seven >> i : BitOperations.PopCount((uint)seven)) & 1) == 0 ? 1 : -1;
}
