using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

public sealed unsafe class VectorMathTests
{
    [Fact]
    public void Every_half_widens_to_its_own_value()
    {
        ushort* halves = stackalloc ushort[16];
        for (int i = 0; i <= ushort.MaxValue; i++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf((ushort)i);
            if (!float.IsFinite(expected))
            {
                continue;
            }

            new Span<ushort>(halves, 16).Fill((ushort)i);
            Assert.Equal(expected, VectorMath.LoadHalf(halves)[i % 16]);
            Assert.Equal(expected, HalfBits.ToSingle((ushort)i));
        }
    }

    [Fact]
    public void Singles_round_to_halves_as_the_cast_does()
    {
        var random = new Random(1);
        for (int i = 0; i < 200_000; i++)
        {
            float value = i % 2 == 0
                ? BitConverter.Int32BitsToSingle(random.Next() | (random.Next(2) << 31))
                : (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-9, 6)));
            if (!float.IsNaN(value))
            {
                Assert.Equal(BitConverter.HalfToUInt16Bits((Half)value), VectorMath.ToHalf(Vector512.Create(value))[i % 16]);
            }
        }
    }

    [Fact]
    public void Exp_is_within_two_units_in_the_last_place_and_zero_far_below()
    {
        for (double x = -87; x < 88; x += 0.0037)
        {
            Assert.Equal(1, VectorMath.Exp(Vector512.Create((float)x))[3] / Math.Exp((float)x), 2.5e-7);
        }

        Assert.Equal(0, VectorMath.Exp(Vector512.Create(-88f))[0]);
        Assert.Equal(0, VectorMath.Exp(Vector512.Create(float.NegativeInfinity))[0]);
    }

    [Fact]
    public void Norm_and_gate_follow_their_formulas()
    {
        const int Count = 96;
        var random = new Random(2);
        float[] x = [.. Enumerable.Range(0, Count).Select(_ => (float)((random.NextDouble() * 8) - 4))];
        float[] w = [.. Enumerable.Range(0, Count).Select(_ => (float)random.NextDouble())];
        float[] normed = new float[Count];
        float[] gated = new float[Count];
        fixed (float* px = x, pw = w, pn = normed, pg = gated)
        {
            VectorMath.RmsNorm(px, pw, pn, Count, 1e-5f);
            VectorMath.SwiGlu(px, pw, pg, Count);
        }

        double rms = Math.Sqrt((x.Sum(v => (double)v * v) / Count) + 1e-5);
        for (int i = 0; i < Count; i++)
        {
            Assert.Equal(x[i] / rms * w[i], normed[i], 1e-6);
            Assert.Equal(x[i] / (1 + Math.Exp(-x[i])) * w[i], gated[i], 1e-6);
        }
    }
}
