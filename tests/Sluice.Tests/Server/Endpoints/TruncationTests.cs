using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary><c>truncation: auto</c> where the model has refused the whole conversation.</summary>
public sealed class TruncationTests
{
    private const string TooLong = """{"error":{"message":"This model's maximum context length is 100 tokens. However, your messages resulted in 120 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}""";

    // Of the scripted model.
    private const int ContextLength = 8192;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<(HttpStatusCode Status, JsonNode Json)> PostAsync(HttpClient http, string model, string more)
    {
        var turns = string.Concat(Enumerable.Range(0, 60).Select(i => $$"""{"role":"user","content":"{{string.Concat(Enumerable.Repeat("w ", 200))}}"},{"role":"assistant","content":"{{i}}"},"""));
        var body = $$"""{"model":"{{model}}","input":[{{turns}}{"role":"user","content":"Hi"}]{{more}}}""";
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var reply = await http.PostAsync(new Uri("/v1/responses", UriKind.Relative), content, Cancellation);
        return (reply.StatusCode, JsonNode.Parse(await reply.Content.ReadAsStringAsync(Cancellation))!);
    }

    [Fact]
    public async Task The_local_engine_answers_to_what_fits_and_says_how_much_is_missing()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["Hi"] = new Script().Say(" one");
        using var http = new HttpClient { BaseAddress = hub.Address };
        var (refused, error) = await PostAsync(http, "scripted", "");
        Assert.Equal((HttpStatusCode.BadRequest, "context_length_exceeded"), (refused, (string?)error["error"]!["code"]));
        var (status, answer) = await PostAsync(http, "scripted", ",\"truncation\":\"auto\"");
        Assert.Equal((HttpStatusCode.OK, " one", "auto"), (status, (string?)answer["output"]![0]!["content"]![0]!["text"], (string?)answer["truncation"]));
        Assert.InRange((int)answer["sluice"]!["dropped_items"]!, 1, 119);
        // There is room for an answer, and no more is missing than has to be.
        Assert.InRange((int)answer["usage"]!["input_tokens"]!, ContextLength / 2, ContextLength * 15 / 16);
        var (wrong, fault) = await PostAsync(http, "scripted", ",\"truncation\":\"often\"");
        Assert.Equal((HttpStatusCode.BadRequest, "truncation"), (wrong, (string?)fault["error"]!["param"]));
    }

    [Theory]
    [InlineData("openai", "messages")]
    [InlineData("responses", "input")]
    public async Task An_upstream_is_asked_again_without_the_oldest_items(string kind, string list)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            var length = JsonNode.Parse(reply.Call.Body)![list]!.AsArray().Count;
            if (length <= 100)
            {
                if (kind == "openai") await ScriptedUpstream.Says("ok")(reply);
                else await ScriptedResponses.Says("ok")(reply);
                return;
            }
            reply.Response.StatusCode = 400;
            reply.Response.ContentType = "application/json";
            await reply.SendAsync(TooLong);
        });
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: {kind}, url: \"{upstream.Url}\"}}]\n");
        var (refused, error) = await PostAsync(hub.Http, "m", "");
        Assert.Equal((HttpStatusCode.BadRequest, "context_length_exceeded", 1), (refused, (string?)error["error"]!["code"], upstream.Calls.Count));
        var (status, answer) = await PostAsync(hub.Http, "m", ",\"truncation\":\"auto\",\"store\":true,\"metadata\":{\"a\":\"b\"}");
        Assert.True(status == HttpStatusCode.OK, answer.ToJsonString());
        Assert.Equal("ok", (string?)answer["output"]![0]!["content"]![0]!["text"]);
        Assert.InRange((int)answer["sluice"]!["dropped_items"]!, 21, 60);
        Assert.DoesNotContain("dropped_items", upstream.Calls[^1].Body, StringComparison.Ordinal);
    }
}
