using System.Net;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>What happens until there is content: retries, failover, fallbacks, timeouts; and what the client is told when nothing helps.</summary>
public sealed class FailurePolicyTests
{
    private const string Overloaded = """{"error":{"message":"busy","type":"overloaded","param":null,"code":503}}""";

    private static readonly Func<UpstreamReply, Task> s_down = ScriptedUpstream.Refuses(503, Overloaded);
    private static readonly Func<UpstreamReply, Task> s_ok = ScriptedUpstream.Says("ok");

    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    private static async Task<(HttpStatusCode Status, string Body, HttpResponseMessage Response)> AskAsync(UpstreamHub hub, string model = "m", string more = "")
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask(model, more: more));
        return (response.StatusCode, await response.Content.ReadAsStringAsync(), response);
    }

    [Fact]
    public async Task R05_a_500_once_is_not_seen()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "oops"), s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        Assert.Contains("\"ok\"", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task R04_a_429_is_passed_on_with_its_time_when_it_lasts()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(429, """{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}""", ("Retry-After", "30")));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var (status, body, response) = await AskAsync(hub);
        Assert.Equal(HttpStatusCode.TooManyRequests, status);
        Assert.Equal(TimeSpan.FromSeconds(30), response.Headers.RetryAfter!.Delta);
        Assert.Equal("""{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}""", body);
        // Half a minute is for the client to wait, not for the hub.
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task S01_a_short_Retry_After_is_waited_for()
    {
        var clock = new ManualTimeProvider();
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(429, "{}", ("Retry-After", "2")), s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), clock);
        var asking = hub.PostAsync(UpstreamHub.Ask());
        await upstream.NextCallAsync(Patience);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(1999), () => Assert.Single(upstream.Calls));
        await upstream.NextCallAsync(Patience);
        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task S02_persistent_429s_fail_over()
    {
        await using var first = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(429, "{}"));
        await using var second = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second));
        Assert.Contains("\"ok\"", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Single(first.Calls);
    }

    [Fact]
    public async Task S04_S16_a_server_that_is_down_gives_way_to_the_fallback_which_is_named()
    {
        await using var first = await ScriptedUpstream.StartAsync(s_down);
        await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            [.. new[] { ScriptedUpstream.Role(), ScriptedUpstream.Text("ok"), ScriptedUpstream.Finish() }.Select(frame => frame.Replace("\"m\"", "\"small\"", StringComparison.Ordinal))]));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first) + "    fallbacks: [small]\n" + UpstreamHub.Model("small", other));
        var (_, body, _) = await AskAsync(hub, more: ",\"stream_options\":{\"include_usage\":true}");
        Assert.Contains("\"ok\"", body, StringComparison.Ordinal);
        Assert.DoesNotContain("\"model\":\"m\"", body, StringComparison.Ordinal);
        Assert.Contains("\"model\":\"small\"", body, StringComparison.Ordinal);
        Assert.Contains("\"usage\":{", body, StringComparison.Ordinal);
        Assert.Equal((3, 1), (first.Calls.Count, other.Calls.Count));
        Assert.Contains("\"model\":\"small\"", other.Calls[0].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task R06_S05_a_cut_before_headers_is_retried_and_then_502()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(reply =>
        {
            reply.Cut();
            return Task.CompletedTask;
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var (status, body, _) = await AskAsync(hub);
        Assert.Equal(HttpStatusCode.BadGateway, status);
        Assert.Equal("""{"error":{"message":"The model's server can't be reached.","type":"server_error","param":null,"code":"upstream_unreachable"}}""", body);
        Assert.Equal(3, upstream.Calls.Count);
    }

    [Fact]
    public async Task R06_nobody_listens_is_502()
    {
        await using var hub = await UpstreamHub.StartAsync("  - id: m\n    upstreams: [{url: http://127.0.0.1:1/v1}]\n");
        Assert.Equal(HttpStatusCode.BadGateway, (await AskAsync(hub)).Status);
    }

    [Theory]
    [InlineData(503, 503)]
    [InlineData(500, 502)]
    [InlineData(529, 503)]
    [InlineData(504, 504)]
    [InlineData(302, 502)]
    public async Task R15_the_last_failure_is_told_in_the_envelope(int theirs, int ours)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(theirs, Overloaded));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var (status, body, _) = await AskAsync(hub);
        Assert.Equal(ours, (int)status);
        Assert.Equal("""{"error":{"message":"busy","type":"overloaded","param":null,"code":null}}""", body);
    }

    [Theory]
    [InlineData(400, "{\"error\":\"plain text\"}", "plain text")]
    [InlineData(422, "{\"detail\":\"no such field\"}", "no such field")]
    [InlineData(400, "{\"object\":\"error\",\"message\":\"vllm style\",\"code\":400}", "vllm style")]
    [InlineData(400, "<html>", "The upstream answered with status 400.")]
    public async Task S13_a_refusal_is_passed_on_once_with_its_reason(int status, string body, string message)
    {
        await using var first = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, body));
        await using var other = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, other) + "    fallbacks: [small]\n" + UpstreamHub.Model("small", other));
        var answer = await AskAsync(hub);
        Assert.Equal(status, (int)answer.Status);
        Assert.Equal($$$"""{"error":{"message":"{{{message}}}","type":"invalid_request_error","param":null,"code":null}}""", answer.Body);
        Assert.Equal((1, 0), (first.Calls.Count, other.Calls.Count));
    }

    [Theory]
    [InlineData(400, "{\"error\":{\"message\":\"Your credit balance is too low.\",\"type\":\"invalid_request_error\"}}")]
    [InlineData(422, "{\"detail\":\"Insufficient balance\"}")]
    [InlineData(406, "{\"error\":{\"message\":\"You exceeded your current quota, please check your plan.\"}}")]
    public async Task An_account_that_is_spent_gives_way_to_the_next_upstream_whatever_the_status(int status, string body)
    {
        await using var first = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, body));
        await using var other = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, other));
        Assert.Contains("\"ok\"", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Equal((1, 1), (first.Calls.Count, other.Calls.Count));
    }

    [Theory]
    [InlineData(401, "{}", 1)]
    [InlineData(402, "{}", 1)]
    [InlineData(403, "{\"error\":{\"message\":\"Forbidden\"}}", 1)]
    [InlineData(429, "{\"error\":{\"message\":\"You exceeded your current quota.\",\"code\":\"insufficient_quota\"}}", 1)]
    [InlineData(403, "{\"error\":{\"message\":\"Project `p` does not have access to model `a`\",\"code\":\"model_not_found\"}}", 2)]
    [InlineData(404, "{}", 2)]
    public async Task A_rejected_key_is_left_alone_by_every_model_that_sends_it(int status, string body, int calls)
    {
        await using var first = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, body), ScriptedUpstream.Refuses(status, body), s_ok);
        await using var other = await ScriptedUpstream.StartAsync(s_ok);
        string Models(string model, string key) => $"  - id: {model}\n    upstreams:\n      - {{url: \"{first.Url}\", api_key: {key}}}\n      - url: \"{other.Url}\"\n";
        await using var hub = await UpstreamHub.StartAsync(Models("m", "hub-secret") + Models("a", "hub-secret") + Models("b", "hub-other"));
        foreach (var model in (string[])["m", "a"])
        {
            Assert.Contains("\"ok\"", (await AskAsync(hub, model)).Body, StringComparison.Ordinal);
        }
        Assert.Equal(calls, first.Calls.Count);
        Assert.Contains("\"ok\"", (await AskAsync(hub, "b")).Body, StringComparison.Ordinal);
        Assert.Equal(calls + 1, first.Calls.Count);
    }

    [Fact]
    public async Task S12_a_prompt_too_long_goes_to_the_fallback_at_once()
    {
        await using var first = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(400, """{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"""));
        await using var other = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, first) + "    fallbacks: [large]\n" + UpstreamHub.Model("large", other));
        Assert.Contains("\"ok\"", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Single(first.Calls);
    }

    [Fact]
    public async Task A_wrong_key_of_the_hub_is_no_fault_of_the_client_and_not_shown()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(401, """{"error":{"message":"Incorrect API key provided: hub-secret","code":"invalid_api_key"}}"""));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\", api_key: hub-secret}}]\n");
        var (status, body, response) = await AskAsync(hub);
        Assert.Equal(HttpStatusCode.BadGateway, status);
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        Assert.Contains("upstream_authentication", body, StringComparison.Ordinal);
        Assert.DoesNotContain("hub-secret", body, StringComparison.Ordinal);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task A_key_in_a_message_is_blackened()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(400, """{"error":{"message":"the key hub-secret is odd"}}"""));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\", api_key: hub-secret}}]\n");
        Assert.Contains("the key *** is odd", (await AskAsync(hub)).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task R07_what_is_not_to_be_retried_is_not()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(429, "{}", ("x-should-retry", "false")));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var (status, _, response) = await AskAsync(hub);
        Assert.Equal(HttpStatusCode.TooManyRequests, status);
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        Assert.Single(upstream.Calls);
    }

    [Theory]
    [InlineData("empty")]
    [InlineData("role")]
    [InlineData("error")]
    public async Task A_stream_that_fails_before_content_is_tried_again(string fault)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            async reply =>
            {
                if (fault != "empty") await reply.EventAsync(ScriptedUpstream.Role());
                if (fault == "error") await reply.EventAsync("""{"error":{"message":"x","code":502}}""");
                if (fault == "empty") await reply.SendAsync(": hi\n\n");
            },
            s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([ScriptedUpstream.Role(), ScriptedUpstream.Text("ok"), ScriptedUpstream.Finish(), "[DONE]"], await UpstreamHub.EventsAsync(response));
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task S06_S07_a_silent_upstream_is_left_after_first_token_and_not_asked_again(bool sendsRole)
    {
        var clock = new ManualTimeProvider();
        await using var silent = await ScriptedUpstream.StartAsync(async reply =>
        {
            // Neither a role nor a comment is a token.
            if (sendsRole) await reply.SendAsync($": processing\n\ndata: {ScriptedUpstream.Role()}\n\n");
            await reply.StallAsync();
        });
        await using var other = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", silent, other), clock);
        var asking = hub.PostAsync(UpstreamHub.Ask());
        var call = await silent.NextCallAsync(Patience);
        await AdvanceUntilAsync(clock, TimeSpan.FromSeconds(10), TimeSpan.FromMilliseconds(9_999), () => Assert.Empty(other.Calls));
        await call.Aborted.WaitAsync(Patience);
        await other.NextCallAsync(Patience);
        using var response = await asking;
        Assert.Equal([ScriptedUpstream.Role(), ScriptedUpstream.Text("ok"), ScriptedUpstream.Finish(), "[DONE]"], await UpstreamHub.EventsAsync(response));
        Assert.Single(silent.Calls);
    }

    [Fact]
    public async Task The_last_upstream_may_be_silent_until_total()
    {
        var clock = new ManualTimeProvider();
        await using var upstream = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    timeouts: {total: 9s}\n", clock);
        var asking = hub.PostAsync(UpstreamHub.Ask());
        await upstream.NextCallAsync(Patience);
        clock.Advance(TimeSpan.FromMilliseconds(8_999));
        Assert.False(asking.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        using var response = await asking;
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task S09_a_stall_in_mid_stream_is_an_error_after_the_last_idle_time()
    {
        var clock = new ManualTimeProvider();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await reply.StallAsync();
        });
        // A minute passes in one moment, in which a heartbeat is written: that is no stuck write.
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), clock, UpstreamHub.QuickLimits with { WriteStalled = TimeSpan.FromHours(1) });
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        await ReadUntilAsync(reader, "\"content\":\"a\"");
        var call = upstream.Calls.Single();
        clock.Advance(TimeSpan.FromMilliseconds(59_999));
        Assert.False(call.Aborted.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await call.Aborted.WaitAsync(Patience);
        await ReadUntilAsync(reader, "\"code\":\"upstream_stalled\"");
        // After the lead of the error event the body is aborted.
        var rest = reader.ReadToEndAsync();
        while (!rest.IsCompleted)
        {
            clock.Advance(TimeSpan.FromMilliseconds(20));
            await Task.Yield();
        }
        await Assert.ThrowsAnyAsync<Exception>(() => rest);
    }

    private static async Task ReadUntilAsync(StreamReader reader, string text)
    {
        while (!(await reader.ReadLineAsync(Patience) ?? throw new EndOfStreamException(text)).Contains(text, StringComparison.Ordinal))
        {
        }
    }

    [Fact]
    public async Task After_a_finish_the_end_is_waited_for_two_seconds()
    {
        var clock = new ManualTimeProvider();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), clock);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        await ReadUntilAsync(reader, "\"role\"");
        var rest = reader.ReadToEndAsync(Patience);
        clock.Advance(TimeSpan.FromMilliseconds(1_999));
        Assert.False(rest.IsCompleted);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.EndsWith("\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", await rest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S15_an_upstream_that_keeps_failing_is_left_alone_and_probed()
    {
        var clock = new ManualTimeProvider();
        await using var first = await ScriptedUpstream.StartAsync(s_down, s_down, s_down, s_down, s_ok);
        await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("other"));
        var limits = UpstreamHub.QuickLimits with { BackoffFirst = TimeSpan.Zero };
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first) + "    fallbacks: [small]\n" + UpstreamHub.Model("small", other), clock, limits);
        Assert.Contains("other", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Equal(3, first.Calls.Count);
        for (var i = 0; i < 3; i++) Assert.Contains("other", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Equal(3, first.Calls.Count);

        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Contains("other", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Equal(4, first.Calls.Count);

        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Contains("\"ok\"", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Contains("\"ok\"", (await AskAsync(hub)).Body, StringComparison.Ordinal);
        Assert.Equal(6, first.Calls.Count);
    }

    [Fact]
    public async Task The_hubs_own_engine_can_be_the_fallback()
    {
        var own = $"    fallbacks: [own]\n  - id: own\n    gguf: {TestFiles.DefaultModel}\n";
        await using var first = await ScriptedUpstream.StartAsync(s_down);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first) + own);
        var (status, body, _) = await AskAsync(hub, more: ",\"max_tokens\":2");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Contains("\"model\":\"own\"", body, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);

        // What it can't do is no answer to a client that has asked somebody else.
        (status, body, _) = await AskAsync(hub, more: ",\"modalities\":[\"text\",\"audio\"]");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
    }

    [Fact]
    public async Task Models_of_all_kinds_are_listed()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("far", upstream) + "    aliases: [gpt-4.1]\n");
        var list = await hub.Http.GetStringAsync(new Uri("/v1/models", UriKind.Relative));
        Assert.Contains("\"id\":\"far\"", list, StringComparison.Ordinal);
        Assert.Contains("\"id\":\"gpt-4.1\"", list, StringComparison.Ordinal);
        Assert.DoesNotContain(upstream.Url, list, StringComparison.Ordinal);
        Assert.Empty(upstream.Calls);
    }

    // Beside the timers of the held headers and of the whole answer there is the one that the test is about.
    private static async Task AdvanceUntilAsync(ManualTimeProvider clock, TimeSpan due, TimeSpan before, Action stillWaiting)
    {
        while (clock.PendingTimerCount < 3 || !clock.HasTimerIn(due)) await Task.Yield();
        clock.Advance(before);
        stillWaiting();
        clock.Advance(due - before);
    }

    [Fact]
    public async Task The_fallback_of_a_local_model_has_its_own_time()
    {
        var clock = new ManualTimeProvider();
        var file = Path.Combine(Directory.CreateTempSubdirectory("sluice-").FullName, "broken.gguf");
        await File.WriteAllTextAsync(file, "no model");
        await using var upstream = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: local, gguf: \"{file}\", fallbacks: [m]}}\n" + UpstreamHub.Model("m", upstream) + "    timeouts: {total: 8s}\n", clock);
        var asking = hub.PostAsync(UpstreamHub.Ask("local"), Patience);
        await upstream.NextCallAsync(Patience);
        clock.Advance(TimeSpan.FromSeconds(8));
        using var response = await asking;
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Directory.Delete(Path.GetDirectoryName(file)!, true);
    }
}
