using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Prices;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>What is let in, what is held and what is settled: the sums must agree at every step.</summary>
public sealed class LimiterTests
{
    private readonly ManualTimeProvider _clock = new();
    private readonly Limiter _limiter;

    public LimiterTests() => _limiter = new Limiter(_clock, new RandomSource(1));

    private Account Account(LimitOptions limits, string id = "k", LimitOptions? hub = null, ProjectOptions? project = null) => _limiter.CreateAccount(
        new KeyOptions(id, "secret") { Limits = limits, Project = project?.Id }, id, project is null ? [] : [project], hub ?? LimitOptions.None);

    private static LimitOptions Tokens(long amount, BudgetPeriod per = BudgetPeriod.Day) => new() { Budgets = [new BudgetOptions(BudgetUnit.Tokens, amount, per)] };

    private Hold Begin(Account account, long prompt = 0, long? max = null)
    {
        var (hold, error) = _limiter.TryBegin(account, "m", prompt, max, 1);
        Assert.Null(error);
        return hold!;
    }

    private ApiError Refused(Account account, long prompt = 0, long? max = null) => _limiter.TryBegin(account, "m", prompt, max, 1).Error!;

    [Fact]
    public void Requests_a_minute_come_back_one_by_one_and_the_wait_is_true()
    {
        var account = Account(new LimitOptions { RequestsPerMinute = 3 });
        for (var i = 0; i < 3; i++) Begin(account);
        var error = Refused(account);
        Assert.Equal((429, "rate_limit_exceeded"), (error.Status, error.Code));
        Assert.InRange(error.RetryAfter!.Value, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(22));
        _clock.Advance(TimeSpan.FromSeconds(20));
        Begin(account);
        Assert.NotNull(Refused(account));
    }

    [Fact]
    public void Tokens_a_minute_are_taken_by_an_estimate_and_set_right_at_the_end()
    {
        var account = Account(new LimitOptions { TokensPerMinute = 6000 });
        var hold = Begin(account, prompt: 1000, max: 1000);
        Assert.Equal(4000, _limiter.View(account).Tokens!.Value.Remaining);
        hold.Settle(new AnswerUsage(500, 0, 100), 600, 0, 1);
        Assert.Equal(5400, _limiter.View(account).Tokens!.Value.Remaining);
        Assert.Equal("request_too_large_for_limit", Refused(account, prompt: 6001, max: 1).Code);
    }

    [Fact]
    public void A_parallel_count_is_that_of_answers_in_progress_however_they_end()
    {
        var account = Account(new LimitOptions { Parallel = 2 });
        var (first, second) = (Begin(account), Begin(account));
        Assert.Equal("concurrency_limit", Refused(account).Code);
        first.Settle(null, 0, 0, 0);
        first.Settle(null, 0, 0, 0);
        Begin(account);
        Assert.Equal("concurrency_limit", Refused(account).Code);
        second.Settle(new AnswerUsage(1, 0, 1), 2, 0, 1);
        _limiter.Continue(first);
        Assert.Equal("concurrency_limit", Refused(account).Code);
    }

    // T20
    [Fact]
    public async Task Of_a_hundred_at_once_as_many_pass_as_there_is_room_for()
    {
        var account = Account(Tokens(1000));
        var results = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(() => _limiter.TryBegin(account, "m", 99, 1, 1))));
        Assert.Equal(10, results.Count(result => result.Hold is not null));
        Assert.All(results.Where(result => result.Error is not null), result => Assert.Equal("budget_in_flight", result.Error!.Code));
    }

    // T26, T27
    [Fact]
    public void Whoever_asks_for_any_number_of_tokens_leaves_room_for_others()
    {
        var account = Account(Tokens(1000));
        var hold = Begin(account, prompt: 10);
        for (var i = 0; i < 500; i++) Assert.True(hold.TryTake());
        var others = Enumerable.Range(0, 20).Select(_ => Begin(account, prompt: 5)).ToList();
        Assert.All(others, other => Assert.True(other.TryTake(2)));
    }

    // T21, T22, T28, T29: any interleaving of admissions, tokens, ends and clocks.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Settled_and_held_never_exceed_a_limit(int seed)
    {
        var random = new Random(seed);
        var price = new ModelPrice([new PriceTier(0, 1_250_000, 125_000, 1_250_000, 10_000_000, 10_000_000), new PriceTier(200, 2_500_000, 250_000, 2_500_000, 15_000_000, 15_000_000)], 1000);
        _limiter.SetPrices(new PriceTable("1", new Dictionary<string, ModelPrice> { ["m"] = price, ["dear"] = new([new PriceTier(0, 9_000_000, 9_000_000, 9_000_000, 90_000_000, 90_000_000)]) }));
        var hub = new LimitOptions { Budgets = [new(BudgetUnit.Tokens, 60_000, BudgetPeriod.Day)] };
        var project = new ProjectOptions("p", new LimitOptions { Budgets = [new(BudgetUnit.NanoUsd, 200_000_000, BudgetPeriod.Hour)] });
        var accounts = Enumerable.Range(0, 4).Select(i => Account(
            new LimitOptions { Budgets = [new(BudgetUnit.Tokens, 20_000, BudgetPeriod.Hour), new(BudgetUnit.NanoUsd, 90_000_000, BudgetPeriod.Day)] }, $"k{i}", hub, project)).ToList();
        var live = new List<(Hold Hold, int Prompt, int Used)>();
        var ledger = new List<(Account Account, DateTimeOffset Began, long Tokens, long NanoUsd)>();
        for (var step = 0; step < 20_000; step++)
        {
            var what = random.Next(100);
            if (what < 8 && live.Count < 64)
            {
                var prompt = random.Next(300);
                if (_limiter.TryBegin(accounts[random.Next(4)], "m", prompt, random.Next(3) == 0 ? null : random.Next(1, 500), 1).Hold is { } hold)
                {
                    // The true prompt may be longer than its estimate, and then there may be no room.
                    var known = random.Next(2) == 0 ? prompt : prompt + random.Next(50);
                    if (hold.TryReserve(known, 1)) live.Add((hold, known, 1));
                    else hold.Settle(null, 0, 0, 0);
                }
            }
            else if (what < 10 && live.Count > 0)
            {
                live[random.Next(live.Count)].Hold.TrySetModel(random.Next(2) == 0 ? "dear" : "m");
            }
            else if (what == 10)
            {
                _clock.Advance(TimeSpan.FromSeconds(random.Next(1, 400)));
            }
            else if (live.Count > 0)
            {
                var i = random.Next(live.Count);
                var (hold, prompt, used) = live[i];
                var isOver = random.Next(15) == 0 || !hold.TryTake();
                if (!isOver)
                {
                    live[i] = (hold, prompt, used + 1);
                }
                else
                {
                    live.RemoveAt(i);
                    var usage = new AnswerUsage(prompt, random.Next(prompt + 1), used, random.Next(used + 1));
                    var nanoUsd = _limiter.PriceOf(hold.Model).Of(usage);
                    var charge = hold.Settle(usage, usage.TotalTokens, nanoUsd, 1);
                    Assert.Equal((nanoUsd, usage.TotalTokens), (charge.NanoUsd, charge.Usage.TotalTokens));
                    ledger.Add((hold.Account, charge.Began, usage.TotalTokens, nanoUsd));
                }
            }
            foreach (var meter in _limiter.Scopes.SelectMany(scope => scope.Meters)) Assert.True(meter.Settled + meter.Held <= meter.Limit, $"step {step}: {meter.Settled} + {meter.Held} > {meter.Limit}");
        }
        foreach (var (hold, _, _) in live) hold.Settle(null, 0, 0, 0);
        foreach (var scope in _limiter.Scopes)
        {
            Assert.Equal(0, scope.Running);
            foreach (var meter in scope.Meters)
            {
                meter.Roll(_clock.GetUtcNow());
                var rows = ledger.Where(row => row.Began >= meter.Window.Start && (scope.Kind != ScopeKind.Key || row.Account.Key == scope.Id)).ToList();
                Assert.Equal(meter.Options.Unit == BudgetUnit.Tokens ? rows.Sum(row => row.Tokens) : rows.Sum(row => row.NanoUsd), meter.Settled);
                Assert.Equal((0, 0L), (meter.HoldCount, meter.Held));
            }
        }
        Assert.True(ledger.Count > 200, "The run was too short to say anything.");
    }

    // T10, T16
    [Fact]
    public void A_spent_budget_is_new_in_the_next_window_without_any_job()
    {
        var account = Account(Tokens(100, BudgetPeriod.Hour));
        var hold = Begin(account, prompt: 90);
        hold.Settle(new AnswerUsage(90, 0, 10), 100, 0, 1);
        var error = Refused(account, prompt: 1);
        Assert.Equal((429, "insufficient_quota", false), (error.Status, error.Code, error.ShouldRetry));
        Assert.Null(error.RetryAfter);
        Assert.Contains("\"resets_at\":", error.Details, StringComparison.Ordinal);
        _clock.Advance(TimeSpan.FromMinutes(59.5));
        Assert.InRange(Refused(account, prompt: 1).RetryAfter!.Value, TimeSpan.FromSeconds(29), TimeSpan.FromSeconds(30));
        _clock.Advance(TimeSpan.FromHours(3));
        Begin(account, prompt: 1);
    }

    [Fact]
    public void A_stream_over_midnight_belongs_to_the_day_in_which_it_began()
    {
        var account = Account(Tokens(1000));
        var hold = Begin(account, prompt: 100);
        _clock.Advance(TimeSpan.FromHours(24));
        Assert.True(hold.TryTake(50));
        hold.Settle(new AnswerUsage(100, 0, 50), 150, 0, 1);
        Assert.Equal((0L, 0L), (_limiter.ViewBudgets(account)[0].Settled, _limiter.ViewBudgets(account)[0].Held));
    }

    // T25
    [Fact]
    public void What_not_even_an_untouched_window_has_room_for_is_no_matter_of_waiting()
    {
        var error = Refused(Account(Tokens(100)), prompt: 200);
        Assert.Equal((400, "budget_too_small"), (error.Status, error.Code));
    }

    // T83
    [Fact]
    public void A_lowered_limit_cuts_at_the_next_slice_and_a_raised_one_admits_at_once()
    {
        var hold = Begin(Account(Tokens(10_000)), prompt: 10);
        Assert.True(hold.TryTake(100));
        var account = Account(Tokens(150));
        Assert.False(Enumerable.Range(0, 200).All(_ => hold.TryTake()));
        Assert.Equal("key", hold.Cut!.Scope);
        Assert.NotNull(Refused(account, prompt: 100));
        Begin(Account(Tokens(100_000)), prompt: 100);
    }

    [Fact]
    public void A_top_up_admits_at_once_and_holds_until_it_is_taken_back()
    {
        var account = Account(Tokens(100));
        Begin(account, prompt: 99).Settle(new AnswerUsage(99, 0, 1), 100, 0, 1);
        Assert.NotNull(Refused(account, prompt: 10));
        _limiter.SetGrants((scope, _) => scope.Id == "k" ? 50 : 0);
        Begin(account, prompt: 10);
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(150, _limiter.ViewBudgets(account)[0].Limit);
        _limiter.SetGrants((_, _) => 0);
        Assert.Equal(100, _limiter.ViewBudgets(account)[0].Limit);
    }

    // T62: a limit that goes and comes back has forgotten nothing while the process lives; from a ledger, it is counted.
    [Fact]
    public void Another_amount_keeps_what_was_used_and_another_window_is_counted_from_the_ledger()
    {
        var account = Account(Tokens(100));
        Begin(account, prompt: 50).Settle(new AnswerUsage(50, 0, 0), 50, 0, 1);
        Assert.Equal(50, _limiter.ViewBudgets(Account(Tokens(1000)))[0].Settled);
        _limiter.CountSettled = (_, meter) => meter.Options.Per == BudgetPeriod.Week ? 77 : 0;
        Assert.Equal(77, _limiter.ViewBudgets(Account(Tokens(1000, BudgetPeriod.Week)))[0].Settled);
    }

    [Fact]
    public void While_the_ledger_cannot_be_counted_nobody_with_a_budget_is_let_in_and_then_the_count_holds()
    {
        _limiter.CountSettled = (_, _) => null;
        var account = Account(Tokens(100));
        Assert.Equal((503, "ledger_unavailable"), (Refused(account).Status, Refused(account).Code));
        _limiter.CountSettled = (_, _) => 77;
        Assert.Equal(77, _limiter.ViewBudgets(account)[0].Settled);
        Assert.Equal("insufficient_quota", _limiter.TryBegin(account, "m", 30, null, 1).Error!.Code);
    }

    [Fact]
    public void A_model_without_a_price_is_refused_where_dollars_are_counted()
    {
        var limits = new LimitOptions { Budgets = [new BudgetOptions(BudgetUnit.NanoUsd, 1_000_000_000, BudgetPeriod.Day)] };
        Assert.Equal((400, "model_unpriced"), (Refused(Account(limits)).Status, Refused(Account(limits)).Code));
        _limiter.SetPrices(new PriceTable("1", new Dictionary<string, ModelPrice> { ["m"] = ModelPrice.Free }));
        Begin(Account(limits), prompt: 1_000_000).Settle(new AnswerUsage(1_000_000, 0, 5), 1_000_005, 0, 1);
        Assert.Equal(0, _limiter.ViewBudgets(Account(limits))[0].Settled);
    }

    [Fact]
    public void What_nobody_has_priced_does_not_continue_an_answer_for_nothing()
    {
        var limits = new LimitOptions { Budgets = [new BudgetOptions(BudgetUnit.NanoUsd, 1_000_000_000, BudgetPeriod.Day)] };
        _limiter.SetPrices(new PriceTable("1", new Dictionary<string, ModelPrice> { ["m"] = ModelPrice.Free }));
        var hold = Begin(Account(limits));
        Assert.False(hold.TrySetModel("unpriced"));
        Assert.Equal("m", hold.Model);
    }

    [Fact]
    public void An_answer_that_another_model_could_not_continue_has_the_price_of_its_own()
    {
        _limiter.SetPrices(new PriceTable("1", new Dictionary<string, ModelPrice> { ["m"] = new([new PriceTier(0, 1000, 1000, 1000, 5000, 5000)]), ["free"] = ModelPrice.Free }));
        var hold = Begin(Account(Tokens(1000)));
        Assert.True(hold.TrySetModel("free"));
        hold.Return("m");
        Assert.Equal(("m", 15), (hold.Model, hold.Settle(new AnswerUsage(10, 0, 1), 11, 15, 1).NanoUsd));
    }

    [Fact]
    public void An_engine_that_makes_what_was_delivered_again_counts_it_once()
    {
        var account = Account(Tokens(100));
        var hold = Begin(account, prompt: 10);
        for (var i = 0; i < 40; i++) Assert.True(hold.TryTakePiece());
        hold.BeginAttempt();
        Assert.True(hold.TryReserve(10, 1));
        for (var i = 1; i < 90; i++) Assert.True(hold.TryTake());
        Assert.False(hold.TryTake());
    }

    [Fact]
    public void A_prompt_that_was_suspended_before_it_was_computed_is_held_when_it_is()
    {
        var account = Account(Tokens(1000));
        var hold = Begin(account, prompt: 900);
        hold.Settle(null, 0, 0, 0);
        _limiter.Continue(hold);
        Assert.Equal(900, _limiter.ViewBudgets(account)[0].Held);
    }

    [Fact]
    public void A_production_that_continues_is_charged_for_what_came_on_top()
    {
        var account = Account(Tokens(10_000));
        var hold = Begin(account, prompt: 100);
        Assert.True(hold.TryReserve(100, 1));
        hold.Settle(new AnswerUsage(100, 0, 20), 120, 0, 1);
        _limiter.Continue(hold);
        Assert.True(hold.TryReserve(100, 1));
        Assert.True(hold.TryTake(30));
        var charge = hold.Settle(new AnswerUsage(100, 100, 51), 31, 0, 1);
        Assert.Equal((0, 31), (charge.Usage.PromptTokens, charge.Usage.CompletionTokens));
        Assert.Equal(151, _limiter.ViewBudgets(account)[0].Settled);
    }

    [Fact]
    public void A_take_within_a_slice_allocates_nothing()
    {
        var hold = Begin(Account(Tokens(1_000_000_000)), prompt: 10);
        for (var i = 0; i < 1000; i++) hold.TryTake();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++) hold.TryTake();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
