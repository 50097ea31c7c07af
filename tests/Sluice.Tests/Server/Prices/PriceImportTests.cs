using System.Text;
using Sluice.Server.Prices;
using Xunit;

namespace Sluice.Tests.Server.Prices;

/// <summary>The two public lists, in the shapes that they have.</summary>
public sealed class PriceImportTests
{
    private static Dictionary<string, ListedPrice> Read(string json) => PriceImport.Read(Encoding.UTF8.GetBytes(json));

    [Fact]
    public void Dollars_per_token_become_dollars_per_million()
    {
        var price = Read("""
            {"sample_spec":{"mode":"one of"},
             "anthropic/some-model":{"input_cost_per_token":3e-06,"output_cost_per_token":1.5e-05,"cache_read_input_token_cost":3e-07,"cache_creation_input_token_cost":3.75e-06,
               "input_cost_per_token_above_200k_tokens":6e-06,"output_cost_per_token_above_200k_tokens":2.25e-05}}
            """)["some-model"];
        Assert.Equal((3m, 15m, 0.3m, 3.75m), (price.Input, price.Output, price.Cached, price.CacheWrite));
        Assert.Equal((200_000L, 6m, 22.5m), (price.Above, price.Dearer!.Input, price.Dearer.Output));
    }

    [Fact]
    public void Dollars_per_million_stay_with_their_tiers()
    {
        var price = Read("""
            [{"id":"p","models":[{"id":"some-model","prices":{"input_mtok":{"base":1.25,"tiers":[{"start":200000,"price":2.5}]},"output_mtok":10,"cache_read_mtok":0.125}}]}]
            """)["some-model"];
        Assert.Equal((1.25m, 10m, 0.125m, 200_000L, 2.5m), (price.Input, price.Output, price.Cached, price.Above, price.Dearer!.Input));
    }

    // T47
    [Theory]
    [InlineData(-1, 5, "below 0")]
    [InlineData(0, 5, "costs nothing")]
    [InlineData(1, 0, "costs nothing")]
    public void A_price_that_cannot_be_right_is_found(int input, int output, string fault) =>
        Assert.Contains(fault, PriceImport.FindFault(new ListedPrice { Input = input, Output = output }), StringComparison.Ordinal);

    [Theory]
    [InlineData("no json")]
    [InlineData("{}")]
    [InlineData("[1]")]
    public void Another_file_is_refused(string text) => Assert.Throws<FormatException>(() => Read(text));
}
