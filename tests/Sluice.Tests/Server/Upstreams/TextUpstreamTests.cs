using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Text completions of upstreams: passed on as they are by those that have them.</summary>
public sealed class TextUpstreamTests
{
    private const string First = """{"id":"cmpl-up","object":"text_completion", "created":5,"model":"up/m","choices":[{"text":"H\u00fc","index":0,"x":[ 1 ],"logprobs":null,"finish_reason":null}]}""";
    private const string Last = """{"id":"cmpl-up","object":"text_completion", "created":5,"model":"up/m","choices":[{"text":"!","index":0,"logprobs":null,"finish_reason":"length"}]}""";
    private const string Usage = """{"id":"cmpl-up","object":"text_completion", "created":5,"model":"up/m","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}""";

    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    private static Task<TestHub> StartAsync(ScriptedUpstream upstream, string more = "", string model = "m") =>
        TestHub.StartConfiguredAsync($"  - id: {model}\n    retries: 0\n    upstreams: [{{url: \"{upstream.Url}\"{more}}}]\n");

    private static async Task<(HttpStatusCode Status, string Body)> PostAsync(TestHub hub, string body)
    {
        using var http = new HttpClient();
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(new Uri(hub.Address, "v1/completions"), content, Patience);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Patience));
    }

    private static string Id(string body) => JsonElement.Parse(body.Split("\n\n")[0].Replace("data: ", "", StringComparison.Ordinal)).GetProperty("id").GetString()!;

    [Fact]
    public async Task A_stream_is_passed_on_byte_by_byte_but_for_the_id()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(First, Last, Usage));
        await using var hub = await StartAsync(upstream, ", model: up/m", "up/m");
        var (_, body) = await PostAsync(hub, """{"model":"up/m","prompt":"Hi" ,"stream":true,"vendor":{"x":[1.50]},"stream_options":{"include_usage":true}}""");
        var id = Id(body);
        Assert.StartsWith("cmpl-", id, StringComparison.Ordinal);
        Assert.Equal(string.Concat(((string[])[First, Last, Usage, "[DONE]"]).Select(frame => $"data: {frame.Replace("cmpl-up", id, StringComparison.Ordinal)}\n\n")), body);
        var call = upstream.Calls.Single();
        Assert.Equal("/v1/completions", call.Target);
        Assert.Equal("""{"model":"up/m","prompt":"Hi" ,"stream":true,"vendor":{"x":[1.50]},"stream_options":{"include_usage":true}}""", call.Body);
    }

    [Fact]
    public async Task An_aliased_model_has_the_name_that_was_asked_for_and_usage_stays_away_from_who_did_not_ask()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(First, Last, Usage));
        await using var hub = await StartAsync(upstream, ", model: up/m");
        var (_, body) = await PostAsync(hub, """{"model":"m","prompt":"Hi","stream":true}""");
        Assert.DoesNotContain("up/m", body, StringComparison.Ordinal);
        Assert.DoesNotContain("usage", body, StringComparison.Ordinal);
        Assert.Contains("\"model\":\"up/m\"", upstream.Calls.Single().Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_whole_answer_is_passed_on_as_one()
    {
        const string Whole = """{"id":"cmpl-up","object":"text_completion","created":5,"model":"up/m","choices":[{"text":"Hi","index":0,"logprobs":null,"finish_reason":"stop"}], "usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}""";
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "application/json";
            await reply.SendAsync(Whole);
        });
        await using var hub = await StartAsync(upstream, ", model: up/m", "up/m");
        var (_, body) = await PostAsync(hub, """{"model":"up/m","prompt":["Hi"]}""");
        Assert.Equal(Whole.Replace("cmpl-up", Id(body), StringComparison.Ordinal), body);
    }

    [Fact]
    public async Task A_stream_that_breaks_off_does_not_look_whole()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(First);
            await reply.CutAsync();
        });
        await using var hub = await StartAsync(upstream);
        using var http = new HttpClient();
        using var content = new StringContent("""{"model":"m","prompt":"Hi","stream":true}""", Encoding.UTF8, "application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(hub.Address, "v1/completions")) { Content = content };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Patience);
        var body = new StringBuilder();
        await using var stream = await response.Content.ReadAsStreamAsync(Patience);
        var buffer = new byte[4096];
        var error = await Record.ExceptionAsync(async () =>
        {
            for (int count; (count = await stream.ReadAsync(buffer, Patience)) > 0;) body.Append(Encoding.UTF8.GetString(buffer, 0, count));
        });
        Assert.NotNull(error);
        Assert.Contains("\"error\"", body.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", body.ToString(), StringComparison.Ordinal);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task Azure_has_them_at_its_deployment()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(First, Last));
        await using var hub = await TestHub.StartConfiguredAsync(
            $"  - id: m\n    upstreams: [{{kind: azure, url: \"{upstream.Root}\", deployment: d, api_version: \"2024-10-21\", api_key: k}}]\n");
        var (status, body) = await PostAsync(hub, """{"model":"m","prompt":"Hi","stream":true}""");
        Assert.True(status == HttpStatusCode.OK, body);
        Assert.Equal("/openai/deployments/d/completions?api-version=2024-10-21", upstream.Calls.Single().Target);
    }

    [Fact]
    public async Task A_model_behind_Anthropics_API_has_none()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(First));
        await using var hub = await TestHub.StartConfiguredAsync($"  - id: claude\n    upstreams: [{{kind: anthropic, url: \"{upstream.Url}\", api_key: k}}]\n");
        var (status, body) = await PostAsync(hub, """{"model":"claude","prompt":"Hi"}""");
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Contains("model_not_found", body, StringComparison.Ordinal);
        Assert.Contains("claude` has no completions", body, StringComparison.Ordinal);
        Assert.Empty(upstream.Calls);
    }
}
