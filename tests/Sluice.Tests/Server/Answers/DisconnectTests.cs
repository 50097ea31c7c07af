using System.Net;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>Clients that leave and come back, and those that say that they don't want the rest. The whole hub on a manual clock.</summary>
public sealed class DisconnectTests
{
    private const string Key = "Idempotency-Key";
    private readonly ManualTimeProvider _clock = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Way(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Attempt").Single();

    private static string Id(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Id").Single();

    private static Func<UpstreamReply, Task> Pauses(SemaphoreSlim gate, bool saysSomething = true) => async reply =>
    {
        if (saysSomething)
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("one"));
        }
        await gate.WaitAsync(reply.Aborted);
        if (!saysSomething) await reply.EventAsync(ScriptedUpstream.Role());
        await reply.EventAsync(ScriptedUpstream.Text("two"));
        await reply.EventAsync(ScriptedUpstream.Finish());
        await reply.EventAsync("[DONE]");
    };

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream) =>
        UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    retries: 0\n    timeouts: {total: 1h, idle: 1h, first_token: 1h}\n", _clock);

    private static async Task<string> StateAsync(UpstreamHub hub, string id)
    {
        using var response = await hub.Http.GetAsync($"/v1/chat/completions/{id}", Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        var start = text.IndexOf("\"state\":\"", StringComparison.Ordinal) + 9;
        return text[start..text.IndexOf('"', start)];
    }

    private static async Task WhenAsync(UpstreamHub hub, string id, string state)
    {
        while (await StateAsync(hub, id) != state) await Task.Delay(2, Cancellation);
    }

    // Asks, and leaves before there is anything.
    private static async Task LeaveUnseenAsync(UpstreamHub hub, ScriptedUpstream upstream, params (string Name, string Value)[] headers)
    {
        using var leaving = new CancellationTokenSource();
        var asking = hub.PostAsync(UpstreamHub.Ask(), leaving.Token, headers);
        await upstream.NextCallAsync(Cancellation);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
    }

    [Fact]
    public async Task Without_a_key_and_with_bytes_sent_the_upstream_is_aborted_at_once_and_the_same_request_is_a_new_one()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        string id;
        using (var response = await hub.PostAsync(UpstreamHub.Ask())) id = Id(response);
        await upstream.Calls[0].Aborted.WaitAsync(Cancellation);
        await WhenAsync(hub, id, "cancelled");
        using var again = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal("created", Way(again));
    }

    [Fact]
    public async Task Without_a_key_and_unseen_the_same_request_adopts_the_answer()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate, saysSomething: false));
        await using var hub = await StartAsync(upstream);
        await LeaveUnseenAsync(hub, upstream);
        // Time for the hub to see that the client has gone: until then the same request is another one.
        await Task.Delay(200, Cancellation);
        var asking = hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("x-stainless-retry-count", "1"));
        await Task.Delay(200, Cancellation);
        _clock.Advance(TimeSpan.FromSeconds(2));
        gate.Release();
        using var adopted = await asking;
        Assert.Equal("adopted", Way(adopted));
        Assert.Equal(4, (await UpstreamHub.EventsAsync(adopted)).Count);
        Assert.Single(upstream.Calls);
        Assert.False(upstream.Calls[0].Aborted.IsCompleted);
    }

    [Fact]
    public async Task Without_a_key_and_unseen_the_upstream_is_aborted_after_a_second_and_a_half()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate, saysSomething: false));
        await using var hub = await StartAsync(upstream);
        await LeaveUnseenAsync(hub, upstream);
        // However late the hub sees it: the time runs from then on.
        while (!upstream.Calls[0].Aborted.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromSeconds(1.5));
            await Task.Delay(5, Cancellation);
        }
    }

    [Fact]
    public async Task With_a_key_an_upstreams_answer_runs_to_its_end_and_the_rest_is_there()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        string id;
        using (var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"))) id = Id(response);
        await WhenAsync(hub, id, "detached");
        _clock.Advance(TimeSpan.FromMinutes(5));
        gate.Release();
        await WhenAsync(hub, id, "completed");
        using var rest = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), ("Last-Event-ID", "2"));
        Assert.Equal("replayed", Way(rest));
        Assert.Equal(3, (await UpstreamHub.EventsAsync(rest)).Count);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task On_disconnect_cancel_ends_a_keyed_answer_at_once_and_the_key_runs_anew()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        string id;
        using (var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), ("Sluice-On-Disconnect", "cancel"))) id = Id(response);
        await upstream.Calls[0].Aborted.WaitAsync(Cancellation);
        await WhenAsync(hub, id, "cancelled");
        using var rest = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), ("Last-Event-ID", "1"));
        var (events, isWhole) = await UpstreamHub.ReadAsync(rest);
        Assert.Equal((2, false), (events.Count, isWhole));
        Assert.Contains("\"error\"", events[1], StringComparison.Ordinal);
        using var again = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal("created", Way(again));
    }

    [Fact]
    public async Task On_disconnect_continue_needs_no_key()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        string id;
        using (var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Sluice-On-Disconnect", "continue"))) id = Id(response);
        await WhenAsync(hub, id, "detached");
        gate.Release();
        await WhenAsync(hub, id, "completed");
        var body = await hub.Http.GetStringAsync($"/v1/chat/completions/{id}?stream=true&starting_after=3", Cancellation);
        Assert.StartsWith($"id: {id}:4\ndata: {{", body, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_cancel_ends_readers_in_order_and_frees_the_upstream(bool isByKey)
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"stream_options\":{\"include_usage\":true}"), Cancellation, (Key, "k"));
        var cancel = new HttpRequestMessage(HttpMethod.Post, isByKey ? "/v1/cancel" : $"/v1/chat/completions/{Id(response)}/cancel");
        if (isByKey) cancel.Headers.Add(Key, "k");
        using var cancelled = await hub.Http.SendAsync(cancel, Cancellation);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        Assert.Contains("\"state\":\"cancelled\"", await cancelled.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        await upstream.Calls[0].Aborted.WaitAsync(Cancellation);
        var events = await UpstreamHub.EventsAsync(response);
        Assert.EndsWith("\"finish_reason\":\"stop\"}],\"usage\":null,\"sluice\":{\"cancelled\":true}}", events[2], StringComparison.Ordinal);
        Assert.StartsWith("""{"id":"up-1","object":"chat.completion.chunk","created":1700000000,"model":"m",""", events[2], StringComparison.Ordinal);
        Assert.Contains("\"choices\":[],\"usage\":{\"prompt_tokens\":", events[3], StringComparison.Ordinal);
        Assert.Equal("[DONE]", events[4]);

        using var late = await hub.PostAsync(UpstreamHub.Ask(more: ",\"stream_options\":{\"include_usage\":true}"), Cancellation, (Key, "k"));
        Assert.Equal((HttpStatusCode.Conflict, "false"), (late.StatusCode, late.Headers.GetValues("x-should-retry").Single()));
        Assert.Contains("generation_cancelled", await late.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        using var again = await hub.Http.PostAsync($"/v1/chat/completions/{Id(response)}/cancel", null, Cancellation);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Fact]
    public async Task A_cancel_before_the_first_token_is_an_empty_answer()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate, saysSomething: false));
        await using var hub = await StartAsync(upstream);
        var asking = hub.PostAsync(UpstreamHub.Ask(stream: false, more: ",\"n\":2"), Cancellation, (Key, "k"));
        await upstream.NextCallAsync(Cancellation);
        var cancel = new HttpRequestMessage(HttpMethod.Post, "/v1/cancel") { Headers = { { Key, "k" } } };
        using var cancelled = await hub.Http.SendAsync(cancel, Cancellation);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var body = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.Equal(2, body.Split("\"finish_reason\":\"stop\"").Length - 1);
        Assert.Contains("\"cancelled\":true", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancel_that_comes_before_its_request_holds_for_a_minute()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        var cancel = new HttpRequestMessage(HttpMethod.Post, "/v1/cancel") { Headers = { { Key, "k" } } };
        using var pending = await hub.Http.SendAsync(cancel, Cancellation);
        Assert.Equal(HttpStatusCode.Accepted, pending.StatusCode);
        using var late = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal(HttpStatusCode.Conflict, late.StatusCode);
        Assert.Empty(upstream.Calls);
        _clock.Advance(TimeSpan.FromSeconds(60));
        using var fine = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal("created", Way(fine));
    }

    [Fact]
    public async Task A_cancel_of_a_finished_answer_changes_nothing()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var first = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        await UpstreamHub.EventsAsync(first);
        await WhenAsync(hub, Id(first), "completed");
        var cancel = new HttpRequestMessage(HttpMethod.Post, "/v1/cancel") { Headers = { { Key, "k" } } };
        using var cancelled = await hub.Http.SendAsync(cancel, Cancellation);
        Assert.Contains("\"state\":\"completed\"", await cancelled.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        using var again = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal("replayed", Way(again));
    }

    [Fact]
    public async Task A_deleted_answer_ends_and_was_never_there()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        await using var hub = await StartAsync(upstream);
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        var path = $"/v1/chat/completions/{Id(response)}";
        Assert.Equal($$"""{"object":"chat.completion.deleted","id":"{{Id(response)}}","deleted":true}""", await (await hub.Http.DeleteAsync(path, Cancellation)).Content.ReadAsStringAsync(Cancellation));
        await upstream.Calls[0].Aborted.WaitAsync(Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, (await hub.Http.GetAsync(path, Cancellation)).StatusCode);
        Assert.Equal("[DONE]", (await UpstreamHub.EventsAsync(response))[^1]);
        using var again = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
        Assert.Equal("created", Way(again));
    }

    [Fact]
    public async Task A_hub_that_stops_ends_what_nobody_reads()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(Pauses(gate));
        var hub = await StartAsync(upstream);
        string id;
        using (var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Sluice-On-Disconnect", "continue"))) id = Id(response);
        await WhenAsync(hub, id, "detached");
        await hub.DisposeAsync();
        await upstream.Calls[0].Aborted.WaitAsync(Cancellation);
    }
}
