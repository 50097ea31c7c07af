using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Xunit;

namespace Sluice.Tests.Server.Ledger;

/// <summary>What a start reads of the ledger: not more questions for more keys.</summary>
public sealed class LedgerStartTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-start-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // T99
    [Fact]
    public void Ten_thousand_keys_with_budgets_are_counted_with_one_question_for_each_kind_of_window()
    {
        var limiter = new Limiter(TimeProvider.System, new RandomSource(1));
        var (single, all) = (0, 0);
        limiter.CountSettled = (_, _) => single++;
        limiter.CountSettledOfAll = (_, _, _) =>
        {
            all++;
            return new Dictionary<string, long> { ["key_7"] = 7 };
        };
        var limits = new StoredLimits { Budgets = [new StoredBudget(BudgetUnit.Tokens, 100, BudgetPeriod.Month, null), new StoredBudget(BudgetUnit.NanoUsd, 100, BudgetPeriod.Day, null)] };
        var ring = new KeyRing(limiter);
        ring.Load([.. Enumerable.Range(0, 10_000).Select(i => new KeyRow($"key_{i}", $"k{i}") { Hash = [1], LastFour = "abcd", Created = i, Limits = limits })], []);
        Assert.Equal((0, 2), (single, all));
        Assert.Equal([7L, 0L], ((string[])["key_7", "key_8"]).Select(id => limiter.Scopes.Single(scope => scope.Id == id).Meters[0].Settled));
        limiter.Recount();
        Assert.Equal((0, 4), (single, all));
    }

    // Both ways of counting agree, rows that wait included.
    [Fact]
    public async Task The_count_of_all_is_that_of_each()
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        using var writer = new LedgerWriter(new LedgerFile(Path.Combine(_folder, "ledger.db")), isStrict: false, new Limits(), TimeProvider.System, NullLogger.Instance);
        for (var i = 0; i < 60; i++) Add(i);
        Assert.True(await writer.FlushAsync());
        for (var i = 60; i < 70; i++) Add(i);
        foreach (var (scope, ids) in ((string, string[])[])[("key", ["k0", "k1", "k2", "none"]), ("project", ["p0", "p1", "none"])])
        {
            foreach (var isMoney in (bool[])[true, false])
            {
                foreach (var since in (long[])[0, now - 5 * 3_600_000, now - 90_000, now + 1])
                {
                    var all = writer.CountAll(scope, since, isMoney);
                    foreach (var id in ids) Assert.Equal(writer.Count(scope, id, since, isMoney), all.GetValueOrDefault(id));
                }
            }
        }

        void Add(int i) => writer.Add(new LedgerEntry(
            new AnswerRow($"a{i}", 1) { Began = now - i * 600_000, Ended = now, Key = $"k{i % 3}", Model = "m", Door = "chat", PriceVersion = "1" },
            [
                new AttemptRow($"a{i}", 0)
                {
                    Began = now - i * 600_000, Ended = now, Key = $"k{i % 3}", Project = i % 5 == 0 ? null : $"p{i % 2}", Model = "m", Upstream = "u",
                    Role = "answer", ChargedTokens = i + 1, ChargeNanoUsd = 1000 * i,
                },
            ]));
    }
}
