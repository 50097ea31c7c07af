using Sluice.Inference.Kernels;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

public sealed unsafe class QuantizedActivationsTests
{
    private const int Length = 96;

    [Fact]
    public void Every_value_is_within_half_a_step_and_the_sums_are_those_of_the_steps()
    {
        for (var columns = 1; columns <= 17; columns++)
        {
            using var activations = new QuantizedActivations(Length, columns) { ColumnCount = columns };
            var values = new RandomBlocks($"activations {columns}").Singles((long)columns * Length, 3);
            fixed (float* source = values)
            {
                for (var column = 0; column < columns; column++)
                {
                    activations.Quantize(column, source + (column * Length), 0, Length / 32);
                }
            }

            for (var column = 0; column < columns; column++)
            {
                for (var block = 0; block < Length / 32; block++)
                {
                    Check(activations, column, block, values.AsSpan((column * Length) + (block * 32), 32));
                }
            }
        }
    }

    [Fact]
    public void Blocks_may_be_written_apart()
    {
        using var whole = new QuantizedActivations(Length, 5) { ColumnCount = 5 };
        using var parts = new QuantizedActivations(Length, 5) { ColumnCount = 5 };
        var values = new RandomBlocks("parts").Singles(5L * Length, 1);
        fixed (float* source = values)
        {
            for (var column = 0; column < 5; column++)
            {
                whole.Quantize(column, source + (column * Length), 0, 3);
                parts.Quantize(column, source + (column * Length) + 32, 1, 2);
                parts.Quantize(column, source + (column * Length), 0, 1);
            }
        }

        var expected = new ReadOnlySpan<sbyte>(whole.TileValues(0), 8 * Length);
        Assert.True(expected.SequenceEqual(new ReadOnlySpan<sbyte>(parts.TileValues(0), 8 * Length)));
        Assert.True(new ReadOnlySpan<float>(whole.TileScales(0), 48).SequenceEqual(new ReadOnlySpan<float>(parts.TileScales(0), 48)));
    }

    [Theory]
    [InlineData(0f, 0)]
    [InlineData(1e-42f, 0)]
    [InlineData(1e-30f, 127)]
    [InlineData(-1e30f, -127)]
    public void One_extreme_value_is_the_largest_step_and_one_too_small_is_zero(float extreme, int expected)
    {
        using var activations = new QuantizedActivations(32, 1) { ColumnCount = 1 };
        var values = new float[32];
        values[7] = extreme;
        fixed (float* source = values)
        {
            activations.Quantize(0, source, 0, 1);
        }

        Assert.Equal(Math.Abs(extreme) / 127, activations.TileScales(0)[0], Math.Abs(extreme) * 1e-6f);
        for (var i = 0; i < 32; i++)
        {
            Assert.Equal(i == 7 ? expected : 0, activations.TileValues(0)[i]);
        }
    }

    private static void Check(QuantizedActivations activations, int column, int block, ReadOnlySpan<float> values)
    {
        var tile = ActivationLayout.TileStart(column);
        var width = ActivationLayout.TileWidth(tile, activations.ColumnCount);
        var lane = column - tile;
        double largest = 0;
        foreach (var value in values)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        double scale = activations.TileScales(tile)[(block * 2 * width) + lane];
        Assert.Equal(largest / 127, scale, largest * 1e-7);
        double first = 0, second = 0;
        for (var i = 0; i < 32; i++)
        {
            var index = (block * 32) + i;
            double step = activations.TileValues(tile)[(((index / 4 * width) + lane) * 4) + (index % 4)];
            Assert.InRange(step, -127, 127);
            Assert.InRange(values[i], (step * scale) - (scale * 0.50001), (step * scale) + (scale * 0.50001));
            first += i < 16 ? step * scale : 0;
            second += i < 16 ? 0 : step * scale;
        }

        Assert.Equal(first + second, activations.TileScales(tile)[(((block * 2) + 1) * width) + lane], largest * 1e-5);
        Assert.Equal(first, activations.TileHalfSums(tile)[(block * 2 * width) + lane], largest * 1e-5);
        Assert.Equal(second, activations.TileHalfSums(tile)[(((block * 2) + 1) * width) + lane], largest * 1e-5);
    }
}
