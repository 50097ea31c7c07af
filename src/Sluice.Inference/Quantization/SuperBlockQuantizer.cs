using System.Buffers.Binary;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>
/// Makes super-blocks of 256 values (the K types), in the layouts of ggml-common.h. Each sub-block gets its best scale; the super-block's own
/// scale, in which those are counted, is then fitted to all 256 values by least squares, and each count may move by one where that is nearer.
/// The same values give the same bytes.
/// </summary>
internal static class SuperBlockQuantizer
{
    /// <summary>Values of a super-block.</summary>
    public const int BlockLength = 256;

    private const int LineLength = 32;
    private const int LineCount = BlockLength / LineLength;
    private const int LineLevelMax = 63;
    private const int ScaleLength = 16;
    private const int ScaleCount = BlockLength / ScaleLength;

    // Fits of the super-block's scales; more gain nothing that shows in the first four digits of the error.
    private const int RoundsMax = 4;

    /// <summary>Whether super-blocks of the type can be made.</summary>
    public static bool CanWrite(GgufTensorType type) => type is GgufTensorType.Q4_K or GgufTensorType.Q5_K or GgufTensorType.Q6_K;

    /// <summary>Quantises whole super-blocks.</summary>
    /// <param name="type">One that <see cref="CanWrite"/>.</param>
    /// <param name="values">A multiple of 256, finite, below 65,504 in magnitude.</param>
    /// <param name="blocks">Receives the blocks; as many bytes as they have.</param>
    public static void Quantize(GgufTensorType type, ReadOnlySpan<float> values, Span<byte> blocks)
    {
        var blockBytes = GgufTensorTypes.BlockBytes(type);
        for (; values.Length > 0; values = values[BlockLength..], blocks = blocks[blockBytes..])
        {
            if (type == GgufTensorType.Q6_K)
            {
                QuantizeScales(values[..BlockLength], blocks[..blockBytes]);
            }
            else
            {
                QuantizeLines(values[..BlockLength], type == GgufTensorType.Q4_K ? 15 : 31, blocks[..blockBytes]);
            }
        }
    }

    // Q4_K, Q5_K: x = d · s · u - dmin · m, with s and m of 6 bits for each 32 values.
    private static void QuantizeLines(ReadOnlySpan<float> values, int levels, Span<byte> block)
    {
        Span<float> integers = stackalloc float[BlockLength];
        Span<(float Scale, float Minimum)> lines = stackalloc (float, float)[LineCount];
        var (largestScale, largestMinimum) = (0f, 0f);
        for (var i = 0; i < LineCount; i++)
        {
            lines[i] = BlockFit.Line(Part(values, i), levels, BlockFit.Precision.Single, Part(integers, i));
            (largestScale, largestMinimum) = (Math.Max(largestScale, lines[i].Scale), Math.Max(largestMinimum, -lines[i].Minimum));
        }

        var (d, dmin) = (Unit(largestScale / LineLevelMax), Unit(largestMinimum / LineLevelMax));
        Span<(int Scale, int Minimum)> counts = stackalloc (int, int)[LineCount];
        var leastError = float.PositiveInfinity;
        for (var round = 0; round < RoundsMax; round++)
        {
            var error = 0f;
            for (var i = 0; i < LineCount; i++)
            {
                (counts[i], var least) = NearestLine(Part(values, i), lines[i], d, dmin, levels, Part(integers, i));
                error += least;
            }

            if (!(error < leastError)) break;
            leastError = error;
            WriteLines(d, dmin, counts, integers, levels, block);
            (d, dmin) = FitLines(values, counts, integers, d, dmin);
        }
    }

    private static ((int Scale, int Minimum) Counts, float Error) NearestLine(
        ReadOnlySpan<float> values, (float Scale, float Minimum) line, float d, float dmin, int levels, Span<float> integers)
    {
        var (scale, minimum) = (Count(line.Scale, d, 0, LineLevelMax), Count(-line.Minimum, dmin, 0, LineLevelMax));
        (int Scale, int Minimum) best = (0, 0);
        var leastError = float.PositiveInfinity;
        for (var s = Math.Max(scale - 1, 0); s <= Math.Min(scale + 1, LineLevelMax); s++)
        {
            for (var m = Math.Max(minimum - 1, 0); m <= Math.Min(minimum + 1, LineLevelMax); m++)
            {
                var error = BlockFit.ErrorOf(values, d * s, -dmin * m, 0, levels, integers);
                if (error < leastError) (best, leastError) = ((s, m), error);
            }
        }

        BlockFit.ErrorOf(values, d * best.Scale, -dmin * best.Minimum, 0, levels, integers);
        return (best, leastError);
    }

    // The d and dmin with the least squared error for these integers: two linear equations.
    private static (float Scale, float Minimum) FitLines(
        ReadOnlySpan<float> values, ReadOnlySpan<(int Scale, int Minimum)> counts, ReadOnlySpan<float> integers, float d, float dmin)
    {
        var (aa, ab, bb, ax, bx) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (var i = 0; i < LineCount; i++)
        {
            var (squares, products, sum, total) = BlockFit.Sums(Part(values, i), Part(integers, i));
            var (s, m) = ((double)counts[i].Scale, -(double)counts[i].Minimum);
            aa += s * s * squares;
            ab += s * m * sum;
            bb += m * m * LineLength;
            ax += s * products;
            bx += m * total;
        }

        var determinant = (aa * bb) - (ab * ab);
        var (scale, minimum) = determinant > 0
            ? (((ax * bb) - (ab * bx)) / determinant, ((aa * bx) - (ab * ax)) / determinant)
            : (aa > 0 ? (ax - (ab * dmin)) / aa : d, dmin);
        return scale >= 0 && minimum >= 0 ? ((float)(Half)scale, (float)(Half)minimum) : (d, dmin);
    }

    // Q6_K: x = d · s · q, with s of 8 bits and a sign for each 16 values, and q from -32 to 31.
    private static void QuantizeScales(ReadOnlySpan<float> values, Span<byte> block)
    {
        Span<float> integers = stackalloc float[BlockLength];
        Span<float> scales = stackalloc float[ScaleCount];
        var largest = 0f;
        for (var i = 0; i < ScaleCount; i++)
        {
            scales[i] = BlockFit.Scale(values.Slice(i * ScaleLength, ScaleLength), 32, BlockFit.Precision.Single, integers.Slice(i * ScaleLength, ScaleLength));
            largest = Math.Abs(scales[i]) > Math.Abs(largest) ? scales[i] : largest;
        }

        var d = Unit(largest / -128);
        Span<int> counts = stackalloc int[ScaleCount];
        var leastError = float.PositiveInfinity;
        for (var round = 0; round < RoundsMax; round++)
        {
            var (error, squares, products) = (0f, 0.0, 0.0);
            for (var i = 0; i < ScaleCount; i++)
            {
                var part = values.Slice(i * ScaleLength, ScaleLength);
                var q = integers.Slice(i * ScaleLength, ScaleLength);
                (counts[i], var least) = NearestScale(part, scales[i], d, q);
                error += least;
                var sums = BlockFit.Sums(part, q);
                squares += (double)counts[i] * counts[i] * sums.Squares;
                products += (double)counts[i] * sums.Products;
            }

            if (!(error < leastError)) break;
            leastError = error;
            WriteScales(d, counts, integers, block);
            if (squares > 0) d = (float)(Half)(products / squares);
        }
    }

    private static (int Count, float Error) NearestScale(ReadOnlySpan<float> values, float scale, float d, Span<float> integers)
    {
        var count = Count(scale, d, -128, 127);
        var (best, leastError) = (0, float.PositiveInfinity);
        for (var s = Math.Max(count - 1, -128); s <= Math.Min(count + 1, 127); s++)
        {
            var error = BlockFit.ErrorOf(values, d * s, 0, -32, 31, integers);
            if (error < leastError) (best, leastError) = (s, error);
        }

        BlockFit.ErrorOf(values, d * best, 0, -32, 31, integers);
        return (best, leastError);
    }

    // Rounded away from zero: of tiny values, where halves lie far apart, a smaller unit would reach none of the largest scale or be nothing at all.
    private static float Unit(float value)
    {
        var unit = (Half)value;
        if (Math.Abs((float)unit) < Math.Abs(value)) unit = value > 0 ? Half.BitIncrement(unit) : Half.BitDecrement(unit);
        return (float)unit;
    }

    private static int Count(float value, float unit, int low, int high) => unit == 0 ? 0 : (int)Math.Clamp(MathF.Round(value / unit), low, high);

    private static ReadOnlySpan<float> Part(ReadOnlySpan<float> values, int index) => values.Slice(index * LineLength, LineLength);

    private static Span<float> Part(Span<float> values, int index) => values.Slice(index * LineLength, LineLength);

    // d, dmin, 8 scales and 8 minima of 6 bits in 12 bytes, with 5 bits the fifth ones, then the nibbles of two sub-blocks in each 32 bytes.
    private static void WriteLines(float d, float dmin, ReadOnlySpan<(int Scale, int Minimum)> counts, ReadOnlySpan<float> integers, int levels, Span<byte> block)
    {
        block.Clear();
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)dmin);
        var packed = block[4..16];
        for (var i = 0; i < 4; i++)
        {
            packed[i] = (byte)(counts[i].Scale | (counts[i + 4].Scale >> 4 << 6));
            packed[i + 4] = (byte)(counts[i].Minimum | (counts[i + 4].Minimum >> 4 << 6));
            packed[i + 8] = (byte)((counts[i + 4].Scale & 15) | ((counts[i + 4].Minimum & 15) << 4));
        }

        var fifthBits = block[16..48];
        var nibbles = block[(levels == 31 ? 48 : 16)..];
        for (var i = 0; i < BlockLength; i++)
        {
            var (part, l, value) = (i / LineLength, i % LineLength, (int)integers[i]);
            nibbles[(part / 2 * LineLength) + l] |= (byte)((value & 15) << (part % 2 * 4));
            if (levels == 31) fifthBits[l] |= (byte)(value >> 4 << part);
        }
    }

    // Low nibbles, then two high bits of each value, then the scales, then d; of each 128 values, four times 32 share their bytes.
    private static void WriteScales(float d, ReadOnlySpan<int> counts, ReadOnlySpan<float> integers, Span<byte> block)
    {
        block.Clear();
        for (var i = 0; i < BlockLength; i++)
        {
            var (half, quarter, l, value) = (i / 128, i % 128 / 32, i % 32, (int)integers[i] + 32);
            block[(half * 64) + (quarter % 2 * 32) + l] |= (byte)((value & 15) << (quarter / 2 * 4));
            block[128 + (half * 32) + l] |= (byte)(value >> 4 << (2 * quarter));
        }

        for (var i = 0; i < ScaleCount; i++) block[192 + i] = (byte)(sbyte)counts[i];
        BinaryPrimitives.WriteHalfLittleEndian(block[208..], (Half)d);
    }
}
