using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

public sealed unsafe class VectorMathTests
{
    [Fact]
    public void Halves_widen_exactly()
    {
        ushort* halves = stackalloc ushort[16];
        for (var start = 0; start < 65536; start += 16)
        {
            for (var i = 0; i < 16; i++)
            {
                halves[i] = (ushort)(start + i);
            }

            var wide = VectorMath.LoadHalf(halves);
            for (var i = 0; i < 16; i++)
            {
                var expected = BitConverter.UInt16BitsToHalf(halves[i]);
                if (Half.IsFinite(expected))
                {
                    Assert.Equal(BitConverter.SingleToInt32Bits((float)expected), BitConverter.SingleToInt32Bits(wide[i]));
                }
            }
        }
    }

    [Fact]
    public void Singles_round_to_the_halves_of_the_platform()
    {
        var random = new RandomBlocks("halves");
        var borders = Enumerable.Range(0, 0x7C00).SelectMany(h => Around(Half16(h), Half16(h + 1)));
        var any = Enumerable.Range(0, 100_000).Select(_ => BitConverter.UInt32BitsToSingle((uint)random.Next()));
        var values = borders.Concat(any).Where(float.IsFinite);
        foreach (var sixteen in values.Chunk(16).Where(chunk => chunk.Length == 16))
        {
            var actual = VectorMath.ToHalf(Vector512.Create<float>(sixteen));
            for (var i = 0; i < 16; i++)
            {
                Assert.Equal(BitConverter.HalfToUInt16Bits((Half)sixteen[i]), actual[i]);
            }
        }
    }

    [Fact]
    public void Exponentials_have_a_relative_error_below_2e_7()
    {
        var x = new float[16];
        for (var start = -87.2; start < 88; start += 0.016)
        {
            for (var i = 0; i < 16; i++)
            {
                x[i] = (float)(start + (i * 0.001));
            }

            var actual = VectorMath.Exp(Vector512.Create<float>(x));
            for (var i = 0; i < 16; i++)
            {
                var expected = Math.Exp(x[i]);
                Assert.InRange(actual[i], expected * (1 - 2e-7), expected * (1 + 2e-7));
            }
        }

        Assert.Equal(Vector512<float>.Zero, VectorMath.Exp(Vector512.Create(-88f)));
        Assert.Equal(Vector512<float>.Zero, VectorMath.Exp(Vector512.Create(float.NegativeInfinity)));
        Assert.Equal(Vector512<float>.One, VectorMath.Exp(Vector512<float>.Zero));
    }

    [Theory]
    [InlineData(16)]
    [InlineData(64)]
    [InlineData(576)]
    public void Rms_norm_agrees_with_double_precision(int count)
    {
        var random = new RandomBlocks($"norm {count}");
        var x = random.Singles(count, 30);
        var weight = random.Singles(count, 1);
        var actual = new float[count];
        fixed (float* px = x)
        fixed (float* pw = weight)
        fixed (float* pa = actual)
        {
            VectorMath.RmsNorm(px, pw, pa, count, 1e-5f);
            var rms = Math.Sqrt((x.Sum(v => (double)v * v) / count) + 1e-5);
            for (var i = 0; i < count; i++)
            {
                Assert.Equal(x[i] / rms * weight[i], actual[i], 1e-6 * Math.Abs(x[i] / rms * weight[i]) + 1e-9);
            }

            VectorMath.RmsNorm(px, pw, px, count, 1e-5f);
        }

        Assert.Equal(actual, x);
    }

    [Fact]
    public void Swi_glu_agrees_with_double_precision_over_the_whole_range()
    {
        var gate = Enumerable.Range(0, 4096).Select(i => (i - 2048) / 16f).ToArray();
        var up = new RandomBlocks("up").Singles(gate.Length, 2);
        var actual = new float[gate.Length];
        fixed (float* pg = gate)
        fixed (float* pu = up)
        fixed (float* pa = actual)
        {
            VectorMath.SwiGlu(pg, pu, pa, gate.Length);
        }

        for (var i = 0; i < gate.Length; i++)
        {
            var expected = gate[i] / (1 + Math.Exp(-gate[i])) * up[i];
            Assert.Equal(expected, actual[i], (1e-6 * Math.Abs(expected)) + 1e-30);
        }
    }

    private static float Half16(int bits) => (float)BitConverter.UInt16BitsToHalf((ushort)bits);

    // Both sides of the middle between two neighbouring halves, the middle itself, and each with its sign turned.
    private static IEnumerable<float> Around(float low, float high)
    {
        var middle = float.IsFinite(high) ? (float)(((double)low + high) / 2) : 65520f;
        return ((float[])[low, MathF.BitDecrement(middle), middle, MathF.BitIncrement(middle)]).SelectMany(v => (float[])[v, -v]);
    }
}
