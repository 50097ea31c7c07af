using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Protocol.Answers;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Prices;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>What can be set of budgets beside their amounts.</summary>
public sealed class BudgetOptionTests : IDisposable
{
    private const string Prices = "version: 1\nmodels: {m: {input: 1000, output: 1000}, cheap: {input: 1, output: 1}}";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-options-").FullName;
    private readonly ManualTimeProvider _clock = new();
    private readonly Limiter _limiter;

    public BudgetOptionTests() => _limiter = new Limiter(_clock, new RandomSource(1));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Account Account(KeyOptions key, params BudgetOptions[] budgets) =>
        _limiter.CreateAccount(key with { Limits = new LimitOptions { Budgets = budgets } }, key.Id, [], LimitOptions.None);

    private static BudgetOptions Tokens(long amount, int? warn = null) => new(BudgetUnit.Tokens, amount, BudgetPeriod.Day) { WarnPercent = warn };

    // T05
    [Fact]
    public void A_warning_comes_once_in_a_window_and_not_before_its_share()
    {
        var warnings = new List<string>();
        _limiter.Warned = (scope, meter) => warnings.Add($"{scope.Word} {scope.Id} {meter.Settled}");
        var account = Account(new KeyOptions("k", "k"), Tokens(1000, 80));
        Use(799);
        Assert.Empty(warnings);
        Assert.Null(_limiter.View(account).Warning);
        Use(1);
        Use(50);
        Assert.Equal(["key k 800"], warnings);
        Assert.Equal(850, _limiter.View(account).Warning!.Value.Settled);
        _clock.Advance(TimeSpan.FromDays(1));
        Assert.Null(_limiter.View(account).Warning);
        Use(900);
        Assert.Equal(2, warnings.Count);

        void Use(int tokens)
        {
            var (hold, error) = _limiter.TryBegin(account, "m", 0, 1, 1);
            Assert.Null(error);
            hold!.Settle(new AnswerUsage(tokens, 0, 0), tokens, 0, 1);
        }
    }

    // T24
    [Fact]
    public void A_key_that_holds_whole_answers_refuses_early_and_is_never_exceeded()
    {
        var account = Account(new KeyOptions("k", "k") { HoldsWhole = true }, Tokens(1000));
        Assert.Equal("max_tokens_required", _limiter.TryBegin(account, "m", 100, null, 1).Error!.Code);
        var (first, _) = _limiter.TryBegin(account, "m", 100, 500, 1);
        Assert.Equal(600, _limiter.View(account).Budget!.Value.Held);
        Assert.Equal("budget_in_flight", _limiter.TryBegin(account, "m", 100, 500, 1).Error!.Code);
        for (var i = 0; i < 500; i++) Assert.True(first!.TryTake());
        Assert.Equal(600, _limiter.View(account).Budget!.Value.Held);
        // All of it was reasoning that nobody saw.
        first!.Settle(new AnswerUsage(100, 0, 500, 500), 600, 0, 1);
        Assert.Equal((600, 0), (_limiter.View(account).Budget!.Value.Settled, _limiter.View(account).Budget!.Value.Held));
    }

    [Fact]
    public void What_a_model_thinks_unseen_is_held_beside_what_is_seen()
    {
        _limiter.SetPrices(new PriceTable("1", new Dictionary<string, ModelPrice> { ["m"] = new([new PriceTier(0, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)]) }));
        var account = Account(new KeyOptions("k", "k"), Tokens(1000), new BudgetOptions(BudgetUnit.NanoUsd, 1_000_000, BudgetPeriod.Day));
        var (hold, _) = _limiter.TryBegin(account, "m", 100, null, 1, unseenTokens: 400);
        Assert.Equal(501, _limiter.View(account).Budget!.Value.Held);
        var count = 0;
        while (hold!.TryTake()) count++;
        // The last 400 stay for what is not seen.
        Assert.Equal(500, count);
        hold.Settle(new AnswerUsage(100, 0, 900, 400), 1000, 1_000_000, 1);
        Assert.All(_limiter.ViewBudgets(account), budget => Assert.Equal((0, 0), (budget.Remaining, budget.Held)));
    }

    // T81
    [Theory]
    [InlineData(150, false)]
    [InlineData(300, true)]
    public void A_hedge_begins_only_where_the_hub_has_room_for_its_prompt(long budget, bool begins)
    {
        var account = _limiter.CreateAccount(
            new KeyOptions("k", "k") { Limits = new LimitOptions { Budgets = [Tokens(105)] } }, "k", [], new LimitOptions { Budgets = [Tokens(budget)] });
        var (hold, _) = _limiter.TryBegin(account, "m", 100, null, 1);
        Assert.Equal(begins, hold!.TryHoldHedge());
        Assert.Equal([begins ? 202L : 101L, 101L], _limiter.ViewBudgets(account).Select(view => view.Held));
        hold.Settle(new AnswerUsage(100, 0, 5), begins ? 200 : 105, 0, 1);
        Assert.All(_limiter.ViewBudgets(account), view => Assert.Equal(0, view.Held));
    }

    private Task<UpstreamHub> StartAsync(string models, string keys)
    {
        File.WriteAllText(Path.Combine(_folder, "prices.yaml"), Prices);
        var options = ConfigurationFile.Parse($"prices: {Path.Combine(_folder, "prices.yaml")}\nmodels:\n{models}ledger: {{path: {LedgerPath}}}\nkeys:\n{keys}", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(models, configure: parsed => parsed with { Keys = options.Keys, Ledger = options.Ledger, Prices = options.Prices });
    }

    private async Task<UsageSum> SumAsync(UpstreamHub hub, string model)
    {
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var file = new LedgerFile(LedgerPath);
        Assert.Null(file.FindDifference());
        return file.ReadUsage(0, long.MaxValue / 2, ["model"]).Single(sum => sum.Keys[0] == model);
    }

    private static Func<UpstreamReply, Task> Usage(int prompt, int output) => async reply =>
    {
        await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}""");
        await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
        await reply.EventAsync($$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":{{{prompt}}},"completion_tokens":{{{output}}},"total_tokens":{{{prompt + output}}}}}""");
        await reply.EventAsync("[DONE]");
    };

    private static async Task AskAsync(UpstreamHub hub)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask("m", true, ""), Cancellation, [("Authorization", "Bearer k1")]);
        await UpstreamHub.EventsAsync(response);
    }

    [Theory]
    [InlineData("served", 23_000L)]
    [InlineData("asked", 23_000_000L)]
    public async Task An_answer_of_a_fallback_has_the_price_that_its_key_says(string price, long charge)
    {
        await using var broken = await ScriptedUpstream.StartAsync(reply =>
        {
            reply.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        await using var cheap = await ScriptedUpstream.StartAsync(Usage(20, 3));
        var models = UpstreamHub.Model("m", broken) + "    retries: 0\n    fallbacks: [cheap]\n" + UpstreamHub.Model("cheap", cheap);
        await using var hub = await StartAsync(models, $"  - {{name: k1, key: k1, price_as: {price}, budget: {{usd: 5, per: day}}}}\n");
        await AskAsync(hub);
        var sum = await SumAsync(hub, "cheap");
        Assert.Equal((charge, 23_000L), (sum.ChargeNanoUsd, sum.CostNanoUsd));
    }

    [Theory]
    [InlineData("answer", 23_000_000L)]
    [InlineData("cost", 44_000_000L)]
    public async Task A_key_pays_for_a_lost_attempt_only_where_it_is_said(string charge, long expected)
    {
        var count = 0;
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            if (Interlocked.Increment(ref count) > 1)
            {
                await Usage(20, 3)(reply);
                return;
            }
            // Breaks off, with usage of 21 stated, and is made again.
            await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":20,"completion_tokens":1,"total_tokens":21}}""");
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), $"  - {{name: k1, key: k1, charge: {charge}, budget: {{usd: 5, per: day}}}}\n");
        await AskAsync(hub);
        var sum = await SumAsync(hub, "m");
        Assert.Equal((expected, 44_000_000L), (sum.ChargeNanoUsd, sum.CostNanoUsd));
        var limiter = hub.Services.GetRequiredService<Limiter>();
        lock (limiter.Lock) Assert.Equal(expected, limiter.Scopes.Single(scope => scope.Id == "k1").Meters[0].Settled);
    }

    // T91
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task While_the_ledger_fails_rows_wait_up_to_a_bound_and_come_in_exactly(bool open)
    {
        var limits = new Limits { LedgerPendingMax = 5 };
        var fails = true;
        var file = new LedgerFile(LedgerPath, step: _ =>
        {
            if (fails) throw new IOException("no");
        });
        using var ledger = new LedgerWriter(file, isStrict: false, limits, _clock, NullLogger.Instance) { ServesUnwritten = open };
        var accounting = new AnswerAccounting(ledger, _limiter, _clock);
        ledger.Add(new LedgerEntry(Row("first", 1, null), []));
        Assert.False(await ledger.FlushAsync());
        for (var i = 0; i < 100; i++)
        {
            ledger.Add(new LedgerEntry(Row($"a{i}", 1, null), []));
            ledger.Add(new LedgerEntry(Row($"a{i}", 2, 5), [new AttemptRow($"a{i}", 0) { Began = 1, Ended = 5, Key = "k", Model = "m", Upstream = "u", Role = "answer", ChargedTokens = 1 }]));
        }
        Assert.Equal((50, !open), (ledger.Pending, accounting.IsFull));
        fails = false;
        Assert.True(await ledger.FlushAsync());
        using var reader = new LedgerFile(LedgerPath);
        Assert.Equal((50, 49), reader.CountRows());
        Assert.Null(reader.FindDifference());

        static AnswerRow Row(string id, int revision, long? ended) =>
            new(id, revision) { Began = 1, Ended = ended, Key = "k", Model = "m", Door = "chat", PriceVersion = "1" };
    }

    [Theory]
    [InlineData("keys: [{name: a, key: k, hold: half}]", "'half' is not a valid value of 'hold'; allowed here: slice, full")]
    [InlineData("keys: [{name: a, key: k, charge: x}]", "'x' is not a valid value of 'charge'; allowed here: answer, cost")]
    [InlineData("keys: [{name: a, key: k, price_as: x}]", "'x' is not a valid value of 'price_as'; allowed here: served, asked")]
    [InlineData("hub: {budget: {tokens: 5, per: day, warn: 100%}}", "'100%' is not a valid value of 'warn'; expected 1% to 99%")]
    [InlineData("ledger: {budget_fail: x}", "'x' is not a valid value of 'budget_fail'; allowed here: closed, open")]
    [InlineData("models: [{id: a, gguf: a.gguf, reasoning_hold: 5}]", "'reasoning_hold' applies to upstreams, and this model has none")]
    public void What_is_misspelt_is_an_error(string yaml, string error)
    {
        var exception = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse(yaml, "sluice.yaml", _ => null));
        Assert.Contains(error, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_option_is_read()
    {
        var options = ConfigurationFile.Parse(
            "ledger: {budget_fail: open}\nkeys: [{name: a, key: k, hold: full, charge: cost, price_as: asked, on_exhausted: suspend, budget: {tokens: 5, per: day, warn: 80%}}]\n"
            + "models: [{id: m, reasoning_hold: 4000, upstreams: [{url: \"http://a/v1\"}]}]", "sluice.yaml", _ => null);
        var key = options.Keys[0];
        Assert.Equal((true, true, true, true), (options.Ledger!.ServesUnwritten, key.HoldsWhole, key.PaysAttempts, key.PaysAsAsked));
        Assert.Equal((ExhaustedPolicy.Suspend, 80, 4000), (key.OnExhausted, key.Limits.Budgets[0].WarnPercent, options.Models![0].ReasoningHold));
    }
}
