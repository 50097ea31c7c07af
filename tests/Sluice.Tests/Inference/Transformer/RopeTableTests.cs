using System.Numerics;
using Sluice.Inference.Architectures;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

public sealed unsafe class RopeTableTests
{
    [Theory]
    [InlineData(64, 64, 10000, 1)]
    [InlineData(64, 32, 500000, 1)]
    [InlineData(128, 128, 1000000, 4)]
    public void Pairs_turn_as_complex_numbers_do(int headLength, int dimensions, double frequencyBase, double factor)
    {
        var scaling = factor == 1 ? RopeScaling.None : RopeScaling.Linear;
        var table = new RopeTable(new RopeConfig(dimensions, frequencyBase, scaling, factor, 2048, 1), null);
        var angles = new float[dimensions];
        foreach (var position in (int[])[0, 1, 7, 1000, 131071])
        {
            var head = new RandomBlocks($"rope {position}").Singles(headLength, 1);
            var turned = head.ToArray();
            fixed (float* pa = angles)
            fixed (float* ph = turned)
            {
                table.Fill(position, pa);
                table.Rotate(ph, pa);
            }

            var half = dimensions / 2;
            for (var i = 0; i < half; i++)
            {
                var angle = position / factor * Math.Pow(frequencyBase, -2.0 * i / dimensions);
                var expected = new Complex(head[i], head[i + half]) * Complex.FromPolarCoordinates(1, angle);
                Assert.Equal(expected.Real, turned[i], 1e-5);
                Assert.Equal(expected.Imaginary, turned[i + half], 1e-5);
            }

            Assert.Equal(head[dimensions..], turned[dimensions..]);
        }
    }

    [Fact]
    public void Divisors_slow_single_pairs()
    {
        var config = new RopeConfig(8, 10000, RopeScaling.None, 1, 2048, 1);
        var plain = Angles(new RopeTable(config, null), 6);
        var divided = Angles(new RopeTable(config, [2, 1, 1, 1]), 12);
        Assert.Equal(plain[0], divided[0], 1e-6f);
        Assert.Equal(plain[4], divided[4], 1e-6f);
        Assert.NotEqual(plain[1], divided[1], 1e-3f);
    }

    // YaRN leaves the fast pairs alone, slows the slow ones by the whole factor, and lengthens all by 1 + 0.1 ln(factor).
    [Fact]
    public void Yarn_keeps_fast_pairs_and_squeezes_slow_ones()
    {
        const double Factor = 4;
        var yarn = new RopeTable(new RopeConfig(128, 10000, RopeScaling.Yarn, Factor, 4096, 1), null);
        var plain = new RopeTable(new RopeConfig(128, 10000, RopeScaling.None, 1, 4096, 1), null);
        var magnitude = 1 + (0.1 * Math.Log(Factor));
        Assert.Equal(Angles(plain, 5)[0] * magnitude, Angles(yarn, 5)[0], 1e-5);
        Assert.Equal(Angles(plain, 5)[127] * magnitude, Angles(yarn, 20)[127], 1e-6);
    }

    private static float[] Angles(RopeTable table, int position)
    {
        var angles = new float[2 * table.PairCount];
        fixed (float* p = angles)
        {
            table.Fill(position, p);
        }

        return angles;
    }
}
