using FsCheck;
using FsCheck.Fluent;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Quantization;

// What is written is read by the unpacker that agrees with llama.cpp's blocks (RowReaderTests).
public sealed class SuperBlockQuantizerTests
{
    private static readonly GgufTensorType[] s_types = [GgufTensorType.Q4_K, GgufTensorType.Q5_K, GgufTensorType.Q6_K];

    public static TheoryData<GgufTensorType> Types => [.. s_types];

    // Scales are counted in 63rds or 128ths of the largest one, so a sub-block that is small beside it is coarser: the bound is of the super-block.
    [Theory]
    [MemberData(nameof(Types))]
    public void Values_come_back_to_within_a_step(GgufTensorType type)
    {
        var (levels, counts) = type switch { GgufTensorType.Q4_K => (15, 63), GgufTensorType.Q5_K => (31, 63), _ => (32, 128) };
        Prop.ForAll(Blocks().ToArbitrary(), values =>
        {
            var decoded = RoundTrip(type, values);
            var range = values.Append(0).Max() - values.Append(0).Min();
            var step = range / levels * (1 + (levels / (double)counts));
            Assert.All(values.Zip(decoded), pair => Assert.InRange(pair.Second, pair.First - (1.6 * step), pair.First + (1.6 * step)));
        }).QuickCheckThrowOnFailure();
    }

    // A bit more halves the step.
    [Fact]
    public void Each_bit_halves_the_error()
    {
        var values = new RandomBlocks("bits").Singles(256 * 64, 0.02);
        var errors = s_types.Select(type => Math.Sqrt(values.Zip(RoundTrip(type, values), static (a, b) => Math.Pow((double)a - b, 2)).Sum())).ToArray();

        Assert.InRange(errors[1] / errors[0], 0.4, 0.6);
        Assert.InRange(errors[2] / errors[1], 0.4, 0.6);
    }

    // Their scales are near the smallest halves.
    [Theory]
    [InlineData(GgufTensorType.Q6_K, 1e-5)]
    [InlineData(GgufTensorType.Q6_K, 2e-5)]
    [InlineData(GgufTensorType.Q6_K, 1e-4)]
    [InlineData(GgufTensorType.Q6_K, 1e-3)]
    [InlineData(GgufTensorType.Q5_K, 1e-4)]
    [InlineData(GgufTensorType.Q4_K, 1e-4)]
    public void Tiny_values_lose_no_more_than_a_coarse_scale_costs(GgufTensorType type, double magnitude)
    {
        var values = new RandomBlocks("tiny").Singles(256 * 16, magnitude);
        var relative = Math.Sqrt(values.Zip(RoundTrip(type, values), static (a, b) => Math.Pow((double)a - b, 2)).Sum() / values.Sum(static value => (double)value * value));

        Assert.InRange(relative, 0, type switch { GgufTensorType.Q4_K => 0.12, GgufTensorType.Q5_K => 0.06, _ => 0.03 });
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Zeros_stay_zeros(GgufTensorType type) => Assert.All(RoundTrip(type, new float[512]), static value => Assert.Equal(0, value));

    [Theory]
    [MemberData(nameof(Types))]
    public void What_a_super_block_holds_exactly_it_keeps(GgufTensorType type)
    {
        // A scale of its own for each sub-block, all integers used, and minima where the type has them.
        var values = new float[256];
        for (var i = 0; i < 256; i++)
        {
            values[i] = type switch
            {
                GgufTensorType.Q4_K => 0.0625f * (((56 + (i / 32)) * (i % 16)) - (63 - (i / 32))),
                GgufTensorType.Q5_K => 0.0625f * (((56 + (i / 32)) * (i % 32)) - (63 - (i / 32))),
                _ => 0.0625f * (128 - (i / 16)) * ((i % 16 * 4) - 32),
            };
        }

        Assert.Equal(values, RoundTrip(type, values));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void The_same_values_give_the_same_bytes_alone_and_in_a_row(GgufTensorType type)
    {
        var values = new RandomBlocks("row").Singles(256 * 8, 0.02);
        var blockBytes = GgufTensorTypes.BlockBytes(type);
        var row = Quantize(type, values);

        for (var block = 0; block < 8; block++)
            Assert.Equal(row[(block * blockBytes)..((block + 1) * blockBytes)], Quantize(type, values[(block * 256)..((block + 1) * 256)]));
    }

    // Of many sizes, also with outliers, one-sided, and with sub-blocks of very different sizes.
    private static Gen<float[]> Blocks() =>
        from seed in Gen.Choose(0, int.MaxValue)
        from magnitude in Gen.Elements(1e-2, 1.0, 500.0)
        from shape in Gen.Choose(0, 4)
        select new RandomBlocks($"{seed}").Singles(256, magnitude).Select((value, i) => shape switch
        {
            1 => Math.Abs(value),
            2 => i == seed % 256 ? value * 30 : value,
            3 => -Math.Abs(value),
            4 => value * (1 + (i / 32)),
            _ => value,
        }).ToArray();

    private static byte[] Quantize(GgufTensorType type, float[] values)
    {
        var blocks = new byte[values.Length / 256 * GgufTensorTypes.BlockBytes(type)];
        SuperBlockQuantizer.Quantize(type, values, blocks);
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
