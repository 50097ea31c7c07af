using Sluice.Inference.Sampling;
using Xunit;

namespace Sluice.Tests.Inference.Sampling;

/// <summary>Choosing among allowed tokens only.</summary>
public sealed class TokenSetTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(64)]
    [InlineData(259)]
    [InlineData(1000)]
    public void Restrict_leaves_members_alone(int size)
    {
        var random = new Random(size);
        for (int round = 0; round < 20; round++)
        {
            // The set may know fewer tokens than there are logits: a model pads its vocabulary.
            ulong[] set = [.. Enumerable.Range(0, (size + 63) / 64 - (round % 2)).Select(_ => (ulong)random.NextInt64() & (ulong)random.NextInt64())];
            float[] logits = [.. Enumerable.Range(0, size).Select(_ => random.NextSingle())];
            float[] restricted = [.. logits];
            TokenSet.Restrict(restricted, set);
            for (int token = 0; token < size; token++)
            {
                bool isMember = set.Length == 0 || (token / 64 < set.Length && (set[token / 64] >> (token % 64) & 1) == 1);
                Assert.Equal(isMember ? logits[token] : float.NegativeInfinity, restricted[token]);
                Assert.Equal(isMember && set.Length > 0, TokenSet.Contains(set, token));
            }
        }
    }

    [Theory]
    [InlineData(0f, 0, 1f)]
    [InlineData(1f, 0, 1f)]
    [InlineData(1f, 40, 1f)]
    [InlineData(1f, 3, 0.5f)]
    [InlineData(2f, 0, 0.9f)]
    public void Sample_draws_members_only(float temperature, int topK, float topP)
    {
        var random = new Random(5);
        ulong[] set = [1UL << 7, 0, 1UL << 63 | 1, 0];
        var sampler = new Sampler(new SamplingParameters { Temperature = temperature, TopK = topK, TopP = topP, Seed = 3 }, 0, []);
        for (int position = 0; position < 200; position++)
        {
            float[] logits = [.. Enumerable.Range(0, 256).Select(_ => (random.NextSingle() * 60) - 30)];
            Assert.Contains(sampler.Sample(logits, position, set), (int[])[7, 128, 191]);
        }

        // A model that finds none of them possible still gets one.
        Assert.Equal(7, sampler.Sample([.. Enumerable.Repeat(float.NegativeInfinity, 256)], 0, set));
        Assert.Equal(7, sampler.Sample([.. Enumerable.Repeat(float.NaN, 256)], 0, set));
    }

    [Fact]
    public void The_lowest_of_equals_is_the_lowest_member()
    {
        var sampler = new Sampler(new SamplingParameters { Temperature = 0 }, 0, []);
        Assert.Equal(66, sampler.Sample(new float[100], 0, [0UL, 0b1100]));
        Assert.Equal(0, sampler.Sample(new float[100], 0));
    }
}
