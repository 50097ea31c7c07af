using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Takes quantised blocks of a GGUF file apart into unsigned integers u with x = d · u + m. Layouts as in ggml-common.h: nibble types keep the
/// first half of a block in the low nibbles and the second half in the high ones.
/// </summary>
internal static unsafe class BlockUnpacker
{
    /// <summary>Most values of a block of any type: the super-block of the K types.</summary>
    public const int BlockLengthMax = 256;

    /// <summary>Most scales of a block of any type: Q6_K has one per 16 values.</summary>
    public const int ScaleCountMax = 16;

    /// <summary>Unpacks one block.</summary>
    /// <param name="type">A quantised type.</param>
    /// <param name="block">The block's bytes.</param>
    /// <param name="values">Receives one u per value: 32, or 256 for K types.</param>
    /// <param name="scales">Receives d per 32 values (16 for Q6_K).</param>
    /// <param name="minima">Receives m per 32 values (16 for Q6_K).</param>
    public static void Unpack(GgufTensorType type, byte* block, byte* values, float* scales, float* minima)
    {
        switch (type)
        {
            case GgufTensorType.Q4_0:
                scales[0] = Half(block);
                minima[0] = -8 * scales[0];
                UnpackNibbles(block + 2, values);
                break;
            case GgufTensorType.Q4_1:
                scales[0] = Half(block);
                minima[0] = Half(block + 2);
                UnpackNibbles(block + 4, values);
                break;
            case GgufTensorType.Q5_0:
                scales[0] = Half(block);
                minima[0] = -16 * scales[0];
                UnpackNibbles(block + 6, values);
                AddFifthBits(*(uint*)(block + 2), values);
                break;
            case GgufTensorType.Q5_1:
                scales[0] = Half(block);
                minima[0] = Half(block + 2);
                UnpackNibbles(block + 8, values);
                AddFifthBits(*(uint*)(block + 4), values);
                break;
            case GgufTensorType.Q8_0:
                scales[0] = Half(block);
                minima[0] = -128 * scales[0];
                for (int i = 0; i < 32; i++)
                {
                    values[i] = (byte)(block[2 + i] ^ 0x80);
                }

                break;
            case GgufTensorType.Q4_K:
                UnpackSuperBlock(block, block + 16, null, values, scales, minima);
                break;
            case GgufTensorType.Q5_K:
                UnpackSuperBlock(block, block + 48, block + 16, values, scales, minima);
                break;
            case GgufTensorType.Q6_K:
                UnpackQ6(block, values, scales, minima);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Not a quantized type.");
        }
    }

    private static float Half(byte* address) => HalfBits.ToSingle(*(ushort*)address);

    private static void UnpackNibbles(byte* packed, byte* values)
    {
        for (int i = 0; i < 16; i++)
        {
            values[i] = (byte)(packed[i] & 15);
            values[i + 16] = (byte)(packed[i] >> 4);
        }
    }

    private static void AddFifthBits(uint bits, byte* values)
    {
        for (int i = 0; i < 32; i++)
        {
            values[i] |= (byte)(((bits >> i) & 1) << 4);
        }
    }

    // Q4_K and Q5_K: eight sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum packed into 12 bytes.
    private static void UnpackSuperBlock(byte* block, byte* nibbles, byte* fifthBits, byte* values, float* scales, float* minima)
    {
        float d = Half(block);
        float dmin = Half(block + 2);
        byte* packed = block + 4;
        for (int i = 0; i < 8; i++)
        {
            int scale = i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | ((packed[i - 4] >> 6) << 4);
            int minimum = i < 4 ? packed[i + 4] & 63 : (packed[i + 4] >> 4) | ((packed[i] >> 6) << 4);
            scales[i] = d * scale;
            minima[i] = -(dmin * minimum);
            int shift = (i & 1) * 4;
            byte* source = nibbles + (i / 2 * 32);
            for (int l = 0; l < 32; l++)
            {
                int value = (source[l] >> shift) & 15;
                if (fifthBits != null)
                {
                    value |= ((fifthBits[l] >> i) & 1) << 4;
                }

                values[(i * 32) + l] = (byte)value;
            }
        }
    }

    // Q6_K: low nibbles, then two high bits, then 16 signed scales; the block's scale stands last.
    private static void UnpackQ6(byte* block, byte* values, float* scales, float* minima)
    {
        byte* low = block;
        byte* high = block + 128;
        sbyte* packedScales = (sbyte*)(block + 192);
        float d = Half(block + 208);
        for (int i = 0; i < 16; i++)
        {
            scales[i] = d * packedScales[i];
            minima[i] = -32 * scales[i];
        }

        for (int n = 0; n < 2; n++)
        {
            for (int l = 0; l < 32; l++)
            {
                byte* quarter = values + (n * 128) + l;
                quarter[0] = (byte)((low[l] & 15) | ((high[l] & 3) << 4));
                quarter[32] = (byte)((low[l + 32] & 15) | (((high[l] >> 2) & 3) << 4));
                quarter[64] = (byte)((low[l] >> 4) | (((high[l] >> 4) & 3) << 4));
                quarter[96] = (byte)((low[l + 32] >> 4) | (((high[l] >> 6) & 3) << 4));
            }

            low += 64;
            high += 32;
        }
    }
}
