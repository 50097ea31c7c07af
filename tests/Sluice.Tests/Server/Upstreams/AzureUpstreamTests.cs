using System.Net;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Models behind Azure's form of OpenAI's API, and parameters whose names servers don't agree on.</summary>
public sealed class AzureUpstreamTests
{
    private const string Key = "0123456789abcdef0123456789abcdef";

    private static string Model(string url, string more) =>
        $"  - id: m\n    retries: 0\n    upstreams: [{{kind: azure, url: \"{url}\", api_key: {Key}, {more}}}]\n";

    [Theory]
    [InlineData("", "deployment: prod gpt, api_version: 2024-10-21", "/openai/deployments/prod%20gpt/chat/completions?api-version=2024-10-21", "prod gpt")]
    [InlineData("/openai/", "deployment: d, api_version: 2024-10-21", "/openai/deployments/d/chat/completions?api-version=2024-10-21", "d")]
    [InlineData("/openai/v1", "deployment: d", "/openai/v1/chat/completions", "d")]
    [InlineData("/openai/v1/", "api_version: preview", "/openai/v1/chat/completions?api-version=preview", "m")]
    public async Task The_deployment_is_where_azure_wants_it(string path, string keys, string target, string model)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream.Root + path, keys));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), default, ("Authorization", "Bearer client"), ("api-key", "client"));
        await UpstreamHub.EventsAsync(response);
        var call = upstream.Calls.Single();
        Assert.Equal(target, call.Target);
        Assert.Equal(Key, call.Headers["api-key"]);
        Assert.False(call.Headers.ContainsKey("authorization"));
        Assert.StartsWith($"{{\"model\":\"{model}\",\"stream\":true,", call.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task G01_filter_results_of_the_prompt_are_no_chunk_and_those_of_the_answer_pass()
    {
        string[] frames =
        [
            """{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}""",
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hi"},"finish_reason":null,"index":0,"logprobs":null}"""),
            // What the asynchronous filter says of text that is out already.
            ScriptedUpstream.Chunk("""{"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":46},"content_filter_results":{},"finish_reason":null,"index":0}"""),
            ScriptedUpstream.Chunk("""{"content_filter_results":{},"delta":{},"finish_reason":"content_filter","index":0,"logprobs":null}"""),
            ScriptedUpstream.Usage(),
        ];
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(frames));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream.Root, "deployment: m, api_version: v"));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([frames[1], frames[2], frames[4], "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Theory]
    [InlineData(400, """{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}""",
        400, """{"error":{"message":"The response was filtered","type":"invalid_request_error","param":"prompt","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}""")]
    [InlineData(404, """{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}""",
        404, """{"error":{"message":"The API deployment for this resource does not exist.","type":"invalid_request_error","param":null,"code":"DeploymentNotFound"}}""")]
    [InlineData(429, """{"error":{"code":"429","message":"Requests have exceeded the token rate limit."}}""",
        429, """{"error":{"message":"Requests have exceeded the token rate limit.","type":"invalid_request_error","param":null,"code":null}}""")]
    [InlineData(400, """{"error":{"code":"BadRequest","message":"Bad key 0123456789abcdef0123456789abcdef"}}""",
        400, """{"error":{"message":"Bad key ***","type":"invalid_request_error","param":null,"code":"BadRequest"}}""")]
    [InlineData(401, """{"error":{"code":"401","message":"Access denied due to invalid subscription key 0123456789abcdef0123456789abcdef."}}""",
        502, """{"error":{"message":"The model's server does not accept the hub's credentials.","type":"server_error","param":null,"code":"upstream_authentication"}}""")]
    [InlineData(401, """{"statusCode":401,"message":"Unauthorized. Access token is missing."}""",
        502, """{"error":{"message":"The model's server does not accept the hub's credentials.","type":"server_error","param":null,"code":"upstream_authentication"}}""")]
    public async Task Errors_are_told_in_OpenAIs_form_and_without_the_key(int status, string body, int expectedStatus, string expected)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, body));
        await using var hub = await UpstreamHub.StartAsync(Model(upstream.Root, "deployment: m, api_version: v"));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal((expectedStatus, expected), ((int)response.StatusCode, await response.Content.ReadAsStringAsync()));
        Assert.Single(upstream.Calls);
    }

    [Theory]
    [InlineData("azure")]
    [InlineData("openai")]
    public async Task Images_and_sounds_arrive_untouched_and_a_limit_of_tokens_under_its_other_name(string kind)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(kind == "azure"
            ? Model(upstream.Root, "deployment: m, api_version: v, max_tokens_parameter: max_completion_tokens")
            : $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\", max_tokens_parameter: max_completion_tokens}}]\n");
        const string Parts = """[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO+/=","detail":"low"}},{"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}},{"type":"text","text":"\u00fc"}]""";
        using var response = await hub.PostAsync($$"""{"model":"m","stream":true,"messages":[{"role":"user", "content":{{Parts}}}],"max_tokens":7}""");
        await UpstreamHub.EventsAsync(response);
        Assert.Equal(
            $$"""{"model":"m","stream":true,"messages":[{"role":"user", "content":{{Parts}}}],"stream_options":{"include_usage":true},"max_completion_tokens":7}""", upstream.Calls[0].Body);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
