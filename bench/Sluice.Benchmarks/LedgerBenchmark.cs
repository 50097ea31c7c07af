using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;
using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;

namespace Sluice.Benchmarks;

/// <summary>
/// What a ledger adds to the time from process start to ready: the program with an empty one, and with one of many keys with budgets and many rows, in
/// turn. The first round isn't counted. And what the limiter takes to let an answer in and out, and for a token, with limits of the hub, a project and a key.
/// </summary>
internal static class LedgerBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var program = arguments.Text("sluice", Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Sluice.Cli/release/sluice")));
        var (keys, rows, rounds) = (arguments.Number("keys", 10_000), arguments.Number("rows", 1_000_000), arguments.Number("rounds", 10));
        MeasureLimiter();
        var folder = Directory.CreateTempSubdirectory("sluice-ledger-").FullName;
        try
        {
            string[] names = ["empty", "full"];
            foreach (var name in names)
            {
                await File.WriteAllTextAsync(Path.Combine(folder, $"{name}.yaml"), $$"""
                    ledger: {path: {{name}}.db}
                    hub: {budget: {tokens: 1000000000000, per: month} }
                    projects: [{id: p0, budget: {tokens: 1000000000000, per: month} }]
                    keys: [{name: ci, key: sk-bench-0123456789, project: p0, budget: {tokens: 1000000000000, per: month} }]
                    models: [{id: elsewhere, upstreams: [{url: "http://127.0.0.1:9/v1"}]}]
                    """);
                // Makes the tables.
                _ = await TimeAsync(program, Path.Combine(folder, $"{name}.yaml"));
            }
            Fill(Path.Combine(folder, "full.db"), keys, rows);
            var times = names.ToDictionary(static name => name, static _ => new List<double>());
            for (var round = 0; round <= rounds; round++)
            {
                foreach (var name in names)
                {
                    var milliseconds = await TimeAsync(program, Path.Combine(folder, $"{name}.yaml"));
                    if (round > 0) times[name].Add(milliseconds);
                }
            }
            var size = new FileInfo(Path.Combine(folder, "full.db")).Length / 1e6;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{keys} keys with budgets, {rows} rows of attempts, {size:F0} MB"));
            foreach (var name in names)
            {
                var sorted = times[name].Order().ToList();
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: ready after {sorted[sorted.Count / 2]:F0} ms ({sorted[0]:F0} to {sorted[^1]:F0})"));
            }
            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void MeasureLimiter()
    {
        const int Answers = 1_000_000, Tokens = 100_000_000;
        var limits = new LimitOptions
        {
            RequestsPerMinute = int.MaxValue,
            TokensPerMinute = 1_000_000_000_000,
            Parallel = 1000,
            Budgets = [new(BudgetUnit.Tokens, 1_000_000_000_000_000, BudgetPeriod.Month)],
        };
        var limiter = new Limiter(TimeProvider.System, new RandomSource(1));
        var account = limiter.CreateAccount(new KeyOptions("k", "k") { Limits = limits, Project = "p" }, "k", [new ProjectOptions("p", limits)], limits);
        for (var round = 0; round < 4; round++)
        {
            var begin = Stopwatch.GetTimestamp();
            for (var i = 0; i < Answers; i++)
            {
                var (hold, error) = limiter.TryBegin(account, "m", 10, 100, 1);
                if (hold is null) throw new InvalidOperationException(error!.Message);
                hold.Settle(new AnswerUsage(10, 0, 20), 30, 0, 1);
            }
            var answers = Stopwatch.GetElapsedTime(begin);
            var (running, _) = limiter.TryBegin(account, "m", 10, null, 1);
            begin = Stopwatch.GetTimestamp();
            for (var i = 0; i < Tokens; i++) running!.TryTake();
            var tokens = Stopwatch.GetElapsedTime(begin);
            running!.Settle(null, 0, 0, 0);
            if (round == 0) continue;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"limiter: {answers.TotalNanoseconds / Answers:F0} ns to let an answer in and out, {tokens.TotalNanoseconds / Tokens:F2} ns for a token"));
        }
    }

    private static async Task<double> TimeAsync(string program, string configuration)
    {
        long begin = 0;
        await using var server = await MeasuredServer.StartAsync(
            port =>
            {
                begin = Stopwatch.GetTimestamp();
                return Peer.Start(program, "serve", "--config", configuration, "--urls", $"http://127.0.0.1:{port}");
            },
            "/readyz");
        return Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
    }

    // A month of requests, spread over all keys and ten projects, and the sums that follow from them.
    private static void Fill(string path, int keys, int rows)
    {
        using var connection = new SqliteConnection($"Data Source={path};Pooling=false");
        connection.Open();
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        foreach (var sql in (string[])
        [
            "pragma synchronous = off", "begin",
            $$"""
            with recursive n(i) as (select 0 union all select i + 1 from n where i < {{keys - 1}})
            insert into api_key (id, name, project, hash, last_four, created, limits)
            select printf('k%09d', i), 'key ' || i, 'p' || (i % 10), randomblob(32), 'abcd', i, '{"rpm":600,"budgets":[{"unit":"Tokens","amount":1000000000,"per":"Month"}]}' from n
            """,
            $"""
            with recursive n(i) as (select 0 union all select i + 1 from n where i < {rows - 1})
            insert into usage_attempt select printf('chatcmpl-%026d', i), 0, b, b + 1000, printf('k%09d', i % {keys}), 'p' || (i % {keys} % 10), 'm', 'u', 'answer', 100, 0, 0, 50, 0, 0, 150, 1500, 1500
            from (select i, {now} - i * 2592 as b from n)
            """,
            "insert into usage_hour select began / 3600000, key, project, model, count(*), sum(prompt), 0, 0, sum(output), 0, sum(charged_tokens), sum(charge_nusd), sum(prompt + output), sum(cost_nusd) from usage_attempt group by 1, 2, 3, 4",
            "insert into usage_day select hour / 24, project, sum(charged_tokens), sum(charge_nusd), sum(cost_tokens), sum(cost_nusd) from usage_hour group by 1, 2",
            """
            insert into usage_answer (id, revision, began, ended, key, project, model, served_by, door, ended_by, prompt, cached, cache_write, output, reasoning, is_estimated, price_version, charge_nusd, cost_nusd, tags)
            select answer, 2, began, ended, key, project, model, model, 'chat', 'completed', prompt, 0, 0, output, 0, 0, '1', charge_nusd, cost_nusd, '' from usage_attempt
            """,
            "commit", "pragma wal_checkpoint(truncate)",
        ])
        {
            using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Made of numbers.
            command.CommandText = sql;
#pragma warning restore CA2100
            command.ExecuteNonQuery();
        }
    }
}
