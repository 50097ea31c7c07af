using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Models behind Anthropic's API: what the server is sent, and what a client of OpenAI's API sees of its answers.</summary>
public sealed class AnthropicUpstreamTests
{
    private const string Key = "sk-ant-0123456789";
    private const string Usage = ",\"stream_options\":{\"include_usage\":true}";

    private static string Upstream(ScriptedUpstream upstream, string more = "") => $"{{kind: anthropic, url: \"{upstream.Url}\", api_key: {Key}{more}}}";

    private static string Model(ScriptedUpstream upstream, string more = "", int retries = 0) => $"  - id: m\n    retries: {retries}\n    upstreams: [{Upstream(upstream, more)}]\n";

    private static async Task<(HttpStatusCode Status, JsonNode Error)> ErrorAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain(Key, body, StringComparison.Ordinal);
        return (response.StatusCode, JsonNode.Parse(body)!["error"]!);
    }

    [Fact]
    public async Task The_server_is_asked_in_its_own_words_and_with_the_hubs_own_key()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("Hel", "lo"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream, ", model: claude-x, default_max_tokens: 99, headers: {anthropic-beta: some-beta}"));
        using var response = await hub.PostAsync(
            UpstreamHub.Ask(more: Usage), default, ("Authorization", "Bearer client-key"), ("x-api-key", "client-key"), ("anthropic-version", "1999-01-01"));
        var events = await UpstreamHub.EventsAsync(response);

        var call = upstream.Calls.Single();
        Assert.Equal("/v1/messages", call.Target);
        Assert.Equal((Key, "2026-10-21", "some-beta", "application/json"), (call.Headers["x-api-key"], call.Headers["anthropic-version"], call.Headers["anthropic-beta"], call.Headers["content-type"]));
        Assert.False(call.Headers.ContainsKey("authorization"));
        Assert.DoesNotContain(call.Headers, header => header.Value.Contains("client-key", StringComparison.Ordinal));
        Assert.Equal("""{"model":"claude-x","max_tokens":99,"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}""", call.Body);

        Assert.Equal("""{"role":"assistant","content":"","refusal":null}""", Delta(events[0]));
        Assert.Equal(["""{"content":"Hel"}""", """{"content":"lo"}""", "{}"], events[1..4].Select(Delta));
        Assert.Contains("\"model\":\"m\"", events[4], StringComparison.Ordinal);
        Assert.Contains("\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":15,\"total_tokens\":40,", events[4], StringComparison.Ordinal);
        Assert.Equal("[DONE]", events[5]);
        Assert.Equal(6, events.Count);

        static string Delta(string chunk) => JsonNode.Parse(chunk)!["choices"]![0]!["delta"]!.ToJsonString();
    }

    [Fact]
    public async Task The_version_before_has_sampling()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream, ", api_version: 2023-06-01"));
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"temperature\":0.5"));
        await UpstreamHub.EventsAsync(response);
        Assert.Equal("2023-06-01", upstream.Calls[0].Headers["anthropic-version"]);
        Assert.Contains("\"temperature\":0.5", upstream.Calls[0].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_configured_header_replaces_the_hubs()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{kind: anthropic, url: \"{upstream.Url}\", headers: {{anthropic-version: 2030-01-01, Authorization: Bearer t}}}}]\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        await UpstreamHub.EventsAsync(response);
        var headers = upstream.Calls.Single().Headers;
        Assert.Equal(("2030-01-01", "Bearer t"), (headers["anthropic-version"], headers["authorization"]));
        Assert.False(headers.ContainsKey("x-api-key"));
    }

    [Fact]
    public async Task An_answer_that_is_no_stream_has_thinking_text_calls_and_usage()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Events(
        [
            Start(",\"cache_read_input_tokens\":5"), Block(0, """{"type":"thinking","thinking":"","signature":""}"""),
            ScriptedMessages.Delta(0, """{"type":"thinking_delta","thinking":"Hm"}"""), ScriptedMessages.Delta(0, """{"type":"signature_delta","signature":"c2ln"}"""), End(0),
            .. TextBlock(1, "One ", "moment."), .. ToolBlock(2, "toolu_1", "f", "{\\\"x\\\"", ":1}"), Finish("tool_use"), Stop,
        ]));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(stream: false, more: """,\"tools\":[{"type":"function","function":{"name":"f"}}]""".Replace("\\", "", StringComparison.Ordinal)));
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        var message = answer["choices"]![0]!["message"]!;
        Assert.Equal(("One moment.", "Hm", "tool_calls"), ((string?)message["content"], (string?)message["reasoning_content"], (string?)answer["choices"]![0]!["finish_reason"]));
        Assert.Equal("""[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\u0022x\u0022:1}"}}]""", message["tool_calls"]!.ToJsonString());
        Assert.Equal("""{"thinking":[{"type":"thinking","thinking":"Hm","signature":"c2ln"}]}""", message["sluice"]!.ToJsonString());
        Assert.Equal("""{"prompt_tokens":30,"completion_tokens":15,"total_tokens":45,"prompt_tokens_details":{"cached_tokens":5,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}""", answer["usage"]!.ToJsonString());

        // The message as it came is what the next request has, and the server gets back what it signed.
        var next = $$"""{"model":"m","messages":[{"role":"user","content":"Hi"},{{message.ToJsonString()}},{"role":"tool","tool_call_id":"toolu_1","content":"1"}]}""";
        using var second = await hub.PostAsync(next);
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        var sent = JsonNode.Parse(upstream.Calls[1].Body)!["messages"]![1]!["content"]!.AsArray();
        Assert.Equal(["thinking", "text", "tool_use"], sent.Select(block => (string?)block!["type"]));
        Assert.Equal("c2ln", (string?)sent[0]!["signature"]);
    }

    [Fact]
    public async Task A_529_is_tried_elsewhere_and_otherwise_told_as_an_overload()
    {
        var overloaded = ScriptedUpstream.Refuses(529, Error("overloaded_error", "Overloaded"));
        await using var first = await ScriptedUpstream.StartAsync(overloaded);
        await using var second = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{Upstream(first)}, {Upstream(second)}]\n  - id: alone\n    retries: 1\n    upstreams: [{Upstream(first)}]\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Contains("\"x\"", (await UpstreamHub.EventsAsync(response))[1], StringComparison.Ordinal);
        Assert.Single(first.Calls);
        using var failed = await hub.PostAsync(UpstreamHub.Ask("alone"));
        var (status, error) = await ErrorAsync(failed);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "Overloaded", "overloaded_error"), (status, (string?)error["message"], (string?)error["type"]));
        Assert.Equal(3, first.Calls.Count);
    }

    [Theory]
    [InlineData(400, "invalid_request_error", "messages.0: wrong, key sk-ant-0123456789", 400, "messages.0: wrong, key ***", null)]
    [InlineData(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", 400, "prompt is too long: 210000 tokens > 200000 maximum", "context_length_exceeded")]
    [InlineData(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", 502, "The model's server does not accept the hub's credentials: Your credit balance is too low to access the Anthropic API.", "upstream_authentication")]
    [InlineData(401, "authentication_error", "invalid x-api-key sk-ant-0123456789", 502, "The model's server does not accept the hub's credentials.", "upstream_authentication")]
    [InlineData(404, "not_found_error", "model: m", 404, "model: m", null)]
    [InlineData(413, "request_too_large", "Request exceeds the maximum size", 413, "Request exceeds the maximum size", null)]
    [InlineData(429, "rate_limit_error", "Slow down", 429, "Slow down", null)]
    [InlineData(500, "api_error", "Internal server error", 502, "Internal server error", null)]
    public async Task Errors_are_told_in_OpenAIs_form_and_without_the_key(int status, string type, string message, int expectedStatus, string expected, string? code)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, Error(type, message)));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var (actual, error) = await ErrorAsync(response);
        Assert.Equal((expectedStatus, expected, code), ((int)actual, (string?)error["message"], (string?)error["code"]));
        Assert.Equal(4, error.AsObject().Count);
    }

    [Fact]
    public async Task A_prompt_that_is_too_long_goes_to_the_fallback()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(400, Error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")));
        await using var larger = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream) + "    fallbacks: [large]\n" + UpstreamHub.Model("large", larger));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Contains("\"model\":\"m\"", (await UpstreamHub.EventsAsync(response))[1], StringComparison.Ordinal);
        Assert.Single(larger.Calls);
    }

    [Fact]
    public async Task What_it_has_no_word_for_is_asked_of_a_server_that_has()
    {
        await using var anthropic = await ScriptedUpstream.StartAsync(Says("x"));
        await using var openai = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("y"));
        await using var hub = await UpstreamHub.StartAsync(
            $"  - id: m\n    retries: 0\n    upstreams: [{Upstream(anthropic)}, {{url: \"{openai.Url}\"}}]\n  - id: alone\n    upstreams: [{Upstream(anthropic)}]\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"logprobs\":true"));
        Assert.Contains("\"y\"", (await UpstreamHub.EventsAsync(response))[1], StringComparison.Ordinal);
        using var refused = await hub.PostAsync(UpstreamHub.Ask("alone", more: ",\"logprobs\":true"));
        var (status, error) = await ErrorAsync(refused);
        Assert.Equal((HttpStatusCode.BadRequest, "logprobs", "unsupported_parameter"), (status, (string?)error["param"], (string?)error["code"]));
        Assert.Empty(anthropic.Calls);
    }

    [Fact]
    public async Task What_it_has_no_word_for_says_less_than_the_failure_of_a_server_that_was_asked()
    {
        await using var anthropic = await ScriptedUpstream.StartAsync(Says("x"));
        await using var openai = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, """{"error":{"message":"broken"}}"""));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 1\n    upstreams: [{{url: \"{openai.Url}\"}}, {Upstream(anthropic)}]\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"n\":2"));
        var (status, error) = await ErrorAsync(response);
        Assert.Equal((HttpStatusCode.BadGateway, "broken"), (status, (string?)error["message"]));
        Assert.Equal(2, openai.Calls.Count);
        Assert.Empty(anthropic.Calls);
    }

    [Fact]
    public async Task An_error_event_before_content_is_tried_again_and_after_it_breaks_the_answer_off()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            Events(Start(), Error("overloaded_error", "Overloaded")),
            Events(Start(), Block(0, """{"type":"text","text":""}"""), Text("x"), Error("overloaded_error", $"Overloaded {Key}")));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream, retries: 1) + "    rescue: off\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.Equal(3, events.Count);
        Assert.Equal("""{"error":{"message":"Overloaded ***","type":"overloaded_error","param":null,"code":null}}""", events[2]);
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_is_gone_on_with_where_another_attempt_repeats_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            Events(Start(), Block(0, """{"type":"text","text":""}"""), Text("Hel"), Error("api_error", "Internal server error")), Says("Hello", " world"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream, retries: 2));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var events = await UpstreamHub.EventsAsync(response);
        var text = string.Concat(events[..^1].Select(chunk => (string?)JsonNode.Parse(chunk)!["choices"]![0]!["delta"]!["content"]));
        Assert.Equal("Hello world", text);
        Assert.Equal("[DONE]", events[^1]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task R11_R12_without_its_last_event_an_answer_is_whole_if_it_was_finished(bool isFinished)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Events([Start(), .. TextBlock(0, "x"), .. isFinished ? new[] { Finish() } : []]));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.Equal(isFinished, isWhole);
        Assert.Equal(isFinished, events[^1] == "[DONE]");
        if (!isFinished) Assert.Contains("upstream_truncated", events[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_ends_the_servers_work()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.SendAsync(Frame(Start(), Block(0, """{"type":"text","text":""}"""), Text("x")));
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.NotEqual(0, await (await response.Content.ReadAsStreamAsync()).ReadAsync(new byte[10]));
        response.Dispose();
        await upstream.Calls.Single().Aborted.WaitAsync(TimeSpan.FromSeconds(60));
    }
}
