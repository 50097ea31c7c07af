using System.Net;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Cluster;

/// <summary>What one hub makes, another one serves: two or three whole hubs and one database.</summary>
public sealed class SharedAnswerTests
{
    private const string Key = "Idempotency-Key";
    private const string Cursor = "Last-Event-ID";
    private const string IdHeader = "Sluice-Stream-Id";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static Uri UriOf(string id, string rest = "") => new($"/v1/chat/completions/{id}{rest}", UriKind.Relative);

    private static async Task<List<string>> ReadEventsAsync(StreamReader reader, int count)
    {
        var events = new List<string>();
        while (events.Count < count && await reader.ReadLineAsync(Cancellation) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal)) events.Add(line);
        }
        return events;
    }

    private static async Task<(int Status, string? Code)> RefusalAsync(HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation));
        return ((int)response.StatusCode, document.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    private static string TextOf(string body) => string.Concat(body.Split('\n')
        .Where(static line => line.StartsWith("data: {", StringComparison.Ordinal))
        .Select(static line => JsonDocument.Parse(line[6..]).RootElement.GetProperty("choices"))
        .Where(static choices => choices.GetArrayLength() > 0 && choices[0].GetProperty("delta").TryGetProperty("content", out _))
        .Select(static choices => choices[0].GetProperty("delta").GetProperty("content").GetString()));

    [Fact]
    public async Task A_running_answer_is_joined_resumed_and_looked_at_at_any_hub_byte_by_byte()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(3);
        var gate = new Gate();
        cluster.Script("go", () => new Script().Say("Hello world").Wait(gate).Say(" one two three"));
        using var first = await cluster.PostAsync(0, ClusterOfHubs.Ask("go"), (Key, "k"));
        var id = first.Headers.GetValues(IdHeader).Single();
        using var reader = new StreamReader(await first.Content.ReadAsStreamAsync(Cancellation));
        var seen = await ReadEventsAsync(reader, 3);

        using var joined = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), (Key, "k"));
        Assert.Equal((HttpStatusCode.OK, id, "joined"), (joined.StatusCode, joined.Headers.GetValues(IdHeader).Single(), joined.Headers.GetValues("Sluice-Stream-Attempt").Single()));
        using var resumed = await cluster.PostAsync(2, ClusterOfHubs.Ask("go"), (Cursor, $"{id}:2"));
        Assert.Equal(HttpStatusCode.OK, resumed.StatusCode);
        using var looked = JsonDocument.Parse(await cluster[2].GetStringAsync(UriOf(id), Cancellation));
        Assert.Equal("running", looked.RootElement.GetProperty("sluice").GetProperty("state").GetString());
        Assert.StartsWith("Hello", looked.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);

        gate.Open();
        var whole = string.Join('\n', seen) + "\n" + await reader.ReadToEndAsync(Cancellation);
        Assert.Equal("Hello world one two three", TextOf(whole));
        var elsewhere = await joined.Content.ReadAsStringAsync(Cancellation);
        Assert.Equal(whole.Split('\n').Where(static line => line.StartsWith("data: ", StringComparison.Ordinal)), elsewhere.Split('\n').Where(static line => line.StartsWith("data: ", StringComparison.Ordinal)));
        var events = elsewhere.Split("\n\n");
        Assert.Equal(string.Join("\n\n", events.Skip(2)).Split('\n').Where(static line => line.StartsWith("data: ", StringComparison.Ordinal)), (await resumed.Content.ReadAsStringAsync(Cancellation)).Split('\n').Where(static line => line.StartsWith("data: ", StringComparison.Ordinal)));

        // It has ended, and is the same everywhere; also where nobody has read it before.
        foreach (var hub in (int[])[0, 1, 2])
        {
            using var replayed = await cluster.PostAsync(hub, ClusterOfHubs.Ask("go"), (Key, "k"));
            Assert.Equal(elsewhere, await replayed.Content.ReadAsStringAsync(Cancellation));
            using var json = JsonDocument.Parse(await cluster[hub].GetStringAsync(UriOf(id), Cancellation));
            Assert.Equal("completed", json.RootElement.GetProperty("sluice").GetProperty("state").GetString());
            using var beyond = await cluster.PostAsync(hub, ClusterOfHubs.Ask("go"), (Cursor, $"{id}:1000"));
            Assert.Equal((400, "invalid_cursor"), await RefusalAsync(beyond));
            using var other = await cluster.PostAsync(hub, ClusterOfHubs.Ask("other"), (Key, "k"));
            Assert.Equal((422, "idempotency_key_reuse"), await RefusalAsync(other));
            using var unknown = await cluster[hub].GetAsync(UriOf("chatcmpl-unknown"), Cancellation);
            Assert.Equal((404, "completion_not_found"), await RefusalAsync(unknown));
        }
        Assert.All(cluster.Hubs.Skip(1), static hub => Assert.Equal(0, hub.ComputedTokenCount));
    }

    [Fact]
    public async Task A_hundred_requests_with_a_key_at_three_hubs_make_one_answer()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b", "c"), ScriptedUpstream.Says("never"));
        await using var cluster = await ClusterOfHubs.StartAsync(3, $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n");
        var bodies = await Task.WhenAll(Enumerable.Range(0, 99).Select(async number =>
        {
            while (true)
            {
                using var response = await cluster.PostAsync(number % 3, ClusterOfHubs.Ask("hi", "m"), (Key, "k"));
                // No more than four read an answer at a hub, and the others come again.
                if (response.StatusCode == HttpStatusCode.TooManyRequests)
                {
                    await Task.Delay(20, Cancellation);
                    continue;
                }
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                return (Id: response.Headers.GetValues(IdHeader).Single(), Text: TextOf(await response.Content.ReadAsStringAsync(Cancellation)));
            }
        }));
        Assert.Single(bodies.Distinct());
        Assert.Equal("abc", bodies[0].Text);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task A_cancel_at_another_hub_ends_it_everywhere_in_order_and_a_delete_takes_it_away()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(3);
        var gate = new Gate();
        // Slow, so that no limit of tokens ends it before the cancel arrives, on a busy machine either.
        cluster.Script("go", () => new Script().Say("Hello world").Wait(gate).Delay(TimeSpan.FromMilliseconds(20)).Say(" again").Forever());
        using var first = await cluster.PostAsync(0, ClusterOfHubs.Ask("go"), (Key, "k"));
        var id = first.Headers.GetValues(IdHeader).Single();
        using var joined = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), (Key, "k"));
        gate.Open();
        using var cancelled = await cluster[2].PostAsync(UriOf(id, "/cancel"), null, Cancellation);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        // The reply waits for the end only so long, and the end comes from another hub.
        var state = await cancelled.Content.ReadAsStringAsync(Cancellation);
        for (var i = 0; i < 500 && !state.Contains("\"state\":\"cancelled\"", StringComparison.Ordinal); i++)
        {
            await Task.Delay(20, Cancellation);
            state = await cluster[2].GetStringAsync(UriOf(id), Cancellation);
        }
        Assert.True(state.Contains("\"state\":\"cancelled\"", StringComparison.Ordinal), state[..int.Min(state.Length, 2000)]);
        var (here, there) = (await first.Content.ReadAsStringAsync(Cancellation), await joined.Content.ReadAsStringAsync(Cancellation));
        Assert.EndsWith("data: [DONE]\n\n", here, StringComparison.Ordinal);
        Assert.Equal(here, there);

        using var deleted = await cluster[1].DeleteAsync(UriOf(id), Cancellation);
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        foreach (var hub in (int[])[0, 1, 2])
        {
            using var gone = await cluster[hub].GetAsync(UriOf(id), Cancellation);
            Assert.Equal((404, "completion_not_found"), await RefusalAsync(gone));
        }
        Assert.Equal("0", await cluster.Server.QueryAsync(cluster.Connection, "select (select count(*) from sluice.answer) + (select count(*) from sluice.event_run) + (select count(*) from sluice.request) + (select count(*) from sluice.key)"));
    }

    [Fact]
    public async Task A_key_that_was_cancelled_at_one_hub_is_not_wanted_at_another()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(2);
        cluster.Script("go", static () => new Script().Say("Hello"));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/cancel");
        request.Headers.Add(Key, "k");
        using var pending = await cluster[0].SendAsync(request, Cancellation);
        Assert.Equal(HttpStatusCode.Accepted, pending.StatusCode);
        using var refused = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), (Key, "k"));
        Assert.Equal((409, "generation_cancelled"), await RefusalAsync(refused));
    }

    [Fact]
    public async Task What_is_not_stored_is_found_by_its_id_while_its_hub_has_it()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(2);
        var gate = new Gate();
        cluster.Script("go", () => new Script().Say("Hello world").Wait(gate).Say(" again"));
        using var first = await cluster.PostAsync(0, ClusterOfHubs.Ask("go"), ("Sluice-Store", "off"));
        var id = first.Headers.GetValues(IdHeader).Single();
        using var resumed = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), (Cursor, $"{id}:0"));
        Assert.Equal(HttpStatusCode.OK, resumed.StatusCode);
        gate.Open();
        Assert.Equal("Hello world again", TextOf(await resumed.Content.ReadAsStringAsync(Cancellation)));
        Assert.Equal("0", await cluster.Server.QueryAsync(cluster.Connection, "select count(*) from sluice.event_run"));
    }

    [Fact]
    public async Task An_answer_that_nobody_reads_any_more_anywhere_is_suspended_and_goes_on_for_whoever_asks_elsewhere()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(2);
        var gate = new Gate();
        cluster.Script("go", () => new Script().Say("Hello world").Wait(gate).Say(" one two three four five six"));
        string id;
        using (var first = await cluster.PostAsync(0, ClusterOfHubs.Ask("go")))
        {
            id = first.Headers.GetValues(IdHeader).Single();
            using var reader = new StreamReader(await first.Content.ReadAsStreamAsync(Cancellation));
            await ReadEventsAsync(reader, 2);
            // It is read elsewhere while its client goes, and so goes on.
            using var other = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), (Cursor, $"{id}:0"));
            using var second = new StreamReader(await other.Content.ReadAsStreamAsync(Cancellation));
            await ReadEventsAsync(second, 2);
        }
        while (!(await cluster[1].GetStringAsync(UriOf(id), Cancellation)).Contains("\"state\":\"suspended\"", StringComparison.Ordinal)) await Task.Delay(10, Cancellation);
        gate.Open();
        using var resumed = await cluster.PostAsync(1, ClusterOfHubs.Ask("go"), (Cursor, $"{id}:0"));
        Assert.Equal("Hello world one two three four five six", TextOf(await resumed.Content.ReadAsStringAsync(Cancellation)));
    }

    [Fact]
    public async Task Hubs_without_the_secret_get_nothing_and_one_with_anothers_address_is_told_so()
    {
        await using var cluster = await ClusterOfHubs.StartAsync(1);
        var url = await cluster.Server.QueryAsync(cluster.Connection, "select url from sluice.node");
        using var http = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        async Task<int> StatusAsync(string path, string? header)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url + path) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            if (header is not null) request.Headers.TryAddWithoutValidation("Sluice-Peer", header);
            using var response = await http.SendAsync(request, Cancellation);
            return (int)response.StatusCode;
        }

        Guid Node() => Guid.Parse(cluster.Server.QueryAsync(cluster.Connection, "select id from sluice.node").GetAwaiter().GetResult());
        var node = Node();
        var own = new Sluice.Server.Cluster.PeerSignature(ClusterOfHubs.Secret, Guid.NewGuid(), TimeProvider.System);
        var foreign = new Sluice.Server.Cluster.PeerSignature("another secret of some length", Guid.NewGuid(), TimeProvider.System);
        Assert.Equal(401, await StatusAsync("/v1/node", null));
        Assert.Equal(401, await StatusAsync("/v1/models", null));
        Assert.Equal(401, await StatusAsync("/v1/node", foreign.Sign("GET", "/v1/node", node)));
        Assert.Equal(401, await StatusAsync("/v1/node", own.Sign("GET", "/v1/other", node)));
        Assert.Equal(421, await StatusAsync("/v1/node", own.Sign("GET", "/v1/node", Guid.NewGuid())));
        var header = own.Sign("GET", "/v1/node", node);
        Assert.Equal(200, await StatusAsync("/v1/node", header));
        // The same once more is somebody who has listened.
        Assert.Equal(401, await StatusAsync("/v1/node", header));
    }
}
