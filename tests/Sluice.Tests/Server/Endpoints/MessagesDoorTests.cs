using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Server.Routing;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.Tests.Server.Endpoints;

/// <summary><c>/v1/messages</c> and what stands beside it, over the whole hub: local engine, chat upstreams and Anthropic's own.</summary>
public sealed class MessagesDoorTests
{
    private const string Door = "/v1/messages";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Ask(string model = "m", bool stream = true, string more = "", string content = "Hi") =>
        $$"""{"model":"{{model}}","max_tokens":50,"stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{content}}"}]{{more}}}""";

    private static string Anthropic(ScriptedUpstream upstream, string more = "") =>
        $"  - id: m\n    retries: 0\n    rescue: off\n    upstreams: [{{kind: anthropic, url: \"{upstream.Url}\", api_key: sk-ant-0123456789{more}}}]\n";

    private static Task<HttpResponseMessage> PostAsync(HttpClient http, string body, string path = Door, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage response) => JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancellation))!;

    private static async Task<(List<string> Names, bool IsWhole, List<JsonNode> Data)> EventsAsync(HttpResponseMessage response)
    {
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        var data = events.ConvertAll(text => JsonNode.Parse(text)!);
        return (data.ConvertAll(node => (string)node["type"]!), isWhole, data);
    }

    private static string TextOf(List<JsonNode> data) => string.Concat(data.Select(node => (string?)node["delta"]?["text"]));

    [Fact]
    public async Task Door_070_071_078_the_local_engine_answers_streamed_and_whole()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["Hi"] = new Script().Say(" one two");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var streamed = await PostAsync(http, Ask("scripted"), Door + "?beta=true");
        Assert.Equal(HttpStatusCode.OK, streamed.StatusCode);
        var (names, isWhole, data) = await EventsAsync(streamed);
        Assert.True(isWhole);
        Assert.Equal(["message_start", "content_block_start"], names[..2]);
        Assert.Equal(["content_block_stop", "message_delta", "message_stop"], names[^3..]);
        Assert.All(names[2..^3], static name => Assert.Equal("content_block_delta", name));
        var started = data[0]["message"]!;
        Assert.StartsWith("msg_", (string?)started["id"], StringComparison.Ordinal);
        Assert.True((int)started["usage"]!["input_tokens"]! > 0);
        Assert.Equal("end_turn", (string?)data[^2]["delta"]!["stop_reason"]);

        using var whole = await PostAsync(http, Ask("scripted", stream: false));
        Assert.Equal(whole.Headers.GetValues("request-id"), whole.Headers.GetValues("x-request-id"));
        var message = await JsonAsync(whole);
        Assert.Equal(("message", " one two", "end_turn"), ((string?)message["type"], (string?)message["content"]![0]!["text"], (string?)message["stop_reason"]));
        Assert.Equal(" one two", TextOf(data));

        // Counted, not guessed, and the same that the answer took.
        using var counted = await PostAsync(http, """{"model":"scripted","messages":[{"role":"user","content":"Hi"}]}""", Door + "/count_tokens");
        Assert.False(counted.Headers.Contains("Sluice-Estimated"));
        Assert.Equal((int)started["usage"]!["input_tokens"]!, (int)(await JsonAsync(counted))["input_tokens"]!);
        var usage = message["usage"]!;
        Assert.Equal((int)started["usage"]!["input_tokens"]!, (int)usage["input_tokens"]! + (int)usage["cache_read_input_tokens"]!);
    }

    [Fact]
    public async Task Door_098_a_stop_sequence_that_the_local_engine_meets_is_told()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["Hi"] = new Script().Say(" one two three");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var response = await PostAsync(http, Ask("scripted", stream: false, more: ",\"stop_sequences\":[\" four\",\" two\"]"));
        var message = await JsonAsync(response);
        Assert.Equal((" one", "stop_sequence", " two"), ((string?)message["content"]![0]!["text"], (string?)message["stop_reason"], (string?)message["stop_sequence"]));
    }

    [Fact]
    public async Task Door_100_a_message_that_was_streamed_is_given_whole_by_its_id()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["Hi"] = new Script().Say(" one two");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var streamed = await PostAsync(http, Ask("scripted"), Door, ("Idempotency-Key", "k"));
        var (_, _, data) = await EventsAsync(streamed);
        var id = (string)data[0]["message"]!["id"]!;
        using var kept = await http.GetAsync(new Uri($"{Door}/{id}", UriKind.Relative), Cancellation);
        var message = await JsonAsync(kept);
        Assert.Equal((id, " one two", "completed"), ((string?)message["id"], (string?)message["content"]![0]!["text"], (string?)message["sluice"]!["state"]));
    }

    [Fact]
    public async Task A_chat_upstream_answers_in_the_clients_words()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), ScriptedUpstream.Chunk("""{"index":0,"delta":{"reasoning_content":"Hm"},"finish_reason":null}"""), ScriptedUpstream.Text("Hel"), ScriptedUpstream.Text("lo"),
            ScriptedUpstream.Finish(), ScriptedUpstream.Usage()));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await PostAsync(hub.Http, Ask(stream: false, more: ",\"system\":\"Be brief.\""), Door, ("anthropic-beta", "b"), ("anthropic-version", "2023-06-01"));
        var message = await JsonAsync(response);
        Assert.Equal(["thinking", "text"], message["content"]!.AsArray().Select(block => (string?)block!["type"]));
        Assert.Equal("Hello", (string?)message["content"]![1]!["text"]);
        Assert.Equal((7, 3), ((int)message["usage"]!["input_tokens"]!, (int)message["usage"]!["output_tokens"]!));
        var call = upstream.Calls.Single();
        Assert.DoesNotContain(call.Headers.Keys, static name => name.StartsWith("anthropic", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(
            """{"model":"m","max_tokens":50,"stream":true,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}}""", call.Body);

        // The thinking comes back as the text that it was.
        var next = $$"""{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":{{message["content"]!.ToJsonString()}}},{"role":"user","content":"And?"}]}""";
        using var second = await PostAsync(hub.Http, next);
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal("Hm", (string?)JsonNode.Parse(upstream.Calls[1].Body)!["messages"]![1]!["reasoning_content"]);
    }

    [Fact]
    public async Task Door_082_Anthropics_own_gets_the_clients_bytes_and_headers_and_gives_its_events()
    {
        string[] events = [Start(), .. TextBlock(0, "Hel", "lo"), Delta(0, """{"type":"brand_new_delta"}"""), Finish(), Stop];
        await using var upstream = await ScriptedUpstream.StartAsync(Events(events));
        await using var hub = await UpstreamHub.StartAsync(Anthropic(upstream, ", model: claude-x"));
        var body = Ask(more: ",\"brand_new\":[1.0]");
        using var response = await PostAsync(hub.Http, body, Door, ("anthropic-beta", "a,b"), ("anthropic-version", "2023-06-01"), ("x-api-key", "client-key"));
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        Assert.Equal(Frame(events).Replace("\"msg_1\"", $"\"{id}\"", StringComparison.Ordinal).Replace("\"claude-x\"", "\"m\"", StringComparison.Ordinal), text);
        var call = upstream.Calls.Single();
        Assert.Equal(("a,b", "2023-06-01", "sk-ant-0123456789"), (call.Headers["anthropic-beta"], call.Headers["anthropic-version"], call.Headers["x-api-key"]));
        Assert.Equal(body.Replace("\"model\":\"m\"", "\"model\":\"claude-x\"", StringComparison.Ordinal), call.Body);
    }

    [Fact]
    public async Task A_message_that_is_not_streamed_is_asked_for_whole_and_passed_on()
    {
        const string Message = """{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"a", "x":1.0}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}""";
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "application/json";
            await reply.SendAsync(Message);
        });
        await using var hub = await UpstreamHub.StartAsync(Anthropic(upstream));
        using var response = await PostAsync(hub.Http, Ask(stream: false));
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        Assert.Equal(Message.Replace("msg_1", id, StringComparison.Ordinal), await response.Content.ReadAsStringAsync(Cancellation));
        Assert.Contains("\"stream\":false", upstream.Calls.Single().Body, StringComparison.Ordinal);
        using var again = await hub.Http.GetAsync(new Uri($"{Door}/{id}?stream=true", UriKind.Relative), Cancellation);
        var (names, _, data) = await EventsAsync(again);
        Assert.Equal(["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"], names);
        Assert.Equal("a", TextOf(data));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Door_080_an_answer_that_breaks_off_ends_in_an_error_event_and_an_abort(bool isFinished)
    {
        string[] events = [Start(), .. TextBlock(0, "x"), .. isFinished ? new[] { Finish() } : []];
        await using var upstream = await ScriptedUpstream.StartAsync(Events(events));
        await using var hub = await UpstreamHub.StartAsync(Anthropic(upstream));
        using var response = await PostAsync(hub.Http, Ask());
        var (names, isWhole, data) = await EventsAsync(response);
        Assert.False(isWhole);
        Assert.Equal("error", names[^1]);
        Assert.DoesNotContain("message_stop", names);
        Assert.Equal(("api_error", response.Headers.GetValues("request-id").Single()), ((string?)data[^1]["error"]!["type"], (string?)data[^1]["request_id"]));
    }

    [Theory]
    [InlineData(529, "overloaded_error", "Overloaded", 529, "overloaded_error", "Overloaded")]
    [InlineData(429, "rate_limit_error", "Slow down", 429, "rate_limit_error", "Slow down")]
    [InlineData(400, "invalid_request_error", "messages.0: wrong", 400, "invalid_request_error", "messages.0: wrong")]
    [InlineData(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", 400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")]
    [InlineData(400, "invalid_request_error", "This model's maximum context length is 8 tokens. However, your messages resulted in 11 tokens.", 400, "invalid_request_error", "prompt is too long: 11 tokens > 8 maximum")]
    [InlineData(500, "api_error", "Internal", 500, "api_error", "Internal")]
    [InlineData(413, "request_too_large", "Too large", 413, "request_too_large", "Too large")]
    [InlineData(404, "not_found_error", "model: m", 404, "not_found_error", "model: m")]
    public async Task Door_081_errors_have_Anthropics_form_and_their_words(int status, string type, string message, int expectedStatus, string expectedType, string expected)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, Error(type, message), ("retry-after", "7")));
        await using var hub = await UpstreamHub.StartAsync(Anthropic(upstream));
        using var response = await PostAsync(hub.Http, Ask());
        Assert.Equal(expectedStatus, (int)response.StatusCode);
        var error = await JsonAsync(response);
        Assert.Equal(
            ("error", expectedType, expected, response.Headers.GetValues("request-id").Single()),
            ((string?)error["type"], (string?)error["error"]!["type"], (string?)error["error"]!["message"], (string?)error["request_id"]));
        if (status == 429) Assert.Equal("7", response.Headers.GetValues("retry-after").Single());
    }

    [Theory]
    [InlineData("POST", "/v1/messages", "{", 400, "invalid_request_error")]
    [InlineData("POST", "/v1/messages", "{\"model\":\"nobody\",\"max_tokens\":1,\"messages\":[]}", 404, "not_found_error")]
    [InlineData("POST", "/v1/messages/batches", "{}", 404, "not_found_error")]
    [InlineData("GET", "/v1/messages/batches/b", "", 404, "not_found_error")]
    [InlineData("GET", "/v1/messages/msg_nobody", "", 404, "not_found_error")]
    [InlineData("GET", "/v1/files", "", 404, "not_found_error")]
    [InlineData("GET", "/v1/models/nobody", "", 404, "not_found_error")]
    [InlineData("GET", "/v1/models?limit=0", "", 400, "invalid_request_error")]
    [InlineData("GET", "/v1/models?after_id=nobody", "", 400, "invalid_request_error")]
    [InlineData("GET", "/v1/messages", "", 405, "invalid_request_error")]
    public async Task The_hubs_own_errors_have_Anthropics_form(string method, string path, string body, int status, string type)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Anthropic(upstream));
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body.Length > 0) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        request.Headers.TryAddWithoutValidation("anthropic-version", "2023-06-01");
        using var response = await hub.Http.SendAsync(request, Cancellation);
        var error = await JsonAsync(response);
        Assert.Equal((status, type, response.Headers.GetValues("request-id").Single()), ((int)response.StatusCode, (string?)error["error"]!["type"], (string?)error["request_id"]));
    }

    [Fact]
    public async Task Door_094_tokens_are_counted_by_Anthropic_and_guessed_for_others()
    {
        await using var counting = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "application/json";
            await reply.SendAsync("""{"input_tokens":4711}""");
        });
        await using var chat = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Anthropic(counting, ", model: claude-x") + UpstreamHub.Model("chat", chat));
        using var counted = await PostAsync(hub.Http, """{"model":"m","messages":[{"role":"user","content":"Hi"}]}""", Door + "/count_tokens");
        Assert.Equal("""{"input_tokens":4711}""", await counted.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal(("/v1/messages/count_tokens", """{"model":"claude-x","messages":[{"role":"user","content":"Hi"}]}"""), (counting.Calls.Single().Target, counting.Calls.Single().Body));
        using var guessed = await PostAsync(hub.Http, """{"model":"chat","messages":[{"role":"user","content":"Hi"}]}""", Door + "/count_tokens");
        Assert.Equal("1", guessed.Headers.GetValues("Sluice-Estimated").Single());
        Assert.InRange((int)(await JsonAsync(guessed))["input_tokens"]!, 1, 50);
        using var wrong = await PostAsync(hub.Http, """{"model":"chat","messages":[{"role":"nobody","content":"Hi"}]}""", Door + "/count_tokens");
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
        Assert.Empty(chat.Calls);
    }

    [Fact]
    public async Task Tools_that_the_model_is_not_told_of_are_named()
    {
        const string Tools = ""","tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{"type":"object"}},{"type":"custom","name":"g","input_schema":{"type":"object"}}]""";
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await PostAsync(hub.Http, Ask(stream: false, more: Tools));
        Assert.Equal("""{"ignored_tools":["web_search_20250305"]}""", (await JsonAsync(response))["sluice"]!.ToJsonString());
    }

    [Fact]
    public async Task A_model_that_is_not_there_may_be_a_slip()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("vendor/some-model", upstream));
        foreach (var (name, near) in ((string, bool)[])[("vendor/some-modle", true), ("some-model", true), ("nothing-like-it", false), (new string('x', 200), false)])
        {
            using var response = await PostAsync(hub.Http, Ask(name));
            var message = (string)(await JsonAsync(response))["error"]!["message"]!;
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
            Assert.Equal(near, message.EndsWith("Did you mean `vendor/some-model`?", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Door_095_keys_and_warm_ups_are_Anthropics_too()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Anthropic(upstream), configure: options => options with { ApiKeys = [ApiKey.FromString("right-key-0123456789")] });
        async Task<int> StatusAsync(params (string, string)[] headers)
        {
            using var response = await PostAsync(hub.Http, Ask(), Door, headers);
            return (int)response.StatusCode;
        }
        Assert.Equal(401, await StatusAsync());
        Assert.Equal(200, await StatusAsync(("x-api-key", "right-key-0123456789")));
        Assert.Equal(200, await StatusAsync(("Authorization", "Bearer right-key-0123456789")));
        Assert.Equal(200, await StatusAsync(("x-api-key", "right-key-0123456789"), ("Authorization", "Bearer wrong")));
        Assert.Equal(401, await StatusAsync(("x-api-key", "wrong"), ("Authorization", "Bearer right-key-0123456789")));
        foreach (var path in (string[])["/", "/api/hello"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Head, path);
            using var response = await hub.Http.SendAsync(request, Cancellation);
            Assert.Equal(path == "/" ? HttpStatusCode.OK : HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    [Fact]
    public async Task The_list_of_models_is_one_document_for_everybody()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("a", upstream) + UpstreamHub.Model("b", upstream) + UpstreamHub.Model("c", upstream));
        async Task<JsonNode> ListAsync(string query) => JsonNode.Parse(await hub.Http.GetStringAsync(new Uri("/v1/models" + query, UriKind.Relative), Cancellation))!;
        static string Ids(JsonNode list) => string.Join(',', list["data"]!.AsArray().Select(model => (string?)model!["id"]));
        var all = await ListAsync("");
        Assert.Equal(("a,b,c", false, "a", "c", null), (Ids(all), (bool)all["has_more"]!, (string?)all["first_id"], (string?)all["last_id"], all["models"]));
        Assert.Equal(("model", "a"), ((string?)all["data"]![0]!["type"], (string?)all["data"]![0]!["display_name"]));
        var first = await ListAsync("?limit=2");
        Assert.Equal(("a,b", true), (Ids(first), (bool)first["has_more"]!));
        var rest = await ListAsync("?limit=2&after_id=b");
        Assert.Equal(("c", false), (Ids(rest), (bool)rest["has_more"]!));
        var before = await ListAsync("?limit=1&before_id=c");
        Assert.Equal(("b", true), (Ids(before), (bool)before["has_more"]!));
        var codex = await ListAsync("?client_version=0.171.0");
        Assert.Equal(("a,b,c", "a", "shell_command"), (Ids(codex), (string?)codex["models"]![0]!["slug"], (string?)codex["models"]![0]!["shell_type"]));
    }
}
