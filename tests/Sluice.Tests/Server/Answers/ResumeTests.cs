using System.Net;
using System.Text.Json;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>The rows of the table of retries: what a request gets that comes again. The whole hub, before a scripted server, on a manual clock.</summary>
public sealed class ResumeTests
{
    private const string Key = "Idempotency-Key";
    private const string Cursor = "Last-Event-ID";
    private readonly ManualTimeProvider _clock = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Way(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Attempt").Single();

    private static string Id(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Id").Single();

    private static Task<string> BodyAsync(HttpResponseMessage response) => response.Content.ReadAsStringAsync(Cancellation);

    private static async Task<string> WholeAsync(Task<HttpResponseMessage> asking)
    {
        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await BodyAsync(response);
    }

    private static async Task<JsonElement> ObjectAsync(Task<HttpResponseMessage> asking)
    {
        using var document = JsonDocument.Parse(await WholeAsync(asking));
        return document.RootElement.Clone();
    }

    private static async Task RefusesAsync(Task<HttpResponseMessage> asking, int status, string code, bool isFinal = true)
    {
        using var response = await asking;
        var body = await BodyAsync(response);
        Assert.True(status == (int)response.StatusCode, body);
        Assert.Contains($"\"code\":\"{code}\"", body, StringComparison.Ordinal);
        if (isFinal) Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
    }

    // Says one word, waits to be released, says another.
    private static Func<UpstreamReply, Task> Pauses(SemaphoreSlim gate) => async reply =>
    {
        await reply.EventAsync(ScriptedUpstream.Role());
        await reply.EventAsync(ScriptedUpstream.Text("one"));
        await gate.WaitAsync(reply.Aborted);
        await reply.EventAsync(ScriptedUpstream.Text("two"));
        await reply.EventAsync(ScriptedUpstream.Finish());
        await reply.EventAsync("[DONE]");
    };

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream) =>
        UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    retries: 0\n    timeouts: {total: 1h, idle: 1h, first_token: 1h}\n", _clock);

    private static async Task<string> FirstLineAsync(HttpResponseMessage response)
    {
        var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        string line;
        while (!(line = (await reader.ReadLineAsync(Cancellation))!).Contains("\"one\"", StringComparison.Ordinal))
        {
        }
        return line;
    }

    private static async Task WhenAsync(UpstreamHub hub, string id, string state)
    {
        while ((await ObjectAsync(hub.Http.GetAsync($"/v1/chat/completions/{id}", Cancellation))).GetProperty("sluice").GetProperty("state").GetString() != state) await Task.Delay(2, Cancellation);
    }

    [Fact]
    public async Task Row_new_key_is_created_and_a_finished_one_replayed_byte_by_byte()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        using var second = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "\"k\""));
        Assert.Equal(("created", "replayed"), (Way(first), Way(second)));
        Assert.Equal(Id(first), Id(second));
        Assert.Equal($"/v1/chat/completions/{Id(first)}?stream=true", first.Content.Headers.ContentLocation!.ToString());
        var body = await BodyAsync(first);
        Assert.Equal(body, await BodyAsync(second));
        Assert.DoesNotContain("id: ", body, StringComparison.Ordinal);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task Row_same_key_running_is_joined_from_the_beginning_or_resumed_from_the_cursor()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        await FirstLineAsync(first);
        using var second = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        using var third = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "2"));
        Assert.Equal(("joined", "resumed"), (Way(second), Way(third)));
        gate.Release();
        var whole = (await BodyAsync(second)).Split("\n\n");
        Assert.Equal(string.Join("\n\n", whole.Skip(2)), await BodyAsync(third));
        Assert.Equal("data: [DONE]", whole[^2]);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task Row_same_key_and_another_body_is_422_and_stream_and_the_order_of_keys_do_not_count()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(more: ",\"temperature\":1"), Cancellation, (Key, "k")), 422, "idempotency_key_reuse");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(more: ",\"stream_options\":{\"include_usage\":true}"), Cancellation, (Key, "k")), 422, "idempotency_key_reuse");
        var folded = await ObjectAsync(hub.PostAsync("""{"messages":[{"content":"Hi","role":"user"}], "model":"m"}""", Cancellation, (Key, "k")));
        Assert.Equal("a", folded.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task Row_another_principal_has_keys_and_answers_of_its_own()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        var model = UpstreamHub.Model("m", upstream);
        await using var hub = await UpstreamHub.StartAsync(model, configure: options => options with { ApiKeys = ["a", "b"] });
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), ("Authorization", "Bearer a"));
        using var second = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), ("Authorization", "Bearer b"));
        Assert.Equal(("created", "created"), (Way(first), Way(second)));
        var path = $"/v1/chat/completions/{Id(first)}";
        hub.Http.DefaultRequestHeaders.Add("api-key", "b");
        await RefusesAsync(hub.Http.GetAsync(path, Cancellation), 404, "completion_not_found");
        await RefusesAsync(hub.Http.DeleteAsync(path, Cancellation), 404, "completion_not_found");
        await RefusesAsync(hub.Http.PostAsync(path + "/cancel", null, Cancellation), 404, "completion_not_found");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, Id(first) + ":1")), 404, "completion_not_found");
        using var own = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "Authorization", "Bearer a" } } };
        await WholeAsync(hub.Http.SendAsync(own, Cancellation));
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Theory]
    [InlineData(500, 502, 2)]
    [InlineData(429, 429, 2)]
    [InlineData(400, 400, 1)]
    public async Task Row_failed_before_the_first_event_runs_again_unless_the_request_is_at_fault(int refusal, int status, int calls)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(refusal, """{"error":{"message":"no","type":"invalid_request_error"}}"""));
        await using var hub = await StartAsync(upstream);
        for (var i = 0; i < 2; i++)
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
            Assert.Equal(status, (int)response.StatusCode);
        }
        Assert.Equal(calls, upstream.Calls.Count);
    }

    [Fact]
    public async Task Row_failed_in_mid_stream_runs_again_without_a_cursor_and_gives_the_rest_and_the_error_with_one()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Role());
                await reply.EventAsync(ScriptedUpstream.Text("one"));
                await reply.EventAsync(ScriptedUpstream.Text("two"));
                await reply.EventAsync("""{"error":{"message":"broken","type":"server_error"}}""");
            },
            ScriptedUpstream.Says("fine"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    retries: 0\n    rescue: off\n");
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.False((await UpstreamHub.ReadAsync(first)).IsWhole);
        using var rest = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "2"));
        Assert.Equal("replayed", Way(rest));
        var (events, isWhole) = await UpstreamHub.ReadAsync(rest);
        Assert.Equal(2, events.Count);
        Assert.Contains("two", events[0], StringComparison.Ordinal);
        Assert.Contains("\"error\"", events[1], StringComparison.Ordinal);
        Assert.False(isWhole);
        using var again = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal("created", Way(again));
        Assert.NotEqual(Id(first), Id(again));
        Assert.Contains("fine", await BodyAsync(again), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_cursor_at_the_end_and_beyond_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal(5, (await BodyAsync(first)).Split("\n\n").Length);
        Assert.Equal("data: [DONE]\n\n", await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "3"))));
        Assert.Equal("data: [DONE]\n\n", await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, Id(first) + ":3"))));
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "4")), 400, "invalid_cursor");
        var path = $"/v1/chat/completions/{Id(first)}?stream=true";
        Assert.Equal("data: [DONE]\n\n", await WholeAsync(hub.Http.GetAsync(path + "&starting_after=3", Cancellation)));
        await RefusesAsync(hub.Http.GetAsync(path + "&starting_after=4", Cancellation), 400, "invalid_cursor");
        await RefusesAsync(hub.Http.GetAsync(path + "&starting_after=x", Cancellation), 400, "invalid_cursor");
        using var source = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { Cursor, Id(first) + ":3" } } };
        using var over = await hub.Http.SendAsync(source, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, over.StatusCode);
    }

    [Fact]
    public async Task Row_cursor_ahead_of_a_running_stream_is_409_after_five_seconds()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        await FirstLineAsync(first);
        var ahead = hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "3"));
        while (!_clock.HasTimerIn(UpstreamHub.QuickLimits.CursorWait)) await Task.Yield();
        _clock.Advance(TimeSpan.FromSeconds(5));
        await RefusesAsync(ahead, 409, "stream_diverged");
        // One that is there in time is waited for.
        var early = hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "3"));
        while (!_clock.HasTimerIn(UpstreamHub.QuickLimits.CursorWait)) await Task.Yield();
        gate.Release();
        Assert.Equal(2, (await UpstreamHub.EventsAsync(await early)).Count);
    }

    [Fact]
    public async Task Rows_expired_and_unknown()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        await BodyAsync(first);
        await WhenAsync(hub, Id(first), "completed");
        _clock.Advance(TimeSpan.FromMinutes(10));
        await RefusesAsync(hub.Http.GetAsync($"/v1/chat/completions/{Id(first)}", Cancellation), 410, "stream_expired");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "1")), 410, "stream_expired");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, Id(first) + ":1")), 410, "stream_expired");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "unknown"), (Cursor, "1")), 404, "completion_not_found");
        await RefusesAsync(hub.Http.GetAsync("/v1/chat/completions/chatcmpl-unknown?stream=true", Cancellation), 404, "completion_not_found");
        using var again = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal("created", Way(again));
    }

    [Fact]
    public async Task Row_more_than_four_readers_is_429()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        var readers = new List<HttpResponseMessage>();
        for (var i = 0; i < 4; i++) readers.Add(await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")), 429, "too_many_readers", isFinal: false);
        gate.Release();
        foreach (var reader in readers) Assert.Equal(4 + 1, (await UpstreamHub.EventsAsync(reader)).Count);
    }

    [Fact]
    public async Task Row_cursor_behind_what_is_kept_is_410()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says(new string('a', 400), new string('b', 400), new string('c', 400)));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: UpstreamHub.QuickLimits with { Streams = new StreamLimits { HotBytes = 1000 } });
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        await UpstreamHub.ReadAsync(first);
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")), 410, "events_dropped");
        await RefusesAsync(hub.Http.GetAsync($"/v1/chat/completions/{Id(first)}", Cancellation), 410, "events_dropped");
        Assert.Equal(2, (await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "4")))).Count);
    }

    [Fact]
    public async Task Cursors_and_headers_that_say_nothing_are_400()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, "1")), 400, "invalid_cursor");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, "chatcmpl-1:")), 400, "invalid_cursor");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, "chatcmpl-1:1:00")), 404, "completion_not_found");
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(stream: false), Cancellation, (Key, "k"), (Cursor, "1")), 400, "invalid_cursor");
        foreach (var (name, value) in (IEnumerable<(string, string)>)[(Key, "a b"), (Key, new string('k', 256)), (Key, "\"\""), ("Sluice-Event-Ids", "2"), ("Sluice-On-Disconnect", "wait")])
            await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (name, value)), 400, "invalid_header");
        await RefusesAsync(hub.Http.PostAsync("/v1/cancel", null, Cancellation), 400, "invalid_header");
        using var wrong = await hub.Http.PutAsync("/v1/chat/completions/chatcmpl-1", null, Cancellation);
        Assert.Equal((HttpStatusCode.MethodNotAllowed, "GET, DELETE"), (wrong.StatusCode, string.Join(", ", wrong.Content.Headers.Allow)));
        Assert.Empty(upstream.Calls);
    }

    [Fact]
    public async Task A_cursor_with_an_id_needs_no_key_but_the_same_request()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask());
        await BodyAsync(first);
        Assert.Equal(3, (await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Cursor, Id(first) + ":2")))).Count);
        await RefusesAsync(hub.PostAsync(UpstreamHub.Ask(more: ",\"seed\":1"), Cancellation, (Cursor, Id(first) + ":2")), 422, "request_mismatch");
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task Event_ids_stand_before_their_data_and_only_where_they_are_asked_for()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Sluice-Event-Ids", "1"));
        var blocks = (await BodyAsync(response)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, blocks.Length);
        for (var i = 0; i < 3; i++) Assert.StartsWith($"id: {Id(response)}:{i + 1}\ndata: {{", blocks[i], StringComparison.Ordinal);
        Assert.Equal("data: [DONE]", blocks[3]);
    }

    [Fact]
    public async Task The_object_shows_what_there_is_and_at_the_end_what_it_cost_once()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        await FirstLineAsync(first);
        var path = $"/v1/chat/completions/{Id(first)}";
        var running = await ObjectAsync(hub.Http.GetAsync(path, Cancellation));
        Assert.Equal("one", running.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(JsonValueKind.Null, running.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind);
        Assert.Equal("""{"state":"running","last_event":2,"billing":null}""", running.GetProperty("sluice").GetRawText());
        gate.Release();
        await WhenAsync(hub, Id(first), "completed");
        var before = (await ObjectAsync(hub.Http.GetAsync(path, Cancellation))).GetRawText();
        await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
        var after = await ObjectAsync(hub.Http.GetAsync(path, Cancellation));
        Assert.Equal(before, after.GetRawText());
        Assert.Equal("onetwo", after.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.True(after.GetProperty("sluice").GetProperty("billing").GetProperty("estimated").GetBoolean());
    }

    [Fact]
    public async Task The_first_request_with_a_key_says_whether_the_answer_is_kept()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        string id;
        using (var first = await hub.PostAsync(UpstreamHub.Ask(), default, ("Idempotency-Key", "k")))
        {
            id = first.Headers.GetValues("Sluice-Stream-Id").Single();
            await UpstreamHub.EventsAsync(first);
        }
        using (var second = await hub.PostAsync(UpstreamHub.Ask(), default, ("Idempotency-Key", "k"), ("Sluice-Store", "off")))
        {
            Assert.Equal("replayed", second.Headers.GetValues("Sluice-Stream-Attempt").Single());
            await UpstreamHub.EventsAsync(second);
        }
        using var kept = await hub.Http.GetAsync($"/v1/chat/completions/{id}", TestContext.Current.CancellationToken);
        Assert.True(kept.IsSuccessStatusCode);
        Assert.Single(upstream.Calls);
    }
}
