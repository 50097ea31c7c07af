using System.Text.Json;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Cluster;

/// <summary>A hub of several stops, or loses what it makes to another one, and its clients notice nothing.</summary>
public sealed class HandoverTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string TextOf(string body) => string.Concat(body.Split('\n')
        .Where(static line => line.StartsWith("data: {", StringComparison.Ordinal))
        .Select(static line => JsonDocument.Parse(line[6..]).RootElement.GetProperty("choices")[0].GetProperty("delta"))
        .Select(static delta => delta.TryGetProperty("content", out var content) ? content.GetString() : ""));

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

    [Fact]
    public async Task A_hub_that_is_told_to_stop_hands_its_streams_over_and_keeps_their_clients()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(0);
        var limits = ClusterOfHubs.Quick;
        await cluster.AddAsync(limits: limits, drain: TimeSpan.FromSeconds(60));
        await cluster.AddAsync();
        cluster.Script("go", static () =>
        {
            var script = new Script().Say("Hello world");
            for (var i = 0; i < 20; i++) script.Delay(TimeSpan.FromMilliseconds(50)).Say(" one two three");
            return script;
        });
        using var response = await cluster.PostAsync(0, ClusterOfHubs.Ask("go"));
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = await ReadAsync(reader, 3);
        var stopping = cluster.Hubs[0].StopAsync();
        text += await reader.ReadToEndAsync(Cancellation);
        Assert.Equal("Hello world" + string.Concat(Enumerable.Repeat(" one two three", 20)), TextOf(text));
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        await stopping;
        Assert.True(cluster.Hubs[1].ComputedTokenCount > 0);
        Assert.Equal("0", await cluster.Server.QueryAsync(cluster.Connection, "select count(*) from sluice.answer where end_kind is null"));
    }

    [Fact]
    public async Task What_another_hub_has_taken_over_is_read_on_from_there()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(2);
        var (before, after) = (new Gate(), new Gate());
        cluster.Hubs[0].Scripts["go"] = new Script().Say("Hello world").Wait(before).Say(" one two three");
        cluster.Hubs[1].Scripts["go"] = new Script().Say("Hello world").Wait(after).Say(" one two three");
        using var response = await cluster.PostAsync(0, ClusterOfHubs.Ask("go"));
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = await ReadAsync(reader, 3);
        // As if the first hub had slept for so long that the second one took it.
        while (await cluster.Server.QueryAsync(cluster.Connection, "select count(*) from sluice.request where progress is not null") != "1") await Task.Delay(20, Cancellation);
        var other = await cluster.Server.QueryAsync(cluster.Connection, "select id from sluice.node where id not in (select owner from sluice.answer)");
        await cluster.Server.QueryAsync(cluster.Connection, $"update sluice.answer set owner = null, epoch = epoch + 1 where id = '{id}'");
        before.Open();
        after.Open();
        using var resumed = await cluster[1].GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true", UriKind.Relative), Cancellation);
        Assert.Equal("Hello world one two three", TextOf(await resumed.Content.ReadAsStringAsync(Cancellation)));
        text += await reader.ReadToEndAsync(Cancellation);
        Assert.Equal("Hello world one two three", TextOf(text));
        Assert.NotEqual("", other);
    }

    [Fact]
    public async Task Streams_go_on_while_the_database_is_away_and_nothing_is_lost()
    {
        var server = await PostgresServer.CreateAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        await using var cluster = await ClusterOfHubs.StartAsync(2, own: server);
        var (first, second) = (new Gate(), new Gate());
        cluster.Script("go", () => new Script().Say("Hello world").Wait(first).Say(" one two").Wait(second).Say(" three four"));
        using var response = await cluster.PostAsync(0, ClusterOfHubs.Ask("go"));
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = await ReadAsync(reader, 3);
        await server.StopAsync();
        first.Open();
        text += await ReadAsync(reader, 1);
        // New ones are made too, and what runs at another hub is found by asking that.
        cluster.Script("new", static () => new Script().Say("fresh"));
        using (var fresh = await cluster.PostAsync(1, ClusterOfHubs.Ask("new"), ("Idempotency-Key", "k")))
            Assert.Equal("fresh", TextOf(await fresh.Content.ReadAsStringAsync(Cancellation)));
        using var joined = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), ("Last-Event-ID", $"{id}:4"));
        Assert.Equal(System.Net.HttpStatusCode.OK, joined.StatusCode);
        Assert.Contains("degraded", await WaitForAsync(cluster[0], "degraded"), StringComparison.Ordinal);
        await server.StartAsync();
        second.Open();
        text += await reader.ReadToEndAsync(Cancellation);
        Assert.Equal("Hello world one two three four", TextOf(text));
        Assert.EndsWith("three four", TextOf(await joined.Content.ReadAsStringAsync(Cancellation)), StringComparison.Ordinal);
        while (await server.QueryAsync(cluster.Connection, $"select count(*) from sluice.answer where id = '{id}' and end_kind = 0") != "1") await Task.Delay(50, Cancellation);
        using var again = await cluster[1].GetAsync(new Uri($"/v1/chat/completions/{id}?stream=true", UriKind.Relative), Cancellation);
        Assert.Equal("Hello world one two three four", TextOf(await again.Content.ReadAsStringAsync(Cancellation)));
    }

    [Theory]
    [InlineData("delete from sluice.event_run")]
    [InlineData("delete from sluice.answer; delete from sluice.request; delete from sluice.event_run; delete from sluice.key")]
    public async Task What_the_database_has_forgotten_it_gets_again(string forgets)
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("a"), ScriptedUpstream.Text("b")]) await reply.EventAsync(frame);
            await go.Task;
            foreach (var frame in (string[])[ScriptedUpstream.Text("c"), ScriptedUpstream.Finish(), "[DONE]"]) await reply.EventAsync(frame);
        });
        await using var cluster = await ClusterOfHubs.StartAsync(2, $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n");
        using var response = await cluster.PostAsync(0, ClusterOfHubs.Ask("hi", "m"), ("Idempotency-Key", "k"));
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        var text = await ReadAsync(reader, 3);
        while (await cluster.Server.QueryAsync(cluster.Connection, "select coalesce(sum(event_count), 0) >= 3 from sluice.event_run") != "t") await Task.Delay(20, Cancellation);
        await cluster.Server.QueryAsync(cluster.Connection, forgets);
        go.SetResult();
        text += await reader.ReadToEndAsync(Cancellation);
        Assert.Equal("abc", TextOf(text));
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
        while (await cluster.Server.QueryAsync(cluster.Connection, $"select count(*) from sluice.answer where id = '{id}' and end_kind = 0") != "1") await Task.Delay(20, Cancellation);
        using var again = await cluster.PostAsync(1, ClusterOfHubs.Ask("hi", "m"), ("Idempotency-Key", "k"));
        Assert.Equal("abc", TextOf(await again.Content.ReadAsStringAsync(Cancellation)));
        Assert.Single(upstream.Calls);
    }

    private static async Task<string> WaitForAsync(HttpClient http, string word)
    {
        while (true)
        {
            var health = await http.GetStringAsync(new Uri("/healthz", UriKind.Relative), Cancellation);
            if (health.Contains(word, StringComparison.Ordinal)) return health;
            await Task.Delay(20, Cancellation);
        }
    }
}
