using Sluice.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>When an answer counts as one that only repeats.</summary>
public sealed class RepetitionGuardTests
{
    private const int Window = 256;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(63)]
    [InlineData(64)]
    public void A_block_again_and_again_ends_when_the_window_is_full_of_it(int period)
    {
        // Ten tokens that belong to no block come first.
        Assert.Equal(10 + Window, EndOf(i => i < 10 ? 1000 + i : (i - 10) % period));
    }

    [Fact]
    public void A_block_that_is_longer_than_a_line_may_repeat() => Assert.Null(EndOf(i => i % 65));

    [Fact]
    public void A_list_whose_numbers_change_may_go_on() => Assert.Null(EndOf(i => i % 16 == 3 ? 1000 + i : i % 16));

    [Fact]
    public void One_other_token_begins_the_count_again() => Assert.Equal(200 + 1 + Window, EndOf(i => i == 200 ? 7 : 0));

    [Fact]
    public void What_the_prompt_repeats_does_not_count()
    {
        var tokens = Enumerable.Repeat(5, 1000).ToList();
        var guard = new RepetitionGuard(Window);
        for (var count = 1; count < Window; count++)
        {
            tokens.Add(5);
            Assert.False(guard.Add(tokens, count));
        }

        tokens.Add(5);
        Assert.True(guard.Add(tokens, Window));
    }

    // How many tokens there are when it ends; null when it doesn't within ten windows.
    private static int? EndOf(Func<int, int> next)
    {
        var tokens = new List<int> { -1, -2 };
        var guard = new RepetitionGuard(Window);
        for (var i = 0; i < 10 * Window; i++)
        {
            tokens.Add(next(i));
            if (guard.Add(tokens, i + 1)) return i + 1;
        }

        return null;
    }
}
