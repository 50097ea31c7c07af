using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>The blocks of 256 values of <see cref="BlockUnpacker"/>.</summary>
internal static unsafe class SuperBlockUnpacker
{
    /// <summary>Unpacks one block.</summary>
    /// <param name="type">A type with blocks of 256.</param>
    /// <param name="block">The block's bytes.</param>
    /// <param name="codes">Those of <paramref name="fields"/>.</param>
    /// <param name="fields">Receives the scales.</param>
    public static void Unpack(GgufTensorType type, byte* block, byte* codes, ref BlockFields fields)
    {
        switch (type)
        {
            case GgufTensorType.Q2_K:
                UnpackQ2(block, codes, ref fields);
                break;
            case GgufTensorType.Q3_K:
                UnpackQ3(block, codes, ref fields);
                break;
            case GgufTensorType.Q4_K:
                fields.Minimum = *(ushort*)(block + 2);
                UnpackSixBitScales(block + 4, ref fields);
                UnpackNibbles(block + 16, null, codes);
                break;
            case GgufTensorType.Q5_K:
                fields.Minimum = *(ushort*)(block + 2);
                UnpackSixBitScales(block + 4, ref fields);
                UnpackNibbles(block + 48, block + 16, codes);
                break;
            case GgufTensorType.Q6_K:
                UnpackQ6(block, codes, ref fields);
                break;
            case GgufTensorType.IQ4_XS:
                UnpackQ4Xs(block, codes, ref fields);
                break;
            case var _ when GridUnpacker.Knows(type):
                GridUnpacker.Unpack(type, block, codes, ref fields);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Not a quantized type.");
        }
    }

    // 16 bytes with a scale and a minimum each; 64 bytes with four values each; d; dmin.
    private static void UnpackQ2(byte* block, byte* codes, ref BlockFields fields)
    {
        fields.Scale = *(ushort*)(block + 80);
        fields.Minimum = *(ushort*)(block + 82);
        for (int i = 0; i < 16; i++)
        {
            fields.Scales[i] = (sbyte)(block[i] & 15);
            fields.Minima[i] = (byte)(block[i] >> 4);
        }

        UnpackPairs(block + 16, codes);
    }

    // 32 bytes of third bits, 64 with four pairs of low bits each, 16 scales of six bits in 12 bytes, d.
    private static void UnpackQ3(byte* block, byte* codes, ref BlockFields fields)
    {
        byte* packed = block + 96;
        fields.Scale = *(ushort*)(block + 108);
        for (int i = 0; i < 16; i++)
        {
            int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
            int high = (packed[8 + (i % 4)] >> (i / 4 * 2)) & 3;
            fields.Scales[i] = (sbyte)((low | (high << 4)) - 32);
        }

        UnpackPairs(block + 32, codes);
        for (int i = 0; i < BlockFields.BlockLengthMax; i++) codes[i] |= (byte)(((block[i % 32] >> (i / 32)) & 1) << 2);
    }

    private static void UnpackPairs(byte* packed, byte* codes)
    {
        for (int i = 0; i < BlockFields.BlockLengthMax; i++)
        {
            codes[i] = (byte)((packed[(i / 128 * 32) + (i % 32)] >> (i % 128 / 32 * 2)) & 3);
        }
    }

    // Eight scales and eight minima of six bits in 12 bytes.
    private static void UnpackSixBitScales(byte* packed, ref BlockFields fields)
    {
        for (int i = 0; i < 8; i++)
        {
            fields.Scales[i] = (sbyte)(i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | ((packed[i - 4] >> 6) << 4));
            fields.Minima[i] = (byte)(i < 4 ? packed[i + 4] & 63 : (packed[i + 4] >> 4) | ((packed[i] >> 6) << 4));
        }
    }

    private static void UnpackNibbles(byte* nibbles, byte* fifthBits, byte* codes)
    {
        for (int i = 0; i < 8; i++)
        {
            int shift = (i & 1) * 4;
            byte* source = nibbles + (i / 2 * 32);
            for (int l = 0; l < 32; l++)
            {
                int code = (source[l] >> shift) & 15;
                if (fifthBits != null)
                {
                    code |= ((fifthBits[l] >> i) & 1) << 4;
                }

                codes[(i * 32) + l] = (byte)code;
            }
        }
    }

    // Low nibbles, then two high bits, then 16 signed scales; d stands last.
    private static void UnpackQ6(byte* block, byte* codes, ref BlockFields fields)
    {
        byte* low = block;
        byte* high = block + 128;
        fields.Scale = *(ushort*)(block + 208);
        for (int i = 0; i < 16; i++) fields.Scales[i] = (sbyte)block[192 + i];

        for (int n = 0; n < 2; n++)
        {
            for (int l = 0; l < 32; l++)
            {
                byte* quarter = codes + (n * 128) + l;
                quarter[0] = (byte)((low[l] & 15) | ((high[l] & 3) << 4));
                quarter[32] = (byte)((low[l + 32] & 15) | (((high[l] >> 2) & 3) << 4));
                quarter[64] = (byte)((low[l] >> 4) | (((high[l] >> 4) & 3) << 4));
                quarter[96] = (byte)((low[l + 32] >> 4) | (((high[l] >> 6) & 3) << 4));
            }

            low += 64;
            high += 32;
        }
    }

    // d, the two high bits of eight scales in a word, their four low bits in four bytes, nibbles.
    private static void UnpackQ4Xs(byte* block, byte* codes, ref BlockFields fields)
    {
        int high = *(ushort*)(block + 2);
        for (int i = 0; i < 8; i++)
        {
            int low = (block[4 + (i / 2)] >> (i % 2 * 4)) & 15;
            fields.Scales[i] = (sbyte)((low | (((high >> (2 * i)) & 3) << 4)) - 32);
            BlockUnpacker.UnpackNibbles(block + 8 + (16 * i), codes + (32 * i));
        }
    }
}
