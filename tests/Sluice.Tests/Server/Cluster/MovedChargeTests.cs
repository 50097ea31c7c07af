using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Cluster;

/// <summary>An answer that changes hubs is charged once, whole, over the ledgers of both.</summary>
public sealed class MovedChargeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-moved-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string PathOf(int hub) => Path.Combine(_folder, $"ledger{hub}.db");

    private Task<int> AddAsync(ClusterOfHubs cluster, int number, string budget = "", TimeSpan? drain = null)
    {
        var prices = Path.Combine(_folder, "prices.yaml");
        File.WriteAllText(prices, "version: 1\nmodels: {scripted: {input: 1000, output: 1000}}");
        var options = ConfigurationFile.Parse(
            $"prices: {prices}\nledger: {{path: {PathOf(number)}}}\nkeys: [{{name: ci, key: sk-ci{budget}}}]\n", "sluice.yaml", _ => null);
        return cluster.AddAsync(drain: drain, configure: configuration => configuration with { Keys = options.Keys, Ledger = options.Ledger, Prices = options.Prices });
    }

    private static Task<HttpResponseMessage> AskAsync(ClusterOfHubs cluster, int hub, string more = "") => cluster.PostAsync(
        hub, $$"""{"model":"scripted","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"go"}]{{more}}}""",
        ("Authorization", "Bearer sk-ci"));

    private static async Task<string> ReadAsync(StreamReader reader, int count)
    {
        var text = "";
        while (count > 0 && await reader.ReadLineAsync(Cancellation) is { } line)
        {
            text += line + "\n";
            if (line.StartsWith("data: ", StringComparison.Ordinal)) count--;
        }
        return text;
    }

    private static (int Prompt, int Output) UsageOf(string body)
    {
        var last = body.Split('\n').Last(static line => line.StartsWith("data: {", StringComparison.Ordinal) && line.Contains("\"usage\":{", StringComparison.Ordinal));
        var usage = JsonDocument.Parse(last[6..]).RootElement.GetProperty("usage");
        return (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32());
    }

    private UsageSum SumOf(int hub, out string? difference, out AnswerRow row)
    {
        using var file = new LedgerFile(PathOf(hub));
        difference = file.FindDifference();
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={PathOf(hub)};Mode=ReadOnly;Pooling=false");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select id from usage_answer";
        row = command.ExecuteScalar() is string id ? file.FindAnswer(id)! : new AnswerRow("", 0) { Began = 0, Key = "", Model = "", Door = "", PriceVersion = "" };
        return file.ReadUsage(0, long.MaxValue / 2, []).SingleOrDefault() ?? new UsageSum([]);
    }

    private static Task<bool> FlushAsync(TestHub hub) => hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();

    [Fact]
    public async Task A_handed_over_answer_is_settled_in_part_by_each_hub()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(0);
        await AddAsync(cluster, 0, drain: TimeSpan.FromSeconds(60));
        await AddAsync(cluster, 1);
        cluster.Script("go", static () =>
        {
            var script = new Script().Say("Hello world");
            for (var i = 0; i < 20; i++) script.Delay(TimeSpan.FromMilliseconds(50)).Say(" one two three");
            return script;
        });
        using var response = await AskAsync(cluster, 0, ",\"user\":\"alice\"");
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = await ReadAsync(reader, 3);
        var stopping = cluster.Hubs[0].StopAsync();
        text += await reader.ReadToEndAsync(Cancellation);
        var usage = UsageOf(text);
        await stopping;
        await cluster.Hubs[1].Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        await FlushAsync(cluster.Hubs[1]);
        var (first, second) = (SumOf(0, out var firstDifference, out _), SumOf(1, out var secondDifference, out var row));
        Assert.Equal((null, null), (firstDifference, secondDifference));
        Assert.Equal((usage.Prompt, usage.Output), ((int)(first.Prompt + second.Prompt), (int)(first.Output + second.Output)));
        Assert.Equal((usage.Prompt + usage.Output) * 1_000_000L, first.ChargeNanoUsd + second.ChargeNanoUsd);
        Assert.True(first.Output > 0 && second.Output > 0);
        Assert.Equal(("completed", true), (row.EndedBy, row.Subject is not null));
        // The hub of before comes back with its ledger: its row says where the rest is, and the answer is one request.
        await cluster.DropAsync(0);
        await AddAsync(cluster, 0);
        await WaitForAsync(() => SumOf(0, out _, out var moved).Requests == 0 && moved.EndedBy == "moved");
        Assert.Equal(1, SumOf(0, out firstDifference, out _).Requests + SumOf(1, out _, out _).Requests);
        Assert.Null(firstDifference);
        Assert.Equal(first.ChargeNanoUsd, SumOf(0, out _, out _).ChargeNanoUsd);
    }

    private static async Task WaitForAsync(Func<bool> isSo)
    {
        var patience = System.Diagnostics.Stopwatch.StartNew();
        while (!isSo())
        {
            if (patience.Elapsed > TimeSpan.FromSeconds(20)) throw new TimeoutException("It does not come.");
            await Task.Delay(30, Cancellation);
        }
    }

    [Fact]
    public async Task What_another_hub_has_taken_from_one_that_slept_is_settled_there_and_nothing_of_it_here()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(0);
        const string Budget = ", budget: {tokens: 100000, per: month}";
        await AddAsync(cluster, 0, Budget);
        await AddAsync(cluster, 1, Budget);
        var (before, after) = (new Gate(), new Gate());
        cluster.Hubs[0].Scripts["go"] = new Script().Say("Hello world").Wait(before).Say(" one two three");
        cluster.Hubs[1].Scripts["go"] = new Script().Say("Hello world").Wait(after).Say(" one two three");
        using var response = await AskAsync(cluster, 0);
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = await ReadAsync(reader, 3);
        while (await cluster.Server.QueryAsync(cluster.Connection, "select count(*) from sluice.request where progress is not null") != "1") await Task.Delay(20, Cancellation);
        await cluster.Server.QueryAsync(cluster.Connection, $"update sluice.answer set owner = null, epoch = epoch + 1 where id = '{id}'");
        before.Open();
        after.Open();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/chat/completions/{id}?stream=true");
        request.Headers.Add("Authorization", "Bearer sk-ci");
        using var resumed = await cluster[1].SendAsync(request, Cancellation);
        await resumed.Content.ReadAsStringAsync(Cancellation);
        text += await reader.ReadToEndAsync(Cancellation);
        var usage = UsageOf(text);
        await FlushAsync(cluster.Hubs[1]);
        await WaitForAsync(() => SumOf(0, out _, out var moved) is { Output: 0, Requests: 0 } && moved.EndedBy == "moved");
        var (first, second) = (SumOf(0, out var firstDifference, out _), SumOf(1, out var secondDifference, out var row));
        Assert.Equal((null, null, "completed"), (firstDifference, secondDifference, row.EndedBy));
        Assert.Equal((0L, 0L), (first.Prompt, first.ChargeNanoUsd));
        Assert.Equal((usage.Prompt, usage.Output, 1), ((int)second.Prompt, (int)second.Output, (int)second.Requests));
        // The meters say what the ledgers say, and nothing is held.
        foreach (var (hub, used) in ((TestHub, int)[])[(cluster.Hubs[0], 0), (cluster.Hubs[1], usage.Prompt + usage.Output)])
        {
            var meter = hub.Services.GetRequiredService<Limiter>().Scopes.Single().Meters.Single();
            await WaitForAsync(() => (meter.Settled, meter.Held, meter.HoldCount) == (used, 0L, 0));
        }
        while (await cluster.Server.QueryAsync(cluster.Connection, "select count(*) from sluice.moved") != "0") await Task.Delay(30, Cancellation);
    }

    [Fact]
    public async Task What_is_taken_over_is_held_to_the_budget_of_its_key()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(0);
        await AddAsync(cluster, 0);
        await AddAsync(cluster, 1, ", budget: {tokens: 40, per: month}");
        var (before, after) = (new Gate(), new Gate());
        cluster.Hubs[0].Scripts["go"] = new Script().Say("Hello world").Wait(before).Say(" one");
        var long1 = new Script().Say("Hello world").Wait(after);
        for (var i = 0; i < 40; i++) long1.Say(" one two three");
        cluster.Hubs[1].Scripts["go"] = long1;
        using var response = await AskAsync(cluster, 0);
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        await ReadAsync(reader, 3);
        while (await cluster.Server.QueryAsync(cluster.Connection, "select count(*) from sluice.request where progress is not null") != "1") await Task.Delay(20, Cancellation);
        await cluster.Server.QueryAsync(cluster.Connection, $"update sluice.answer set owner = null, epoch = epoch + 1 where id = '{id}'");
        after.Open();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/chat/completions/{id}?stream=true");
        request.Headers.Add("Authorization", "Bearer sk-ci");
        using var resumed = await cluster[1].SendAsync(request, Cancellation);
        var body = await resumed.Content.ReadAsStringAsync(Cancellation);
        before.Open();
        Assert.Contains("\"limit\":\"budget\"", body, StringComparison.Ordinal);
        Assert.Contains("\"finish_reason\":\"length\"", body, StringComparison.Ordinal);
        await FlushAsync(cluster.Hubs[1]);
        var sum = SumOf(1, out _, out var row);
        Assert.Equal(("budget", 40L), (row.EndedBy, sum.Prompt + sum.Output));
    }
}
