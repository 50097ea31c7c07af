using System.Buffers.Binary;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Makes quantised blocks of 32 values, in the layouts of ggml-common.h, with the scales of <see cref="BlockFit"/> and <see cref="TableFit"/>. No generator, no threads:
/// the same values give the same bytes.
/// </summary>
internal static class BlockQuantizer
{
    /// <summary>Values of a block.</summary>
    public const int BlockLength = 32;

    /// <summary>Whether blocks of the type can be made.</summary>
    public static bool CanWrite(GgufTensorType type) =>
        type is GgufTensorType.Q4_0 or GgufTensorType.Q4_1 or GgufTensorType.Q5_0 or GgufTensorType.Q5_1 or GgufTensorType.Q8_0
            or GgufTensorType.IQ4_NL or GgufTensorType.MXFP4;

    /// <summary>Quantises whole blocks.</summary>
    /// <param name="type">One that <see cref="CanWrite"/>.</param>
    /// <param name="values">A multiple of 32, finite, below 65,504 in magnitude.</param>
    /// <param name="blocks">Receives the blocks; as many bytes as they have.</param>
    public static void Quantize(GgufTensorType type, ReadOnlySpan<float> values, Span<byte> blocks)
    {
        var blockBytes = GgufTensorTypes.BlockBytes(type);
        for (; values.Length > 0; values = values[BlockLength..], blocks = blocks[blockBytes..])
            QuantizeBlock(type, values[..BlockLength], blocks[..blockBytes]);
    }

    private static void QuantizeBlock(GgufTensorType type, ReadOnlySpan<float> values, Span<byte> block)
    {
        Span<float> integers = stackalloc float[BlockLength];
        switch (type)
        {
            case GgufTensorType.Q4_0:
                WriteHalf(block, BlockFit.Scale(values, 8, BlockFit.Precision.Half, integers));
                WriteNibbles(integers, 8, block[2..]);
                break;
            case GgufTensorType.Q4_1:
                Write(block, BlockFit.Line(values, 15, BlockFit.Precision.Half, integers));
                WriteNibbles(integers, 0, block[4..]);
                break;
            case GgufTensorType.Q5_0:
                WriteHalf(block, BlockFit.Scale(values, 16, BlockFit.Precision.Half, integers));
                WriteFifthBits(integers, 16, block[2..]);
                WriteNibbles(integers, 16, block[6..]);
                break;
            case GgufTensorType.Q5_1:
                Write(block, BlockFit.Line(values, 31, BlockFit.Precision.Half, integers));
                WriteFifthBits(integers, 0, block[4..]);
                WriteNibbles(integers, 0, block[8..]);
                break;
            case GgufTensorType.Q8_0:
                WriteHalf(block, BlockFit.Scale(values, 128, BlockFit.Precision.Half, integers));
                for (var i = 0; i < BlockLength; i++) block[2 + i] = (byte)(sbyte)integers[i];
                break;
            case GgufTensorType.IQ4_NL:
                WriteHalf(block, TableFit.NonLinear(values, integers));
                WriteCodes(integers, BlockShape.NonLinear, block[2..]);
                break;
            case GgufTensorType.MXFP4:
                block[0] = (byte)TableFit.MiniFloat(values, integers);
                WriteCodes(integers, BlockShape.MiniFloat, block[1..]);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Blocks of this type are not written.");
        }
    }

    private static void Write(Span<byte> block, (float Scale, float Minimum) line)
    {
        WriteHalf(block, line.Scale);
        WriteHalf(block[2..], line.Minimum);
    }

    private static void WriteHalf(Span<byte> target, float value) => BinaryPrimitives.WriteHalfLittleEndian(target, (Half)value);

    private static void WriteNibbles(ReadOnlySpan<float> integers, int zero, Span<byte> target)
    {
        for (var i = 0; i < BlockLength / 2; i++)
            target[i] = (byte)((((int)integers[i] + zero) & 15) | ((((int)integers[i + 16] + zero) & 15) << 4));
    }

    private static void WriteCodes(ReadOnlySpan<float> chosen, ReadOnlySpan<sbyte> table, Span<byte> target)
    {
        for (var i = 0; i < BlockLength / 2; i++)
            target[i] = (byte)(table.IndexOf((sbyte)chosen[i]) | (table.IndexOf((sbyte)chosen[i + 16]) << 4));
    }

    private static void WriteFifthBits(ReadOnlySpan<float> integers, int zero, Span<byte> target)
    {
        uint bits = 0;
        for (var i = 0; i < BlockLength; i++) bits |= (uint)(((int)integers[i] + zero) >> 4) << i;
        BinaryPrimitives.WriteUInt32LittleEndian(target, bits);
    }
}
