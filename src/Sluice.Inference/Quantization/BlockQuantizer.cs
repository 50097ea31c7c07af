using System.Buffers.Binary;
using System.Runtime.Intrinsics;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Makes quantised blocks of 32 values, in the layouts of ggml-common.h. The scale of a block is not just that of its largest value: several
/// are tried, each is fitted to the integers that it gives by least squares, and the one with the least squared error is kept, as it is when
/// scale and minimum have been rounded to halves. No generator, no threads: the same values give the same bytes.
/// </summary>
internal static class BlockQuantizer
{
    /// <summary>Values of a block.</summary>
    public const int BlockLength = 32;

    // Where the largest value of a block comes to stand, in steps beyond the last integer.
    private static readonly float[] s_offsets = [0, -0.25f, 0.25f, -0.5f, 0.5f, -0.75f, 0.75f, -1, 1, -1.4f, -1.8f];

    /// <summary>Whether blocks of the type can be made.</summary>
    public static bool CanWrite(GgufTensorType type) =>
        type is GgufTensorType.Q4_0 or GgufTensorType.Q4_1 or GgufTensorType.Q5_0 or GgufTensorType.Q5_1 or GgufTensorType.Q8_0;

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
                WriteHalf(block, FitScale(values, 8, integers));
                WriteNibbles(integers, 8, block[2..]);
                break;
            case GgufTensorType.Q4_1:
                Write(block, FitLine(values, 15, integers));
                WriteNibbles(integers, 0, block[4..]);
                break;
            case GgufTensorType.Q5_0:
                WriteHalf(block, FitScale(values, 16, integers));
                WriteFifthBits(integers, 16, block[2..]);
                WriteNibbles(integers, 16, block[6..]);
                break;
            case GgufTensorType.Q5_1:
                Write(block, FitLine(values, 31, integers));
                WriteFifthBits(integers, 0, block[4..]);
                WriteNibbles(integers, 0, block[8..]);
                break;
            case GgufTensorType.Q8_0:
                WriteHalf(block, FitScale(values, 128, integers));
                for (var i = 0; i < BlockLength; i++) block[2 + i] = (byte)(sbyte)integers[i];
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Blocks of this type are not written.");
        }
    }

    // x = d · q with q from -levels to levels - 1. Returns d as it is after rounding; the integers belong to that.
    private static Half FitScale(ReadOnlySpan<float> values, int levels, Span<float> integers)
    {
        var largest = 0f;
        foreach (var value in values) largest = Math.Abs(value) > Math.Abs(largest) ? value : largest;
        integers.Clear();
        if (largest == 0) return default;
        // The plain rule comes first, so that the result is never worse.
        var best = (Half)(largest / -levels);
        var leastError = ErrorOf(values, (float)best, 0, -levels, levels - 1, integers);
        foreach (var offset in s_offsets)
        {
            // The negative side has one integer more, so the largest value goes there, whatever its sign.
            Divide(values, 0, -(levels + offset) / largest, -levels, levels - 1, integers);
            var (squares, products, _, _) = Sums(values, integers);
            if (squares == 0) continue;
            var scale = (Half)(products / squares);
            var error = ErrorOf(values, (float)scale, 0, -levels, levels - 1, integers);
            if (!(error < leastError)) continue;
            (best, leastError) = (scale, error);
        }
        ErrorOf(values, (float)best, 0, -levels, levels - 1, integers);
        return best;
    }

    // x = d · u + m with u from 0 to levels.
    private static (Half Scale, Half Minimum) FitLine(ReadOnlySpan<float> values, int levels, Span<float> integers)
    {
        var (low, high) = (values[0], values[0]);
        foreach (var value in values) (low, high) = (Math.Min(low, value), Math.Max(high, value));
        var best = (Scale: (Half)((high - low) / levels), Minimum: (Half)low);
        var leastError = ErrorOf(values, (float)best.Scale, (float)best.Minimum, 0, levels, integers);
        foreach (var offset in s_offsets)
        {
            if (high <= low) break;
            Divide(values, low, (levels + offset) / (high - low), 0, levels, integers);
            var (squares, products, sum, total) = Sums(values, integers);
            var determinant = (BlockLength * squares) - (sum * sum);
            if (determinant <= 0) continue;
            var line = (
                Scale: (Half)(((BlockLength * products) - (sum * total)) / determinant),
                Minimum: (Half)(((squares * total) - (sum * products)) / determinant));
            var error = ErrorOf(values, (float)line.Scale, (float)line.Minimum, 0, levels, integers);
            if (!(error < leastError)) continue;
            (best, leastError) = (line, error);
        }
        ErrorOf(values, (float)best.Scale, (float)best.Minimum, 0, levels, integers);
        return best;
    }

    // The squared error of the nearest integers, which are left in place.
    private static float ErrorOf(ReadOnlySpan<float> values, float scale, float minimum, int low, int high, Span<float> integers)
    {
        Divide(values, minimum, scale == 0 ? 0 : 1 / scale, low, high, integers);
        var errors = Vector256<float>.Zero;
        for (var i = 0; i < BlockLength; i += Vector256<float>.Count)
        {
            var difference = Load(values, i) - ((Load(integers, i) * scale) + Vector256.Create(minimum));
            errors += difference * difference;
        }
        return Vector256.Sum(errors);
    }

    private static void Divide(ReadOnlySpan<float> values, float minimum, float factor, int low, int high, Span<float> integers)
    {
        for (var i = 0; i < BlockLength; i += Vector256<float>.Count)
        {
            var rounded = Vector256.Round((Load(values, i) - Vector256.Create(minimum)) * factor);
            Vector256.Clamp(rounded, Vector256.Create((float)low), Vector256.Create((float)high)).CopyTo(integers[i..]);
        }
    }

    private static (float Squares, float Products, float Sum, float Total) Sums(ReadOnlySpan<float> values, ReadOnlySpan<float> integers)
    {
        var (squares, products, sum, total) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var i = 0; i < BlockLength; i += Vector256<float>.Count)
        {
            var (value, integer) = (Load(values, i), Load(integers, i));
            squares += integer * integer;
            products += value * integer;
            sum += integer;
            total += value;
        }
        return (Vector256.Sum(squares), Vector256.Sum(products), Vector256.Sum(sum), Vector256.Sum(total));
    }

    private static Vector256<float> Load(ReadOnlySpan<float> values, int index) => Vector256.Create(values.Slice(index, Vector256<float>.Count));

    private static void Write(Span<byte> block, (Half Scale, Half Minimum) line)
    {
        WriteHalf(block, line.Scale);
        WriteHalf(block[2..], line.Minimum);
    }

    private static void WriteHalf(Span<byte> target, Half value) => BinaryPrimitives.WriteHalfLittleEndian(target, value);

    private static void WriteNibbles(ReadOnlySpan<float> integers, int zero, Span<byte> target)
    {
        for (var i = 0; i < BlockLength / 2; i++)
            target[i] = (byte)((((int)integers[i] + zero) & 15) | ((((int)integers[i + 16] + zero) & 15) << 4));
    }

    private static void WriteFifthBits(ReadOnlySpan<float> integers, int zero, Span<byte> target)
    {
        uint bits = 0;
        for (var i = 0; i < BlockLength; i++) bits |= (uint)(((int)integers[i] + zero) >> 4) << i;
        BinaryPrimitives.WriteUInt32LittleEndian(target, bits);
    }
}
