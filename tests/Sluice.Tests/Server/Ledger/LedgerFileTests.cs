using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Xunit;

namespace Sluice.Tests.Server.Ledger;

/// <summary>The file of who used what: rows that come once, twice, in any order, and with every access failing once.</summary>
public sealed class LedgerFileTests : IDisposable
{
    private const long Hour = 3_600_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-ledger-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private LedgerFile Open(Action<string>? step = null, string name = "ledger.db") => new(Path.Combine(_folder, name), step: step);

    private static LedgerEntry Entry(string id, int revision = 1, long began = 10 * Hour, string key = "k", string? project = "p", int prompt = 10, int output = 5, long charge = 700)
    {
        var usage = new AnswerUsage(prompt, 0, output);
        return new LedgerEntry(
            new AnswerRow(id, revision)
            {
                Began = began,
                Ended = began + 5,
                Key = key,
                Project = project,
                Model = "m",
                ServedBy = "m",
                Door = "chat",
                EndedBy = "completed",
                Usage = usage,
                PriceVersion = "1",
                ChargeNanoUsd = charge,
                CostNanoUsd = charge,
            },
            [
                new AttemptRow(id, 0)
                {
                    Began = began, Ended = began + 5, Key = key, Project = project, Model = "m", Upstream = "u", Role = "answer", Usage = usage,
                    ChargedTokens = usage.TotalTokens, ChargeNanoUsd = charge, CostNanoUsd = charge,
                },
            ]);
    }

    // T35
    [Fact]
    public void A_row_that_comes_again_is_there_once_and_the_highest_revision_holds()
    {
        using var file = Open();
        LedgerEntry[] revisions = [Entry("a", 2, output: 9, charge: 900), Entry("a", 1), Entry("a", 2, output: 9, charge: 900)];
        foreach (var entry in revisions) file.Commit([entry]);
        Assert.Equal((1, 9, 900L), (file.CountRows().Answers, file.FindAnswer("a")!.Usage.CompletionTokens, file.FindAnswer("a")!.ChargeNanoUsd));
        Assert.Equal((1L, 1L), (file.CountRows().Answers, file.CountRows().Attempts));
        Assert.Equal(1, file.ReadUsage(0, 100 * Hour, ["key"]).Single().Requests);
    }

    // T49, T50
    [Fact]
    public void Every_sum_agrees_with_the_rows_at_any_boundary()
    {
        using var file = Open();
        var random = new Random(5);
        var entries = Enumerable.Range(0, 400).Select(i => Entry($"a{i}", began: 10 * Hour + random.NextInt64(48 * Hour), key: $"k{i % 3}", project: i % 2 == 0 ? "p" : null, prompt: random.Next(1000), output: random.Next(1000), charge: random.Next(100_000))).ToList();
        foreach (var chunk in entries.Chunk(37)) file.Commit(chunk);
        for (var i = 0; i < 50; i++)
        {
            var since = 9 * Hour + random.NextInt64(50 * Hour);
            var rows = entries.SelectMany(entry => entry.Attempts).Where(row => row.Began >= since).ToList();
            Assert.Equal(rows.Where(row => row.Key == "k1").Sum(row => row.ChargedTokens), file.Count("key", "k1", since, isMoney: false));
            Assert.Equal(rows.Where(row => row.Project == "p").Sum(row => row.ChargeNanoUsd), file.Count("project", "p", since, isMoney: true));
            Assert.Equal(rows.Sum(row => row.CostNanoUsd), file.Count(null, "", since, isMoney: true));
        }
        Assert.Null(file.FindDifference());
    }

    // T51, T52
    [Fact]
    public void A_commit_that_fails_at_any_access_can_be_repeated_and_counts_once()
    {
        for (var failing = 0; failing < 200; failing++)
        {
            var (count, name) = (0, $"ledger-{failing}.db");
            var hasFailed = false;
            using (var file = Open(_ =>
            {
                if (count++ != failing) return;
                hasFailed = true;
                throw new IOException("The disk fails.");
            }, name))
            {
                for (var i = 0; i < 2; i++)
                {
                    var batch = new[] { Entry($"a{i}"), Entry($"b{i}") };
                    try
                    {
                        file.Commit(batch);
                    }
                    catch (LedgerException)
                    {
                        file.Commit(batch);
                    }
                }
            }
            using var again = Open(name: name);
            Assert.Equal((4L, 4L), (again.CountRows().Answers, again.CountRows().Attempts));
            Assert.Equal(4 * 15, again.Count("key", "k", 0, isMoney: false));
            Assert.Null(again.FindDifference());
            if (!hasFailed) return;
        }
        Assert.Fail("There are more accesses than were made to fail.");
    }

    [Fact]
    public void A_sum_that_was_tampered_with_is_found()
    {
        using var file = Open();
        file.Commit([Entry("a")]);
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={file.Path};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "update usage_hour set charge_nusd = charge_nusd - 1";
            command.ExecuteNonQuery();
        }
        Assert.Contains("-1 nano-dollars charged", file.FindDifference(), StringComparison.Ordinal);
    }

    [Fact]
    public void Old_rows_go_and_their_sums_stay()
    {
        using var file = Open();
        file.Commit([.. Enumerable.Range(0, 1200).Select(i => Entry($"a{i:0000}", began: i * Hour))]);
        var before = file.Count("key", "k", 0, isMoney: false);
        while (file.Sweep(1000 * Hour, 800 * Hour))
        {
        }
        Assert.Equal((400L, 200L), (file.CountRows().Answers, file.CountRows().Attempts));
        Assert.Equal(before, file.Count("key", "k", 0, isMoney: false));
        Assert.Null(file.FindDifference());
    }

    [Fact]
    public void Two_processes_share_the_file_and_learn_of_changes()
    {
        using var hub = Open();
        using var command = Open();
        var version = hub.ReadVersion();
        hub.Commit([Entry("a")]);
        Assert.Equal(version, hub.ReadVersion());
        command.PutKey(
            new KeyRow("key_1", "ci") { Hash = [1], LastFour = "abcd", Created = 1, Limits = new StoredLimits { Rpm = 5, Budgets = [new(BudgetUnit.NanoUsd, 5_000_000_000, BudgetPeriod.Day, "Europe/Berlin")] } },
            new AuditRow(1, "user:a", "key.create", "key_1", null, "{}"));
        Assert.NotEqual(version, hub.ReadVersion());
        var key = hub.FindKey("ci")!;
        Assert.Equal((5, 5_000_000_000L, "Europe/Berlin"), (key.Limits.Rpm, key.Limits.Budgets[0].Amount, key.Limits.Budgets[0].ToOptions().Zone.Id));
        Assert.Single(hub.ReadAudit(0));
    }

    [Fact]
    public void The_file_is_its_users_alone_and_another_programs_file_is_left_alone()
    {
        using (var file = Open()) file.Open();
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "ledger.db")));
        var other = Path.Combine(_folder, "other.db");
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={other};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "create table t (x); pragma application_id = 1";
            command.ExecuteNonQuery();
        }
        using var foreign = new LedgerFile(other);
        Assert.Contains("another program", Assert.Throws<LedgerException>(foreign.Open).Message, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(_folder, "text.db"), string.Concat(Enumerable.Repeat("not a database at all ", 100)));
        using var text = Open(name: "text.db");
        Assert.Contains("damaged", Assert.Throws<LedgerException>(text.Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_connection_of_its_own_that_is_new_may_have_missed_a_change()
    {
        var fails = false;
        using var hub = Open(_ =>
        {
            if (fails) throw new IOException("The disk fails.");
        });
        hub.Commit([Entry("a")]);
        var version = hub.ReadVersion();
        fails = true;
        Assert.Throws<LedgerException>(() => hub.Commit([Entry("b")]));
        fails = false;
        using (var command = Open()) command.PutProject("p", new StoredLimits(), new AuditRow(1, "user", "project.create", "p", null, null));
        Assert.NotEqual(version, hub.ReadVersion());
    }

    [Fact]
    public void A_file_that_is_gone_is_not_begun_anew()
    {
        using var hub = Open();
        hub.Open();
        hub.Dispose();
        foreach (var file in Directory.GetFiles(_folder)) File.Delete(file);
        Assert.Contains("is gone", Assert.Throws<LedgerException>(hub.Open).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void A_revocation_is_not_undone_by_a_change_that_was_begun_before_it()
    {
        using var file = Open();
        var key = new KeyRow("key_1", "ci") { Hash = [1], LastFour = "abcd", Created = 1 };
        file.PutKey(key with { Revoked = 5 }, new AuditRow(1, "a", "key.revoke", "key_1", null, null));
        file.PutKey(key with { LastFour = "efgh" }, new AuditRow(2, "b", "key.update", "key_1", null, null));
        Assert.Equal((5L, "efgh"), (file.FindKey("ci")!.Revoked, file.FindKey("ci")!.LastFour));
    }

    [Fact]
    public void A_key_of_ours_names_itself_and_shows_a_slip()
    {
        var id = IssuedKey.CreateId();
        var key = IssuedKey.Create(id);
        Assert.Equal(66, key.Length);
        Assert.Equal(id, IssuedKey.FindId(key));
        for (var i = 0; i < key.Length; i++)
        {
            var slip = key[..i] + (key[i] == 'x' ? 'y' : 'x') + key[(i + 1)..];
            Assert.Null(IssuedKey.FindId(slip));
        }
    }
}
