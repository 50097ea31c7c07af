using Sluice.Cli.Bench;
using Xunit;

namespace Sluice.Tests.Cli.Bench;

public sealed class LengthAndLimitTests
{
    [Theory]
    [InlineData("128", 128, 128, 128)]
    [InlineData("64..256", 64, 256, 160)]
    [InlineData("7..7", 7, 7, 7)]
    [InlineData("1000~10", 940, 1060, 1000)]
    [InlineData("1~1", 1, 8, 1)]
    public void Lengths_are_drawn_as_they_are_written(string text, int low, int high, int mean)
    {
        var lengths = LengthDistribution.Parse(text)!;
        var random = new Random(1);
        var drawn = Enumerable.Range(0, 5_000).Select(_ => lengths.Draw(random)).ToList();

        Assert.InRange(drawn.Min(), low, high);
        Assert.InRange(drawn.Max(), low, high);
        Assert.InRange(drawn.Average(), mean * 0.98, (mean * 1.02) + 0.6);
    }

    [Fact]
    public void An_even_length_takes_both_of_its_ends()
    {
        var lengths = LengthDistribution.Parse("3..5")!;
        var random = new Random(1);

        Assert.Equal([3, 4, 5], Enumerable.Range(0, 200).Select(_ => lengths.Draw(random)).Distinct().Order());
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("5..3")]
    [InlineData("..3")]
    [InlineData("3..")]
    [InlineData("~3")]
    [InlineData("1e3")]
    [InlineData("99999999999")]
    public void What_is_no_length_is_refused(string text) => Assert.Null(LengthDistribution.Parse(text));

    [Theory]
    [InlineData("ttft:500ms,tpot:50ms,e2e:20s", true)]
    [InlineData("ttft:500ms", true)]
    [InlineData("tpot:50ms e2e:20s", true)]
    [InlineData("ttft:499ms", false)]
    [InlineData("ttft:1s,tpot:49ms", false)]
    [InlineData("e2e:19s", false)]
    public void A_good_answer_keeps_all_limits(string text, bool isGood)
    {
        var outcome = new StreamOutcome(null, TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(20), 1, 1, true);

        Assert.Equal(isGood, GoodputLimits.Parse(text)!.AreKeptBy(outcome));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ttft")]
    [InlineData("ttft:500")]
    [InlineData("speed:5s")]
    [InlineData("ttft:-5s")]
    public void What_is_no_limit_is_refused(string text) => Assert.Null(GoodputLimits.Parse(text));
}
