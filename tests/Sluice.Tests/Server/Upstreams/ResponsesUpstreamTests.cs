using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Models behind the Responses API: what the server is sent, and what a client of chat completions sees of its answers.</summary>
public sealed class ResponsesUpstreamTests
{
    private const string Key = "sk-up-0123456789";
    private const string Usage = ",\"stream_options\":{\"include_usage\":true}";
    private const string Rest = ",\"include\":[\"reasoning.encrypted_content\"],\"store\":false,\"stream\":true}";

    private static string Upstream(ScriptedUpstream upstream, string more = "") => $"{{kind: responses, url: \"{upstream.Url}\", api_key: {Key}{more}}}";

    private static string Model(ScriptedUpstream upstream, string more = "", int retries = 0) => $"  - id: m\n    retries: {retries}\n    upstreams: [{Upstream(upstream, more)}]\n";

    private static async Task<(HttpStatusCode Status, JsonNode Error)> ErrorAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain(Key, body, StringComparison.Ordinal);
        return (response.StatusCode, JsonNode.Parse(body)!["error"]!);
    }

    private static JsonNode Choice(string chunk) => JsonNode.Parse(chunk)!["choices"]![0]!;

    private static string Delta(string chunk) => Choice(chunk)["delta"]!.ToJsonString();

    [Fact]
    public async Task The_server_is_asked_in_its_own_words_and_with_the_hubs_own_key()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("Hel", "lo"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream, ", model: gpt-x, headers: {x-some: some}"));
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: Usage), default, ("Authorization", "Bearer client-key"));
        var events = await UpstreamHub.EventsAsync(response);

        var call = upstream.Calls.Single();
        Assert.Equal(("/v1/responses", $"Bearer {Key}", "some"), (call.Target, call.Headers["authorization"], call.Headers["x-some"]));
        Assert.Equal("""{"model":"gpt-x","input":[{"type":"message","role":"user","content":"Hi"}]""" + Rest, call.Body);

        Assert.Equal("""{"role":"assistant","content":"","refusal":null}""", Delta(events[0]));
        Assert.Equal(["""{"content":"Hel"}""", """{"content":"lo"}""", "{}"], events[1..4].Select(Delta));
        Assert.Equal(("stop", "m"), ((string?)Choice(events[3])["finish_reason"], (string?)JsonNode.Parse(events[3])!["model"]));
        var usage = JsonNode.Parse(events[4])!["usage"]!;
        Assert.Equal((25, 15, 5, 4), ((int)usage["prompt_tokens"]!, (int)usage["completion_tokens"]!, (int)usage["prompt_tokens_details"]!["cached_tokens"]!, (int)usage["completion_tokens_details"]!["reasoning_tokens"]!));
        Assert.Equal("[DONE]", events[5]);
        Assert.Equal(6, events.Count);
    }

    [Fact]
    public async Task A_parameter_without_a_counterpart_is_a_400_and_costs_nothing()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        foreach (var (more, param) in ((string, string)[])
        [
            (",\"n\":2", "n"), (",\"presence_penalty\":1", "presence_penalty"), (",\"frequency_penalty\":1", "frequency_penalty"), (",\"logit_bias\":{\"1\":1}", "logit_bias"),
            (",\"min_p\":0.1", "min_p"), (",\"top_k\":5", "top_k"), (",\"repetition_penalty\":1.1", "repetition_penalty"), (",\"functions\":[{\"name\":\"f\"}]", "functions"),
            (",\"web_search_options\":{}", "web_search_options"), (",\"modalities\":[\"audio\"]", "modalities"), (",\"previous_response_id\":\"resp_1\"", "previous_response_id"),
            (",\"input\":\"x\"", "input"), (",\"stop\":\"x\",\"logprobs\":true", "stop"),
        ])
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask(more: more));
            var (status, error) = await ErrorAsync(response);
            Assert.Equal((HttpStatusCode.BadRequest, param), (status, (string?)error["param"]));
        }
        Assert.Empty(upstream.Calls);
    }

    [Fact]
    public async Task Events_cut_at_every_byte_are_the_same_answer()
    {
        var wire = System.Text.Encoding.UTF8.GetBytes(Frame([.. Start(), .. Reasoning(0, "Hm"), .. Message(1, "Grü", "ß"), .. CallOf(2, "c", "f", "{}"), Completed()]));
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var value in wire) await reply.SendAsync(new[] { value });
        });
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(stream: false));
        var choice = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["choices"]![0]!;
        var message = choice["message"]!;
        Assert.Equal(
            ("Grüß", "Hm", "f", "tool_calls"),
            ((string?)message["content"], (string?)message["reasoning_content"], (string?)message["tool_calls"]![0]!["function"]!["name"], (string?)choice["finish_reason"]));
    }

    [Fact]
    public async Task Sealed_reasoning_goes_back_to_the_server_that_it_came_from()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Events([.. Start(), .. Reasoning(0, "Let me see."), .. CallOf(1, "call_a", "f", "{}"), Completed()]), Says("Done"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        const string Tools = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]";
        using var first = await hub.PostAsync(UpstreamHub.Ask(stream: false, more: Tools));
        var message = JsonNode.Parse(await first.Content.ReadAsStringAsync())!["choices"]![0]!["message"]!;
        Assert.Equal("Let me see.", (string?)message["reasoning_content"]);
        using var second = await hub.PostAsync(
            $$"""{"model":"m","messages":[{"role":"user","content":"Hi"},{{message.ToJsonString()}},{"role":"tool","tool_call_id":"call_a","content":"ok"}]{{Tools}}}""");
        Assert.Contains("Done", await second.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        var input = JsonNode.Parse(upstream.Calls[1].Body)!["input"]!.AsArray();
        Assert.Equal(["message", "reasoning", "function_call", "function_call_output"], input.Select(item => (string?)item!["type"]));
        Assert.Equal(ReasoningItem(0, "Let me see."), input[1]!.ToJsonString());
    }

    [Fact]
    public async Task A_failure_before_content_goes_to_the_next_server_also_of_another_kind()
    {
        await using var failing = await ScriptedUpstream.StartAsync(Events([.. Start(), Failed("server_error", "Oh.")]));
        await using var chat = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("chat"));
        await using var cut = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "{}"));
        await using var responses = await ScriptedUpstream.StartAsync(Says("responses"));
        await using var hub = await UpstreamHub.StartAsync(
            $"  - id: m\n    retries: 1\n    upstreams: [{Upstream(failing)}, {{url: \"{chat.Url}\"}}]\n  - id: n\n    retries: 1\n    upstreams: [{{url: \"{cut.Url}\"}}, {Upstream(responses)}]\n");
        foreach (var (model, text) in ((string, string)[])[("m", "chat"), ("n", "responses")])
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask(model));
            Assert.Contains($"\"content\":\"{text}\"", string.Concat(await UpstreamHub.EventsAsync(response)), StringComparison.Ordinal);
        }
        Assert.Equal((1, 1, 1, 1), (failing.Calls.Count, chat.Calls.Count, cut.Calls.Count, responses.Calls.Count));
    }

    [Fact]
    public async Task A_parameter_that_only_chat_has_goes_to_the_server_that_speaks_it()
    {
        await using var responses = await ScriptedUpstream.StartAsync(Says("responses"));
        await using var chat = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("chat"));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{Upstream(responses)}, {{url: \"{chat.Url}\"}}]\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"presence_penalty\":1"));
        Assert.Contains("\"content\":\"chat\"", string.Concat(await UpstreamHub.EventsAsync(response)), StringComparison.Ordinal);
        Assert.Empty(responses.Calls);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_end_without_its_event_is_a_failure(bool saysDone)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.SendAsync(Frame([.. Start(), .. Message(0, "a")]));
            if (saysDone) await reply.EventAsync("[DONE]");
        });
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.Contains("\"error\"", events[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_after_content_ends_the_stream_with_its_error()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Events([.. Start(), .. Message(0, "a"), Failed("server_error", "Oh.")]));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.Contains("Oh.", events[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_sequence_ends_the_answer_and_the_request()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.SendAsync(Frame([.. Start(), .. Message(0, "Hello EN", "D more")[..4]]));
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"stop\":[\"END\"]"));
        var events = await UpstreamHub.EventsAsync(response);
        Assert.Equal("Hello ", string.Concat(events[..^1].Select(data => (string?)Choice(data)["delta"]!["content"])));
        Assert.Equal("stop", (string?)Choice(events[^2])["finish_reason"]);
        await upstream.Calls[0].Aborted.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_server_that_gives_no_streams_is_asked_for_an_object()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(400, """{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}"""),
            ScriptedUpstream.Refuses(200, Response("completed", MessageItem(0, "Hello"))));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Contains("\"content\":\"Hello\"", string.Concat(await UpstreamHub.EventsAsync(response)), StringComparison.Ordinal);
        Assert.DoesNotContain("\"stream\"", upstream.Calls[1].Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(400, "{\"error\":{\"message\":\"Your input exceeds the context window of this model.\",\"type\":\"invalid_request_error\",\"param\":\"input\",\"code\":\"context_length_exceeded\"}}", 400, "context_length_exceeded")]
    [InlineData(429, "{\"error\":{\"message\":\"Slow down.\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}", 429, "rate_limit_exceeded")]
    public async Task A_refusal_keeps_its_status_and_code(int status, string body, int expected, string code)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, body));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var (actual, error) = await ErrorAsync(response);
        Assert.Equal((expected, code), ((int)actual, (string?)error["code"]));
    }
}
