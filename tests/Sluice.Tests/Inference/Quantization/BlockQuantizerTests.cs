using FsCheck;
using FsCheck.Fluent;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Quantization;

public sealed class BlockQuantizerTests
{
    private static readonly GgufTensorType[] s_types = [GgufTensorType.Q4_0, GgufTensorType.Q4_1, GgufTensorType.Q5_0, GgufTensorType.Q5_1, GgufTensorType.Q8_0];
    private static readonly int[] s_nonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
    private static readonly int[] s_miniFloat = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    public static TheoryData<GgufTensorType> Types => [.. s_types];

    // What is written is read by the unpacker that agrees with llama.cpp's blocks (RowReaderTests).
    [Theory]
    [MemberData(nameof(Types))]
    public void The_squared_error_is_never_above_that_of_the_plain_rule(GgufTensorType type)
    {
        Prop.ForAll(Blocks().ToArbitrary(), values =>
        {
            var error = SquaredError(values, RoundTrip(type, values));

            Assert.True(error <= (PlainError(type, values) * 1.0001) + 1e-12, $"{type}: {error} is more than {PlainError(type, values)}");
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(GgufTensorType.IQ4_NL)]
    [InlineData(GgufTensorType.MXFP4)]
    public void The_squared_error_of_tables_is_never_above_that_of_the_plain_rule(GgufTensorType type)
    {
        Prop.ForAll(Blocks().ToArbitrary(), values =>
        {
            // The largest value at the end of the table; or the exponent of the largest, less the table's.
            var largest = values.MaxBy(Math.Abs);
            var table = type == GgufTensorType.IQ4_NL ? s_nonLinear : s_miniFloat;
            var scale = type == GgufTensorType.IQ4_NL
                ? (double)(Half)(largest / -127)
                : Math.Pow(2, Math.Floor(Math.Log2(Math.Abs(largest))) - 3);
            var plain = largest == 0 ? 0 : values.Sum(value => table.Min(entry => Math.Pow(value - (entry * scale), 2)));
            var error = SquaredError(values, RoundTrip(type, values));

            Assert.True(error <= (plain * 1.0001) + 1e-12, $"{type}: {error} is more than {plain}");
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(GgufTensorType.IQ4_NL)]
    [InlineData(GgufTensorType.MXFP4)]
    public void What_a_table_holds_exactly_a_block_keeps(GgufTensorType type)
    {
        var table = type == GgufTensorType.IQ4_NL ? s_nonLinear : s_miniFloat;
        var values = Enumerable.Range(0, 32).Select(i => table[i % 16] * 0.0625f).ToArray();

        Assert.Equal(values, RoundTrip(type, values));
        Assert.All(RoundTrip(type, new float[64]), static value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(0.1f)]
    [InlineData(1e-38f)]
    [InlineData(1e-30f)]
    [InlineData(1e30f)]
    [InlineData(3e38f)]
    public void A_power_of_two_reaches_as_far_as_single_precision(float magnitude) =>
        Assert.All(RoundTrip(GgufTensorType.MXFP4, [.. Enumerable.Repeat(magnitude, 32)]), value => Assert.InRange(value / magnitude, 0.8f, 1.2f));

    [Theory]
    [MemberData(nameof(Types))]
    public void Zeros_stay_zeros(GgufTensorType type) => Assert.All(RoundTrip(type, new float[64]), static value => Assert.Equal(0, value));

    [Theory]
    [InlineData(GgufTensorType.Q4_1)]
    [InlineData(GgufTensorType.Q5_1)]
    public void A_block_of_one_value_stays_that_value(GgufTensorType type) =>
        Assert.All(RoundTrip(type, [.. Enumerable.Repeat(-0.75f, 32)]), static value => Assert.Equal(-0.75f, value));

    [Theory]
    [MemberData(nameof(Types))]
    public void What_a_block_holds_exactly_it_keeps(GgufTensorType type)
    {
        // Every integer of the type, with a scale that a half holds.
        var (low, high) = type switch
        {
            GgufTensorType.Q4_0 => (-8, 7),
            GgufTensorType.Q5_0 => (-16, 15),
            GgufTensorType.Q8_0 => (-128, 127),
            GgufTensorType.Q4_1 => (0, 15),
            _ => (0, 31),
        };
        var step = Math.Max(1, (high - low) / 31);
        var values = Enumerable.Range(0, 32).Select(i => (low + Math.Min(i * step, high - low)) * 0.0625f).ToArray();
        values[31] = high * 0.0625f;

        Assert.Equal(values, RoundTrip(type, values));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void The_same_values_give_the_same_bytes_alone_and_in_a_row(GgufTensorType type)
    {
        var values = new RandomBlocks("row").Singles(32 * 40, 0.02);
        var blockBytes = GgufTensorTypes.BlockBytes(type);
        var row = Quantize(type, values);

        for (var block = 0; block < 40; block++)
            Assert.Equal(row[(block * blockBytes)..((block + 1) * blockBytes)], Quantize(type, values[(block * 32)..((block + 1) * 32)]));
    }

    // Of many sizes, also with outliers, one-sided, and with few different values.
    private static Gen<float[]> Blocks() =>
        from seed in Gen.Choose(0, int.MaxValue)
        from magnitude in Gen.Elements(1e-4, 0.02, 1.0, 500.0)
        from shape in Gen.Choose(0, 3)
        select new RandomBlocks($"{seed}").Singles(32, magnitude).Select((value, i) => shape switch
        {
            1 => Math.Abs(value),
            2 => i == seed % 32 ? value * 30 : value,
            3 => MathF.Round(value / (float)magnitude) * (float)magnitude,
            _ => value,
        }).ToArray();

    // The largest value, or both ends, decide the scale; each value goes to the nearest integer.
    private static double PlainError(GgufTensorType type, float[] values)
    {
        var isLine = type is GgufTensorType.Q4_1 or GgufTensorType.Q5_1;
        var levels = type switch { GgufTensorType.Q4_0 => 8, GgufTensorType.Q5_0 => 16, GgufTensorType.Q8_0 => 128, GgufTensorType.Q4_1 => 15, _ => 31 };
        var minimum = isLine ? (float)(Half)values.Min() : 0;
        var largest = values.MaxBy(Math.Abs);
        var scale = (float)(Half)(isLine ? (values.Max() - values.Min()) / levels : largest / -levels);
        var (low, high) = isLine ? (0, levels) : (-levels, levels - 1);
        return values.Sum(value =>
        {
            var integer = scale == 0 ? 0 : Math.Clamp(Math.Round((value - minimum) / (double)scale), low, high);
            return Math.Pow(value - ((integer * scale) + minimum), 2);
        });
    }

    private static double SquaredError(float[] values, float[] others) => values.Zip(others, static (a, b) => Math.Pow((double)a - b, 2)).Sum();

    private static byte[] Quantize(GgufTensorType type, float[] values)
    {
        var blocks = new byte[values.Length / 32 * GgufTensorTypes.BlockBytes(type)];
        BlockQuantizer.Quantize(type, values, blocks);
        return blocks;
    }

    private static unsafe float[] RoundTrip(GgufTensorType type, float[] values)
    {
        var decoded = new float[values.Length];
        fixed (byte* blocks = Quantize(type, values))
        fixed (float* destination = decoded) RowReader.Read(type, blocks, destination, values.Length);
        return decoded;
    }
}
