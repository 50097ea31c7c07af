using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>The limiter where time jumps, numbers are learned late, and answers end in any order.</summary>
public sealed class LimiterCaseTests
{
    private readonly ManualTimeProvider _clock = new();

    private static Account Account(Limiter limiter, LimitOptions limits) =>
        limiter.CreateAccount(new KeyOptions("k", "k") { Limits = limits }, "k", [], LimitOptions.None);

    // T15
    [Fact]
    public void What_turns_out_later_belongs_to_the_window_in_which_the_answer_began()
    {
        var limiter = new Limiter(_clock, new RandomSource(1));
        var account = Account(limiter, new LimitOptions { Budgets = [new(BudgetUnit.Tokens, 1000, BudgetPeriod.Hour)] });
        var (hold, _) = limiter.TryBegin(account, "m", 10, null, 1);
        hold!.Settle(new AnswerUsage(10, 0, 5), 15, 0, 1);
        Assert.Equal(15, limiter.View(account).Budget!.Value.Settled);
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(0, limiter.View(account).Budget!.Value.Settled);
        hold.Revise(100, 0, 100, 0);
        Assert.Equal(0, limiter.View(account).Budget!.Value.Settled);
    }

    // T17
    [Fact]
    public void Requests_and_tokens_a_minute_come_back_each_by_themselves()
    {
        var limiter = new Limiter(_clock, new RandomSource(1));
        var account = Account(limiter, new LimitOptions { RequestsPerMinute = 2, TokensPerMinute = 600 });
        var (hold, _) = limiter.TryBegin(account, "m", 100, 0, 1);
        hold!.Settle(new AnswerUsage(100, 0, 500), 600, 0, 1);
        Assert.Equal((1, 0), (limiter.View(account).Requests!.Value.Remaining, limiter.View(account).Tokens!.Value.Remaining));
        Assert.Equal("tokens", limiter.TryBegin(account, "m", 100, 0, 1).Error!.Type);
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Null(limiter.TryBegin(account, "m", 100, 0, 1).Error);
        Assert.Equal("requests", limiter.TryBegin(account, "m", 0, 0, 1).Error!.Type);
    }

    // T18, T19
    [Fact]
    public void The_number_in_progress_is_that_of_what_lives_at_every_step()
    {
        var (random, limiter) = (new Random(7), new Limiter(_clock, new RandomSource(1)));
        var account = Account(limiter, new LimitOptions { Parallel = 20 });
        var (running, suspended) = (new List<Hold>(), new List<Hold>());
        for (var step = 0; step < 10_000; step++)
        {
            switch (random.Next(4))
            {
                case 0 when limiter.TryBegin(account, "m", 1, 10, 1).Hold is { } hold:
                    running.Add(hold);
                    break;
                case 1 when running.Count > 0:
                    Take(running).Settle(random.Next(2) == 0 ? null : new AnswerUsage(1, 0, 1), 2, 0, 1);
                    break;
                case 2 when running.Count > 0:
                    var stopped = Take(running);
                    stopped.Settle(new AnswerUsage(1, 0, 1), 2, 0, 1);
                    // Told twice that it is over.
                    stopped.Settle(null, 0, 0, 0);
                    suspended.Add(stopped);
                    break;
                case 3 when suspended.Count > 0:
                    var continued = Take(suspended);
                    limiter.Continue(continued);
                    running.Add(continued);
                    break;
            }
            Assert.Equal(running.Count, limiter.Scopes.Single().Running);
        }

        Hold Take(List<Hold> from)
        {
            var i = random.Next(from.Count);
            var hold = from[i];
            from.RemoveAt(i);
            return hold;
        }
    }

    // T88
    [Fact]
    public void A_clock_that_is_set_back_opens_no_window_again()
    {
        var meter = new Meter(new BudgetOptions(BudgetUnit.Tokens, 100, BudgetPeriod.Hour), DateTimeOffset.UnixEpoch);
        meter.Recount(0);
        meter.Settle(meter.Window.Number, 90);
        meter.Roll(DateTimeOffset.UnixEpoch.AddHours(1));
        meter.Settle(meter.Window.Number, 70);
        meter.Roll(DateTimeOffset.UnixEpoch.AddMinutes(30));
        Assert.Equal((70, DateTimeOffset.UnixEpoch.AddHours(1)), (meter.Settled, meter.Window.Start));
        meter.Roll(DateTimeOffset.UnixEpoch.AddHours(9));
        Assert.Equal((0, DateTimeOffset.UnixEpoch.AddHours(9)), (meter.Settled, meter.Window.Start));
    }

    // T87: the answer's own hold, one object whatever the scopes, and nothing else; a refusal and a look have not even that.
    [Fact]
    public void To_let_an_answer_in_allocates_one_object_and_to_look_or_to_make_tokens_nothing()
    {
        var limiter = new Limiter(_clock, new RandomSource(1));
        var limits = new LimitOptions { RequestsPerMinute = 1_000_000, TokensPerMinute = 1_000_000_000, Parallel = 10_000, Budgets = [new(BudgetUnit.Tokens, 1_000_000_000, BudgetPeriod.Month)] };
        var account = limiter.CreateAccount(new KeyOptions("k", "k") { Limits = limits, Project = "p" }, "k", [new ProjectOptions("p", limits)], limits);
        var hold = Let();
        hold.Settle(new AnswerUsage(10, 0, 200), 210, 0, 1);
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 100; i++) limiter.FindRefusal(account, "m", 10, 100, 1);
        }));
        // Takes the one that looks share.
        Let();
        var kept = new List<Hold>(600);
        var object1 = AllocatedBytes.Least(static () => GC.KeepAlive(new Hold(null!)));
        Assert.Equal(100 * object1, AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 100; i++) kept.Add(Let());
            foreach (var one in kept[^100..]) one.Settle(new AnswerUsage(10, 0, 200), 210, 0, 1);
        }) - ListBytes);
        var (running, _) = limiter.TryBegin(account, "m", 10, null, 1);
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 10_000; i++) running!.TryTake();
        }));

        Hold Let()
        {
            var (one, error) = limiter.TryBegin(account, "m", 10, 100, 1);
            Assert.Null(error);
            return one!;
        }
    }

    private static readonly List<Hold> s_hundred = [.. new Hold[100]];

    // The list of a hundred references that the range makes: header, count and array.
    private static long ListBytes { get; } = AllocatedBytes.Least(static () => _ = s_hundred[..100]);
}
