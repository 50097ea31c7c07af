using System.Runtime.CompilerServices;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Takes quantised blocks of a GGUF file apart. Layouts as in ggml-common.h: types with blocks of 32 keep the first half of a block in the low
/// nibbles and the second half in the high ones.
/// </summary>
internal static unsafe class BlockUnpacker
{
    /// <summary>Unpacks one block.</summary>
    /// <param name="type">A quantised type.</param>
    /// <param name="block">The block's bytes.</param>
    /// <param name="fields">Receives what the type has; the rest is left as it was.</param>
    public static void Unpack(GgufTensorType type, byte* block, ref BlockFields fields)
    {
        byte* codes = (byte*)Unsafe.AsPointer(ref fields.Codes[0]);
        fields.Scale = *(ushort*)block;
        switch (type)
        {
            case GgufTensorType.Q4_0 or GgufTensorType.IQ4_NL:
                UnpackNibbles(block + 2, codes);
                break;
            case GgufTensorType.Q4_1:
                fields.Minimum = *(ushort*)(block + 2);
                UnpackNibbles(block + 4, codes);
                break;
            case GgufTensorType.Q5_0:
                UnpackNibbles(block + 6, codes);
                AddFifthBits(*(uint*)(block + 2), codes);
                break;
            case GgufTensorType.Q5_1:
                fields.Minimum = *(ushort*)(block + 2);
                UnpackNibbles(block + 8, codes);
                AddFifthBits(*(uint*)(block + 4), codes);
                break;
            case GgufTensorType.Q8_0:
                for (int i = 0; i < 32; i++) codes[i] = (byte)(block[2 + i] ^ 0x80);
                break;
            case GgufTensorType.MXFP4:
                fields.Scale = block[0];
                UnpackNibbles(block + 1, codes);
                break;
            default:
                SuperBlockUnpacker.Unpack(type, block, codes, ref fields);
                break;
        }
    }

    /// <summary>16 bytes to 32 codes.</summary>
    public static void UnpackNibbles(byte* packed, byte* codes)
    {
        for (int i = 0; i < 16; i++)
        {
            codes[i] = (byte)(packed[i] & 15);
            codes[i + 16] = (byte)(packed[i] >> 4);
        }
    }

    private static void AddFifthBits(uint bits, byte* codes)
    {
        for (int i = 0; i < 32; i++) codes[i] |= (byte)(((bits >> i) & 1) << 4);
    }
}
