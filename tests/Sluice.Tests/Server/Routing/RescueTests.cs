using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>Answers that break off after the client has a part of them.</summary>
public sealed class RescueTests
{
    private const string Asks = ",\"stream_options\":{\"include_usage\":true}";

    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    private static Func<UpstreamReply, Task> Breaks(params string[] frames) => async reply =>
    {
        foreach (var frame in frames) await reply.EventAsync(frame);
        await reply.CutAsync();
    };

    private static string[] Texts(params string[] texts) => [ScriptedUpstream.Role(), .. texts.Select(text => ScriptedUpstream.Text(text))];

    private static async Task<(string Content, string Last, string Raw)> AskAsync(UpstreamHub hub, string model = "m", string more = "", params (string, string)[] headers)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask(model, more: more), default, headers);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var raw = new StringWriter();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        try
        {
            while (await reader.ReadLineAsync(Patience) is { } line) await raw.WriteLineAsync(line);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            await raw.WriteLineAsync("(aborted)");
        }
        return (ContentOf(raw.ToString()), raw.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1], raw.ToString());
    }

    private static string ContentOf(string raw, int choice = 0) => string.Concat(Frames(raw)
        .Select(frame => frame.GetProperty("choices"))
        .Where(choices => choices.GetArrayLength() > 0 && choices[0].GetProperty("index").GetInt32() == choice)
        .Select(choices => choices[0].GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString() : ""));

    private static IEnumerable<JsonElement> Frames(string raw) => raw.Split('\n')
        .Where(line => line.StartsWith("data: {", StringComparison.Ordinal) && !line.StartsWith("data: {\"error\"", StringComparison.Ordinal))
        .Select(line => JsonDocument.Parse(line[6..]).RootElement.Clone());

    [Fact]
    public async Task S08_a_cut_answer_goes_on_elsewhere_where_that_repeats_it()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("The quick", " brown")));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            [.. Texts("The ", "quick br", "own fox", " jumps").Select(frame => frame.Replace("1700000000", "1800000000", StringComparison.Ordinal)), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 6)]));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        var (content, last, raw) = await AskAsync(hub, more: Asks);
        Assert.Equal("The quick brown fox jumps", content);
        Assert.Equal("data: [DONE]", last);
        Assert.Contains("\n: rescued by rerun\n", raw, StringComparison.Ordinal);
        // One answer, as far as a client can see: one id, one time, one role, and the usage of an answer that was made whole.
        Assert.Single(Frames(raw).Select(frame => (frame.GetProperty("id").GetString(), frame.GetProperty("created").GetInt64(), frame.GetProperty("model").GetString())).Distinct());
        Assert.Equal(2, raw.Split("\"role\"").Length);
        Assert.Contains("\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":6,", raw, StringComparison.Ordinal);
        Assert.DoesNotContain("estimated", raw, StringComparison.Ordinal);
        Assert.Equal((1, 1), (first.Calls.Count, second.Calls.Count));
    }

    [Fact]
    public async Task S16_what_a_rescued_answer_took_is_known_when_it_is_seen_to_have_ended()
    {
        using var go = new SemaphoreSlim(0);
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in Texts("The quick", " brown")) await reply.EventAsync(frame);
            await go.WaitAsync(reply.Aborted);
            await reply.CutAsync();
        });
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames([.. Texts("The quick", " brown", " fox"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 6)]));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: Asks), Patience);
        hub.Services.GetRequiredService<AnswerTable>().TryFind(response.Headers.GetValues("Sluice-Stream-Id").Single(), "", out var answer);
        var seen = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var reader = answer!.Log.TryOpenReader()!;
        // What waits for a reader in a context like this goes on within the call that ends the log.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(new AtOnce());
        _ = WatchAsync();
        SynchronizationContext.SetSynchronizationContext(context);
        go.Release();
        Assert.True(await seen.Task.WaitAsync(Patience));
        Assert.Contains("[DONE]", await UpstreamHub.EventsAsync(response));

        async Task WatchAsync()
        {
            while (answer.Log.End is null)
            {
                await reader.WaitAsync();
                reader.SkipToEnd();
            }
            seen.SetResult(answer.Record.Usage is { PromptTokens: 7, CompletionTokens: 6 });
        }
    }

    private sealed class AtOnce : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            var before = Current;
            SetSynchronizationContext(this);
            d(state);
            SetSynchronizationContext(before);
        }
    }

    [Fact]
    public async Task S08_another_answer_is_never_mixed_in()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("The quick", " brown")));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("The quick red fox"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        var (content, last, raw) = await AskAsync(hub);
        Assert.Equal("The quick brown", content);
        Assert.Contains("\"code\":\"upstream_truncated\"", raw, StringComparison.Ordinal);
        Assert.Equal("(aborted)", last);
        Assert.DoesNotContain("rescued", raw, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S08_a_fallback_may_go_on_and_the_model_stays_the_one_that_began()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("a", "b")));
        await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("abc"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first) + "    fallbacks: [small]\n" + UpstreamHub.Model("small", other));
        var (content, _, raw) = await AskAsync(hub);
        Assert.Equal("abc", content);
        Assert.DoesNotContain("small", raw, StringComparison.Ordinal);
        Assert.Contains("\"model\":\"small\"", other.Calls[0].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_only_upstream_is_asked_again_when_nothing_else_may_be()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Breaks(Texts("a", "b")), ScriptedUpstream.Says("abc"));
        await using var hub = await UpstreamHub.StartAsync(
            "  - id: m\n    upstreams: [{url: \"" + upstream.Url + "\", continues: true}]\n");
        Assert.Equal("abc", (await AskAsync(hub)).Content);
        Assert.Equal(upstream.Calls[0].Body, upstream.Calls[1].Body);
    }

    [Theory]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"conte\n\n")]
    [InlineData("data: {\"error\":{\"message\":\"CUDA error\",\"code\":500}}\n\n")]
    public async Task S10_garbage_an_error_and_a_false_end_are_breaks_too(string bytes)
    {
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in Texts("a", "b")) await reply.EventAsync(frame);
            await reply.SendAsync(bytes);
        });
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b", "c"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        Assert.Equal(("abc", "data: [DONE]"), ((await AskAsync(hub)).Content, (await AskAsync(hub)).Last));
    }

    [Fact]
    public async Task S09_a_stall_is_left_after_idle_where_somebody_else_may_go_on()
    {
        var clock = new ManualTimeProvider();
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in Texts("a")) await reply.EventAsync(frame);
            await reply.SendAsync(": ping\n\n");
            await reply.StallAsync();
        });
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("ab"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second), clock);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (!(await reader.ReadLineAsync(Patience))!.Contains("\"a\"", StringComparison.Ordinal))
        {
        }
        clock.Advance(TimeSpan.FromMilliseconds(14_999));
        Assert.Empty(second.Calls);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await first.Calls[0].Aborted.WaitAsync(Patience);
        var rest = await reader.ReadToEndAsync(Patience);
        Assert.Equal("b", ContentOf(rest));
        Assert.Contains("[DONE]", rest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Never_inside_a_tool_call()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\""}}]},"finish_reason":null}""")));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        Assert.Contains("upstream_truncated", (await AskAsync(hub)).Raw, StringComparison.Ordinal);
        Assert.Empty(second.Calls);
    }

    [Theory]
    [InlineData("off")]
    [InlineData("rescue: false")]
    public async Task It_can_be_turned_off(string how)
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("a")));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("ab"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second) + (how == "off" ? "" : $"    {how}\n"));
        Assert.Contains("upstream_truncated", (await AskAsync(hub, headers: how == "off" ? [("Sluice-Rescue", how)] : [])).Raw, StringComparison.Ordinal);
        Assert.Empty(second.Calls);
    }

    [Fact]
    public async Task A_value_that_the_header_does_not_have_is_400()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), default, ("Sluice-Rescue", "maybe"));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("Sluice-Rescue must be 'on' or 'off'", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_in_mid_stream_is_not_routed_around()
    {
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in Texts("a")) await reply.EventAsync(frame);
            await reply.EventAsync("""{"error":{"message":"filtered","type":"invalid_request_error","param":null,"code":"content_filter"}}""");
        });
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("ab"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        // Nor is it a fault that would open the breaker.
        for (var i = 0; i < 5; i++) Assert.Contains("\"code\":\"content_filter\"", (await AskAsync(hub)).Raw, StringComparison.Ordinal);
        Assert.Empty(second.Calls);
    }

    [Fact]
    public async Task What_can_continue_is_given_the_beginning_and_checked_against_the_last_word()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            Breaks(Texts("The quick", " brown fo")),
            ScriptedUpstream.Says("Something else"),
            ScriptedUpstream.Frames([.. Texts(" ", "fox", " jumps"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(11, 3)]));
        await using var hub = await UpstreamHub.StartAsync("  - id: m\n    upstreams: [{url: \"" + upstream.Url + "\", continues: true}]\n");
        var (content, last, raw) = await AskAsync(hub, more: Asks + ",\"max_tokens\":20");
        Assert.Equal(("The quick brown fox jumps", "data: [DONE]"), (content, last));
        Assert.Contains(": rescued by prefill\n", raw, StringComparison.Ordinal);
        Assert.Contains("\"completion_tokens\":5,\"total_tokens\":14},\"sluice\":{\"usage_estimated\":true}", raw, StringComparison.Ordinal);
        using var asked = JsonDocument.Parse(upstream.Calls[2].Body);
        var message = asked.RootElement.GetProperty("messages")[1];
        Assert.Equal(("assistant", "The quick brown"), (message.GetProperty("role").GetString(), message.GetProperty("content").GetString()));
        Assert.True(asked.RootElement.GetProperty("continue_final_message").GetBoolean());
        Assert.Equal(18, asked.RootElement.GetProperty("max_tokens").GetInt32());
    }

    [Fact]
    public async Task Where_the_last_word_comes_out_otherwise_all_of_it_is_given()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            Breaks(Texts("The quick", " brown fo")),
            ScriptedUpstream.Says("Something else"),
            ScriptedUpstream.Says(" bear"),
            ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync("  - id: m\n    upstreams: [{url: \"" + upstream.Url + "\", continues: true}]\n");
        Assert.Equal("The quick brown fox", (await AskAsync(hub)).Content);
        Assert.Contains("The quick brown fo\"", upstream.Calls[3].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S14_a_beginning_that_is_rejected_does_not_become_the_error()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("a b")), ScriptedUpstream.Refuses(400, """{"error":{"message":"prefill is not supported"}}"""));
        await using var hub = await UpstreamHub.StartAsync("  - id: m\n    upstreams: [{url: \"" + first.Url + "\", continues: true}]\n");
        var (content, last, raw) = await AskAsync(hub);
        Assert.Equal(("a b", "(aborted)"), (content, last));
        Assert.Contains("upstream_truncated", raw, StringComparison.Ordinal);
        Assert.DoesNotContain("prefill", raw, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rescue_that_breaks_off_is_rescued_too()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("a")));
        await using var second = await ScriptedUpstream.StartAsync(Breaks(Texts("ab", "c")));
        await using var third = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("abcd"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second, third));
        Assert.Equal(("abcd", "data: [DONE]"), ((await AskAsync(hub)).Content, (await AskAsync(hub)).Last));
    }

    [Fact]
    public async Task Both_choices_go_on()
    {
        static string At(int index, string text) => ScriptedUpstream.Text(text).Replace("\"index\":0", $"\"index\":{index}", StringComparison.Ordinal);
        await using var first = await ScriptedUpstream.StartAsync(Breaks(ScriptedUpstream.Role(), At(0, "a"), At(1, "x"), At(0, "b")));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            At(0, "abc"), At(1, "xy"), ScriptedUpstream.Finish(), ScriptedUpstream.Finish().Replace("\"index\":0", "\"index\":1", StringComparison.Ordinal)));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        var (content, last, raw) = await AskAsync(hub, more: ",\"n\":2");
        Assert.Equal(("abc", "xy", "data: [DONE]"), (content, ContentOf(raw, 1), last));
    }

    [Fact]
    public async Task An_object_is_made_anew_for_nothing_of_it_was_delivered()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("The quick", " brown")));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("Another answer"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        using var response = await hub.PostAsync(UpstreamHub.Ask(stream: false));
        var body = await response.Content.ReadAsStringAsync();
        Assert.Contains("\"content\":\"Another answer\"", body, StringComparison.Ordinal);
        Assert.DoesNotContain("brown", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_ends_the_rescue()
    {
        await using var first = await ScriptedUpstream.StartAsync(Breaks(Texts("a")));
        await using var second = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        using (var response = await hub.PostAsync(UpstreamHub.Ask())) await second.NextCallAsync(Patience);
        await second.Calls[0].Aborted.WaitAsync(Patience);
    }

    [Fact]
    public async Task What_came_in_one_piece_with_the_break_is_not_kept_until_the_rescue()
    {
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.SendAsync(string.Concat(Texts("a", "b").Append("garbage").Select(frame => $"data: {frame}\n\n")));
            await reply.StallAsync();
        });
        await using var second = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        // The clock stands still: neither a heartbeat nor a timeout wakes anybody.
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second), new ManualTimeProvider());
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Patience);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Patience));
        while (!(await reader.ReadLineAsync(Patience))!.Contains("\"b\"", StringComparison.Ordinal))
        {
        }
        await second.NextCallAsync(Patience);
    }
}
