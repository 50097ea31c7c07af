using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Embeddings of upstreams: passed as they are, with retries and fallbacks.</summary>
public sealed class EmbeddingsTests
{
    private const string Reply = """{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAEA="}],"model":"real","usage":{"prompt_tokens":3,"total_tokens":3},"more":1}""";

    private static Func<UpstreamReply, Task> Gives(string json) => async reply =>
    {
        reply.Response.ContentType = "application/json";
        await reply.SendAsync(json);
    };

    private static async Task<(HttpStatusCode Status, string Body)> AskAsync(TestHub hub, string body)
    {
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var reply = await http.PostAsync("/v1/embeddings", new StringContent(body, Encoding.UTF8, "application/json"));
        return (reply.StatusCode, await reply.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_request_and_the_answer_pass_byte_by_byte_but_for_the_models_name()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Gives(Reply));
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: m, upstreams: [{{url: \"{upstream.Url}\", model: real}}]}}\n");
        var (status, body) = await AskAsync(hub, """{"model":"m","input":["a",[1,2]],"encoding_format":"base64","dimensions":2,"x":true}""");
        Assert.Equal((HttpStatusCode.OK, Reply.Replace("real", "m", StringComparison.Ordinal)), (status, body));
        Assert.Equal("/v1/embeddings", upstream.Calls[0].Target);
        Assert.Equal("""{"model":"real","input":["a",[1,2]],"encoding_format":"base64","dimensions":2,"x":true}""", upstream.Calls[0].Body);
    }

    [Fact]
    public async Task Another_upstream_answers_where_one_fails()
    {
        await using var broken = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "{}"));
        await using var upstream = await ScriptedUpstream.StartAsync(Gives(Reply));
        await using var hub = await TestHub.StartConfiguredAsync(
            $"  - {{id: m, upstreams: [{{url: \"{broken.Url}\"}}, {{url: \"{upstream.Url}\"}}]}}\n");
        var (status, body) = await AskAsync(hub, """{"model":"m","input":"a"}""");
        Assert.Equal((HttpStatusCode.OK, 2), (status, JsonElement.Parse(body).GetProperty("usage").EnumerateObject().Count()));
    }

    [Theory]
    [InlineData("""{"error":{"message":"no such thing"}}""", "no such thing")]
    [InlineData("""{"object":"list"}""", "no embeddings")]
    public async Task What_is_not_an_answer_is_an_error(string reply, string words)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Gives(reply));
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: m, retries: 0, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n");
        var (status, body) = await AskAsync(hub, """{"model":"m","input":"a"}""");
        Assert.True((int)status >= 400, body);
        Assert.Contains(words, JsonElement.Parse(body).GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_that_answers_with_text_is_not_an_embedding_model()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var (status, body) = await AskAsync(hub, """{"model":"scripted","input":"a"}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("model", JsonElement.Parse(body).GetProperty("error").GetProperty("param").GetString());
    }
}
