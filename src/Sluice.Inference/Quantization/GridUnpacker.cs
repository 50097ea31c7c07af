using System.Numerics;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// The types whose values are vectors of <see cref="GridTable"/> with signs. A code is the rank of a magnitude, and 8 more for a negative one.
/// </summary>
internal static unsafe class GridUnpacker
{
    private const int Negative = 8;

    /// <summary>Whether a type is one of these.</summary>
    public static bool Knows(GgufTensorType type) =>
        type is GgufTensorType.IQ2_XXS or GgufTensorType.IQ2_XS or GgufTensorType.IQ2_S or GgufTensorType.IQ3_XXS or GgufTensorType.IQ3_S;

    /// <summary>Unpacks one block of 256; scales are counted in the type's <see cref="BlockShape.Unit"/>.</summary>
    public static void Unpack(GgufTensorType type, byte* block, byte* codes, ref BlockFields fields)
    {
        fields.Scale = *(ushort*)block;
        byte* data = block + 2;
        for (int part = 0; part < 8; part++)
        {
            byte* target = codes + (32 * part);
            switch (type)
            {
                case GgufTensorType.IQ2_XXS:
                    uint tail = *(uint*)(data + (8 * part) + 4);
                    fields.Scales[part] = Odd((int)(tail >> 28));
                    for (int i = 0; i < 4; i++) Put(GridTable.TwoBitSmallest, data[(8 * part) + i], 8, Signs((int)(tail >> (7 * i)) & 127), target + (8 * i));
                    break;
                case GgufTensorType.IQ2_XS:
                    PutPairOfScales(data[64 + part], part, ref fields);
                    for (int i = 0; i < 4; i++)
                    {
                        int word = ((ushort*)data)[(4 * part) + i];
                        Put(GridTable.TwoBitSmall, word & 511, 8, Signs(word >> 9), target + (8 * i));
                    }

                    break;
                case GgufTensorType.IQ2_S:
                    PutPairOfScales(data[72 + part], part, ref fields);
                    for (int i = 0; i < 4; i++)
                    {
                        int index = data[(4 * part) + i] | (((data[64 + part] >> (2 * i)) & 3) << 8);
                        Put(GridTable.TwoBit, index, 8, data[32 + (4 * part) + i], target + (8 * i));
                    }

                    break;
                case GgufTensorType.IQ3_XXS:
                    uint end = *(uint*)(data + 64 + (4 * part));
                    fields.Scales[part] = Odd((int)(end >> 28));
                    for (int i = 0; i < 8; i++)
                    {
                        int signs = Signs((int)(end >> (7 * (i / 2))) & 127);
                        Put(GridTable.ThreeBitSmall, data[(8 * part) + i], 4, signs >> (i % 2 * 4), target + (4 * i));
                    }

                    break;
                default:
                    fields.Scales[part] = Odd((data[104 + (part / 2)] >> (part % 2 * 4)) & 15);
                    for (int i = 0; i < 8; i++)
                    {
                        int index = data[(8 * part) + i] | (((data[64 + part] >> i) & 1) << 8);
                        Put(GridTable.ThreeBit, index, 4, data[72 + (4 * part) + (i / 2)] >> (i % 2 * 4), target + (4 * i));
                    }

                    break;
            }
        }
    }

    private static sbyte Odd(int scale) => (sbyte)((2 * scale) + 1);

    private static void PutPairOfScales(byte pair, int part, ref BlockFields fields)
    {
        fields.Scales[2 * part] = Odd(pair & 15);
        fields.Scales[(2 * part) + 1] = Odd(pair >> 4);
    }

    // The eighth sign makes their number even.
    private static int Signs(int seven) => seven | ((BitOperations.PopCount((uint)seven) & 1) << 7);

    private static void Put(byte[] ranks, int index, int length, int signs, byte* codes)
    {
        for (int i = 0; i < length; i++) codes[i] = (byte)(ranks[(index * length) + i] | (((signs >> i) & 1) * Negative));
    }
}
