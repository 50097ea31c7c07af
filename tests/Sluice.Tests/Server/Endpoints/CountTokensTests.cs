using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>How many tokens a prompt has, asked at the doors that have a question for it, over every kind of upstream.</summary>
public sealed class CountTokensTests
{
    private const string Responses = "/v1/responses/input_tokens";
    private const string Messages = "/v1/messages/count_tokens";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<HttpResponseMessage> PostAsync(HttpClient http, string path, string body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await http.SendAsync(request, Cancellation);
    }

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage response) => JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancellation))!;

    private static Task<ScriptedUpstream> CountingAsync() => ScriptedUpstream.StartAsync(async reply =>
    {
        reply.Response.ContentType = "application/json";
        await reply.SendAsync("""{"object":"response.input_tokens","input_tokens":4711}""");
    });

    private static string Upstream(ScriptedUpstream upstream, string kind) => $"  - id: m\n    upstreams: [{{kind: {kind}, url: \"{upstream.Url}\", model: x}}]\n";

    [Fact]
    public async Task The_local_engine_counts_what_the_answer_takes_with_its_conversation()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["Hi"] = new Script().Say(" one two");
        hub.Scripts["And?"] = new Script().Say(" three");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var first = await PostAsync(http, "/v1/responses", """{"model":"scripted","input":"Hi"}""");
        var answer = await JsonAsync(first);
        using var alone = await PostAsync(http, Responses, """{"model":"scripted","input":"Hi"}""");
        var counted = await JsonAsync(alone);
        Assert.Equal(("response.input_tokens", (int)answer["usage"]!["input_tokens"]!), ((string?)counted["object"], (int)counted["input_tokens"]!));
        Assert.False(alone.Headers.Contains("Sluice-Estimated"));

        var next = $$"""{"model":"scripted","input":"And?","previous_response_id":"{{(string)answer["id"]!}}"}""";
        using var second = await PostAsync(http, "/v1/responses", next);
        using var whole = await PostAsync(http, Responses, next);
        Assert.Equal((int)(await JsonAsync(second))["usage"]!["input_tokens"]!, (int)(await JsonAsync(whole))["input_tokens"]!);

        using var lost = await PostAsync(http, Responses, """{"model":"scripted","input":"x","previous_response_id":"resp_nobody"}""");
        Assert.Equal((HttpStatusCode.BadRequest, "previous_response_not_found"), (lost.StatusCode, (string?)(await JsonAsync(lost))["error"]!["code"]));
        using var got = await http.GetAsync(new Uri(Responses, UriKind.Relative), Cancellation);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, got.StatusCode);
    }

    [Fact]
    public async Task An_upstream_of_either_API_is_asked_in_its_own_words()
    {
        await using var upstream = await CountingAsync();
        foreach (var (kind, path, body, target, asked) in ((string, string, string, string, string)[])
        [
            ("responses", Responses, """{"model":"m","input":"Hi","stream":true,"store":true,"max_output_tokens":20,"instructions":"Be brief."}""",
                "/v1/responses/input_tokens", """{"model":"x","input":"Hi","instructions":"Be brief."}"""),
            ("responses", Messages, """{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"Hi"}]}""",
                "/v1/responses/input_tokens", """{"model":"x","input":[{"type":"message","role":"system","content":"Be brief."},{"type":"message","role":"user","content":"Hi"}]}"""),
            ("anthropic", Responses, """{"model":"m","input":"Hi","instructions":"Be brief.","max_output_tokens":20}""",
                "/v1/messages/count_tokens", """{"model":"x","messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"system":[{"type":"text","text":"Be brief."}]}"""),
            ("anthropic", Messages, """{"model":"m","messages":[{"role":"user","content":"Hi"}],"new_feature":1}""",
                "/v1/messages/count_tokens", """{"model":"x","messages":[{"role":"user","content":"Hi"}],"new_feature":1}"""),
        ])
        {
            await using var hub = await UpstreamHub.StartAsync(Upstream(upstream, kind));
            using var response = await PostAsync(hub.Http, path, body, ("anthropic-beta", "b"));
            var call = upstream.Calls[^1];
            Assert.Equal(4711, (int)(await JsonAsync(response))["input_tokens"]!);
            Assert.Equal(target, call.Target);
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(asked), JsonNode.Parse(call.Body)), call.Body);
            Assert.Equal(kind == "anthropic" && path == Messages, call.Headers.ContainsKey("anthropic-beta"));
        }
    }

    [Fact]
    public async Task Where_nobody_counts_the_number_is_marked_as_an_estimate()
    {
        await using var chat = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", chat));
        using var response = await PostAsync(hub.Http, Responses, """{"model":"m","input":"How many tokens may this text have?"}""");
        Assert.Equal("1", response.Headers.GetValues("Sluice-Estimated").Single());
        Assert.InRange((int)(await JsonAsync(response))["input_tokens"]!, 5, 50);
        using var wrong = await PostAsync(hub.Http, Responses, """{"model":"m","messages":[]}""");
        Assert.Equal((HttpStatusCode.BadRequest, "messages"), (wrong.StatusCode, (string?)(await JsonAsync(wrong))["error"]!["param"]));
        Assert.Empty(chat.Calls);
    }
}
