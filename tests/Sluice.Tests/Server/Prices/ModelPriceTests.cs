using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Prices;
using Xunit;

namespace Sluice.Tests.Server.Prices;

/// <summary>Amounts that were worked out by hand, or that providers' bills showed.</summary>
public sealed class ModelPriceTests
{
    private static ModelPrice Price(string yaml) => PriceFile.Parse($"version: 1\nmodels: {{m: {yaml}}}", "prices.yaml").Models["m"];

    // T43 to T45
    [Theory]
    [InlineData("{input: 1.4, cached: 0.26, output: 4.4}", 27147, 27146, 0, 351, 0.00860376)]
    [InlineData("{input: 1, cached: 0.1, output: 5}", 129282, 72960, 0, 87, 0.064053)]
    [InlineData("{input: 3, cache_write: 3.75, output: 15}", 1000, 0, 1000, 0, 0.00375)]
    [InlineData("{input: 1.25, output: 10}", 1000, 0, 0, 100, 0.00225)]
    public void A_request_costs_what_its_classes_cost(string yaml, int prompt, int cached, int written, int output, decimal usd) =>
        Assert.Equal((long)(usd * 1_000_000_000m), Price(yaml).Of(new AnswerUsage(prompt, cached, output) { CacheWrittenTokens = written }));

    // T46: the tier is that of the whole prompt, and every class of it has a price of its own.
    [Fact]
    public void A_tier_holds_for_all_tokens_of_a_prompt_above_it()
    {
        var price = Price("{input: 3, cached: 0.3, cache_write: 6, output: 15, tiers: [{above: 200000, input: 6, cached: 0.6, cache_write: 12, output: 22.5}]}");
        Assert.Equal(600_000_000 + 15_000, price.Of(new AnswerUsage(200_000, 0, 1)));
        Assert.Equal(200_000L * 6000 + 12_000 + 22_500, price.Of(new AnswerUsage(200_001, 0, 1) { CacheWrittenTokens = 1 }));
    }

    [Fact]
    public void Classes_never_overlap_and_nobody_is_paid()
    {
        var price = Price("{input: 1, cached: 0.1, output: 5}");
        Assert.Equal(10, price.Of(new AnswerUsage(100, 5000, 0)) / 1000);
        Assert.True(price.Of(new AnswerUsage(0, 5000, 0)) >= 0);
    }

    [Fact]
    public void Reasoning_has_the_price_of_output_unless_it_has_its_own()
    {
        Assert.Equal(Price("{input: 1, output: 5}").Of(new AnswerUsage(0, 0, 100)), Price("{input: 1, output: 5, reasoning: output}").Of(new AnswerUsage(0, 0, 100, 40)));
        Assert.Equal(60 * 5000 + 40 * 1000, Price("{input: 1, output: 5, reasoning: 1}").Of(new AnswerUsage(0, 0, 100, 40)));
    }

    [Fact]
    public void A_request_alone_can_have_a_price() => Assert.Equal(5_000_000, Price("{input: 0, output: 0, per_request: 0.005}").Of(default));

    // T41: what is held is never less than what is billed.
    [Fact]
    public void What_is_held_covers_what_is_billed()
    {
        var random = new Random(7);
        var price = Price("{input: 1.25, cached: 0.125, cache_write: 1.9, output: 10.3, reasoning: 12, tiers: [{above: 1000, input: 2.5, output: 15}]}");
        for (var i = 0; i < 10_000; i++)
        {
            var prompt = random.Next(2000);
            var usage = new AnswerUsage(prompt, random.Next(prompt + 1), random.Next(500), random.Next(100)) { CacheWrittenTokens = random.Next(100) };
            Assert.True(ModelPrice.Most(price.TierOf(prompt), prompt, usage.CompletionTokens) >= price.Of(usage));
        }
    }

    [Theory]
    [InlineData("{input: -1, output: 5}", "'-1' is not a valid price")]
    [InlineData("{input: 1}", "has no 'output'")]
    [InlineData("{input: 1, output: 5, cache: 1}", "unknown key 'cache'; did you mean 'cached'?")]
    [InlineData("{input: 1, output: 5, tiers: [{above: no}]}", "'no' is not a valid number of tokens")]
    [InlineData("cheap", "must be a mapping")]
    public void A_wrong_price_is_an_error_with_its_place(string yaml, string message)
    {
        var error = Assert.Throws<ConfigurationException>(() => Price(yaml)).Errors[0];
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal(2, error.Position.Line);
    }
}
