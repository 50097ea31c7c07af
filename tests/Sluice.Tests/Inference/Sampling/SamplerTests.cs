using Sluice.Inference.Sampling;
using Xunit;

namespace Sluice.Tests.Inference.Sampling;

/// <summary>The sampler against the formulas, computed the slow way over the whole vocabulary.</summary>
public sealed class SamplerTests
{
    private const int Draws = 20_000;

    [Fact]
    public void Greedy_takes_the_largest_and_the_lowest_of_equals()
    {
        var sampler = new Sampler(new SamplingParameters { Temperature = 0 }, 0, []);
        float[] logits = new float[50];
        logits[17] = 3;
        logits[33] = 3;
        Assert.Equal(17, sampler.Sample(logits, 0));
    }

    [Fact]
    public void Not_a_number_is_never_chosen_over_a_number()
    {
        float[] logits = [float.NaN, -5, float.NaN, -4, float.NegativeInfinity];
        Assert.Equal(3, new Sampler(new SamplingParameters { Temperature = 0 }, 0, []).Sample([.. logits], 0));
        for (int position = 0; position < 50; position++)
        {
            Assert.Contains(new Sampler(new SamplingParameters(), 0, []).Sample([.. logits], position), (int[])[1, 3]);
            Assert.Contains(new Sampler(new SamplingParameters { TopP = 0.9f, TopK = 3 }, 0, []).Sample([.. logits], position), (int[])[1, 3]);
        }
    }

    [Fact]
    public void A_vocabulary_of_nothing_but_not_a_number_still_ends_in_a_token()
    {
        float[] logits = [float.NaN, float.NaN, float.NaN];
        Assert.Equal(0, new Sampler(new SamplingParameters { TopP = 0.5f }, 0, []).Sample(logits, 0));
    }

    [Theory]
    [InlineData(1e-39f, 0.9f, 0)]
    [InlineData(1e-39f, 1f, 0)]
    [InlineData(1e-30f, 1f, 3)]
    [InlineData(float.Epsilon, 0.5f, 2)]
    [InlineData(1e-4f, 0.9f, 0)]
    public void A_temperature_whose_inverse_overflows_is_greedy(float temperature, float topP, int topK)
    {
        var sampler = new Sampler(new SamplingParameters { Temperature = temperature, TopP = topP, TopK = topK }, 0, []);
        Assert.Equal(2, sampler.Sample([1, 2, 3, 0], 0));
    }

    [Theory]
    [InlineData(1f, 1f, 0, 0f)]
    [InlineData(0.5f, 1f, 0, 0f)]
    [InlineData(1.7f, 1f, 0, 0f)]
    [InlineData(1f, 0.6f, 0, 0f)]
    [InlineData(1f, 1f, 5, 0f)]
    [InlineData(0.8f, 0.9f, 7, 0f)]
    [InlineData(1f, 1f, 0, 0.2f)]
    [InlineData(1.3f, 0.8f, 12, 0.05f)]
    public void Draws_follow_the_distribution_that_the_parameters_define(float temperature, float topP, int topK, float minP)
    {
        var random = new Random(42);
        float[] logits = [.. Enumerable.Range(0, 40).Select(_ => (float)(random.NextDouble() * 6))];
        var parameters = new SamplingParameters { Temperature = temperature, TopP = topP, TopK = topK, MinP = minP, Seed = 99 };
        double[] expected = Distribution(logits, temperature, topP, topK, minP);

        var counts = new int[logits.Length];
        var sampler = new Sampler(parameters, 0, []);
        for (int position = 0; position < Draws; position++)
        {
            counts[sampler.Sample([.. logits], position)]++;
        }

        for (int i = 0; i < logits.Length; i++)
        {
            if (expected[i] == 0)
            {
                Assert.Equal(0, counts[i]);
            }

            // Five standard deviations of a binomial count.
            double deviation = Math.Sqrt(Draws * expected[i] * (1 - expected[i]));
            Assert.InRange(counts[i], (Draws * expected[i]) - (5 * deviation) - 1, (Draws * expected[i]) + (5 * deviation) + 1);
        }
    }

    [Fact]
    public void Flat_tails_wider_than_the_first_window_are_still_cut_exactly()
    {
        // 1,000 tokens 30 nats under the first one: top-p 1 - 1e-14 needs some of them, top-k 500 exactly 499.
        float[] logits = new float[1001];
        logits[0] = 30;
        var seen = new HashSet<int>();
        var sampler = new Sampler(new SamplingParameters { Temperature = 20, TopK = 500, Seed = 1 }, 0, []);
        for (int position = 0; position < Draws; position++)
        {
            seen.Add(sampler.Sample([.. logits], position));
        }

        Assert.Equal(500, seen.Count);
        Assert.Equal(499, seen.Max());
    }

    [Fact]
    public void The_same_seed_choice_and_position_draw_the_same_token_and_others_do_not()
    {
        float[] logits = new float[1000];
        int[] Draw(ulong seed, int choice) => [.. Enumerable.Range(0, 20).Select(position =>
            new Sampler(new SamplingParameters { Seed = seed }, choice, []).Sample([.. logits], position))];

        Assert.Equal(Draw(7, 0), Draw(7, 0));
        Assert.NotEqual(Draw(7, 0), Draw(8, 0));
        Assert.NotEqual(Draw(7, 0), Draw(7, 1));
    }

    [Fact]
    public void Bias_is_added_before_everything_and_unknown_ids_are_ignored()
    {
        float[] logits = [1, 2, 3];
        var parameters = new SamplingParameters { Temperature = 0, LogitBias = new Dictionary<int, float> { [0] = 100, [2] = -100, [77] = 5, [-1] = 5 } };
        Assert.Equal(0, new Sampler(parameters, 0, []).Sample(logits, 0));
    }

    [Fact]
    public void Presence_counts_once_and_frequency_every_time()
    {
        // 1.0 apart: a presence penalty of 0.6 lets the first token win again, two frequency penalties of 0.6 do not.
        var presence = new Sampler(new SamplingParameters { Temperature = 0, PresencePenalty = 0.6f }, 0, []);
        var frequency = new Sampler(new SamplingParameters { Temperature = 0, FrequencyPenalty = 0.6f }, 0, []);
        Assert.Equal([0, 0, 0], Enumerable.Range(0, 3).Select(i => presence.Sample([2, 1], i)));
        Assert.Equal([0, 0, 1], Enumerable.Range(0, 3).Select(i => frequency.Sample([2, 1], i)));
    }

    [Fact]
    public void Repetition_divides_positive_and_multiplies_negative_logits_of_prompt_and_output()
    {
        Assert.Equal(1, new Sampler(new SamplingParameters { Temperature = 0, RepetitionPenalty = 2 }, 0, [0]).Sample([3, 2], 0));
        Assert.Equal(1, new Sampler(new SamplingParameters { Temperature = 0, RepetitionPenalty = 2 }, 0, [0]).Sample([-3, -5], 0));
        var sampler = new Sampler(new SamplingParameters { Temperature = 0, RepetitionPenalty = 2 }, 0, []);
        Assert.Equal([0, 1], Enumerable.Range(0, 2).Select(i => sampler.Sample([3, 2], i)));
    }

    [Fact]
    public void Philox_gives_the_words_of_its_authors_test_vectors()
    {
        // Known answers of Random123 (kat_vectors, philox4x32 10).
        Assert.Equal((0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u), Philox.Block(0, 0, 0, 0, 0));
        Assert.Equal(
            (0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu),
            Philox.Block(ulong.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue));
        Assert.Equal(
            (0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u),
            Philox.Block(0x299f31d0a4093822, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344));
    }

    [Fact]
    public void Log_probabilities_sum_to_one_and_the_top_is_sorted_with_the_lowest_id_first()
    {
        var random = new Random(3);
        float[] logits = [.. Enumerable.Range(0, 1003).Select(_ => (float)(random.NextDouble() * 20) - 10)];
        logits[500] = logits[700] = 12;
        double sum = LogprobReader.LogSumExp(logits);
        Assert.Equal(1, logits.Sum(logit => Math.Exp(logit - sum)), 1e-6);
        int[] expected = [.. Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(20)];
        Assert.Equal(expected, LogprobReader.Top(logits, 20));
        Assert.Empty(LogprobReader.Top(logits, 0));
    }

    // vLLM's order, over the whole vocabulary: temperature, min-p, top-k, top-p.
    private static double[] Distribution(float[] logits, double temperature, double topP, int topK, double minP)
    {
        double[] p = Normalize([.. logits.Select(logit => Math.Exp(logit / temperature))]);
        double floor = minP * p.Max();
        p = Normalize([.. p.Select(x => x >= floor ? x : 0)]);
        int[] order = [.. Enumerable.Range(0, p.Length).OrderByDescending(i => p[i]).ThenBy(i => i)];
        if (topK > 0)
        {
            foreach (int i in order.Skip(topK))
            {
                p[i] = 0;
            }

            p = Normalize(p);
        }

        double reached = 0;
        foreach (int i in order)
        {
            if (reached >= topP)
            {
                p[i] = 0;
            }

            reached += p[i];
        }

        return Normalize(p);
    }

    private static double[] Normalize(double[] weights)
    {
        double sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }
}
