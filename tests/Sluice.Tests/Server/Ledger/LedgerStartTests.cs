using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Protocol.Answers;
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

    // T99: a start asks nothing for keys that nobody uses, and what a key has used is looked up once, when it is used first.
    [Fact]
    public void Ten_thousand_keys_with_budgets_are_counted_when_they_are_used()
    {
        var limiter = new Limiter(TimeProvider.System, new RandomSource(1));
        var counted = new List<string>();
        limiter.CountSettled = (scope, _) =>
        {
            counted.Add(scope.Id);
            return 7;
        };
        var limits = new StoredLimits { Budgets = [new StoredBudget(BudgetUnit.Tokens, 100, BudgetPeriod.Month, null), new StoredBudget(BudgetUnit.NanoUsd, 100, BudgetPeriod.Day, null)] };
        var ring = new KeyRing(limiter);
        ring.Load([.. Enumerable.Range(0, 10_000).Select(i => new KeyRow($"key_{i}", $"k{i}") { Hash = [1], LastFour = "abcd", Created = i, Limits = limits })], []);
        limiter.Recount();
        Assert.Empty(counted);
        var account = new Account("key_7", "", null, limiter.FindScopes("key_7", null));
        Assert.Equal([7L, 7L], limiter.ViewBudgets(account).Select(static view => view.Settled));
        Assert.Equal([7L, 7L], limiter.ViewBudgets(account).Select(static view => view.Settled));
        Assert.Equal(["key_7", "key_7"], counted);
    }

    // A file of before has sums of hours alone, and answers without the terms of their keys.
    [Fact]
    public void A_file_of_an_earlier_version_gets_its_sums_of_days()
    {
        var path = Path.Combine(_folder, "old.db");
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={path};Pooling=false"))
        {
            connection.Open();
            foreach (var sql in (string[])
            [
                $"pragma application_id = {LedgerSchema.ApplicationId}", .. LedgerSchema.Steps.Take(2), "pragma user_version = 2",
                "insert into usage_answer values ('a', 2, 7200000, 7300000, 'k', 'p', 'm', 'm', 'chat', 'completed', 10, 0, 0, 5, 0, 0, '1', 150, 160, '', null, '')",
                "insert into usage_attempt values ('a', 0, 7200000, 7300000, 'k', 'p', 'm', 'u', 'answer', 10, 0, 0, 5, 0, 0, 15, 150, 160)",
                "insert into usage_hour values (2, 'k', 'p', 'm', 1, 10, 0, 0, 5, 0, 15, 150, 15, 160)",
            ])
            {
                using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Of this test.
                command.CommandText = sql;
#pragma warning restore CA2100
                command.ExecuteNonQuery();
            }
        }
        using var file = new LedgerFile(path);
        Assert.Null(file.FindDifference());
        Assert.Equal((15L, 160L, 150L), (file.Count(null, "", 0, isMoney: false), file.Count(null, "", 0, isMoney: true), file.Count("project", "p", 0, isMoney: true)));
        Assert.Equal((null, false), (file.FindAnswer("a")!.PricedAs, file.FindAnswer("a")!.PaysAttempts));
    }

    // Sums of days and hours, rows of a part of an hour, and rows that wait: the count is that of the rows, from any moment on.
    [Fact]
    public async Task The_count_since_a_moment_is_the_sum_of_the_rows()
    {
        const long Hour = 3_600_000;
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        var random = new Random(3);
        var rows = new List<AttemptRow>();
        using var writer = new LedgerWriter(new LedgerFile(Path.Combine(_folder, "ledger.db")), isStrict: false, new Limits(), TimeProvider.System, NullLogger.Instance);
        for (var i = 0; i < 400; i++) Add(i);
        Assert.True(await writer.FlushAsync());
        for (var i = 400; i < 410; i++) Add(i);
        // A row that comes again with other amounts, from another day.
        Assert.True(await writer.FlushAsync());
        Add(7);
        Assert.True(await writer.FlushAsync());
        foreach (var (scope, id) in ((string?, string)[])[(null, ""), ("key", "k0"), ("key", "k2"), ("project", "p0"), ("project", "none")])
        {
            for (var tries = 0; tries < 40; tries++)
            {
                var since = tries switch { 0 => 0, 1 => now + 1, _ => now - random.NextInt64(40 * 24 * Hour) };
                // Midnight, in UTC and half an hour beside it.
                if (tries % 4 == 0) since = since / (24 * Hour) * 24 * Hour + (tries % 8 == 0 ? 0 : Hour / 2);
                var of = rows.Where(row => row.Began >= since && (scope switch { null => true, "key" => row.Key == id, _ => row.Project == id })).ToList();
                Assert.Equal(of.Sum(row => scope is null ? row.Usage.TotalTokens : row.ChargedTokens), writer.Count(scope, id, since, isMoney: false));
                Assert.Equal(of.Sum(row => scope is null ? row.CostNanoUsd : row.ChargeNanoUsd), writer.Count(scope, id, since, isMoney: true));
            }
        }
        using var file = new LedgerFile(Path.Combine(_folder, "ledger.db"));
        Assert.Null(file.FindDifference());

        void Add(int i)
        {
            var row = new AttemptRow($"a{i}", 0)
            {
                Began = now - random.NextInt64(40 * 24 * Hour),
                Ended = now,
                Key = $"k{i % 3}",
                Project = i % 5 == 0 ? null : $"p{i % 2}",
                Model = "m",
                Upstream = "u",
                Role = "answer",
                Usage = new AnswerUsage(i + 3, 0, 2),
                ChargedTokens = i + 1,
                ChargeNanoUsd = 1000 * i,
                CostNanoUsd = 1100 * i,
            };
            rows.RemoveAll(other => other.Answer == row.Answer);
            rows.Add(row);
            writer.Add(new LedgerEntry(
                new AnswerRow(row.Answer, i) { Began = row.Began, Ended = now, Key = row.Key, Model = "m", Door = "chat", PriceVersion = "1", ChargeNanoUsd = row.ChargeNanoUsd, CostNanoUsd = row.CostNanoUsd }, [row]));
        }
    }
}
