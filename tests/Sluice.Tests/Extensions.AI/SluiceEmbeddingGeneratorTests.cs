using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Sluice.Extensions.AI;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Extensions.AI;

/// <summary>Sluice as a generator of embeddings.</summary>
public sealed class SluiceEmbeddingGeneratorTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_model_file_gives_the_vectors_that_the_hub_gives_over_HTTP()
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get("bert").ToArray());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: e, gguf: {file.Path}}}\n");
        using var content = new StringContent("""{"model":"e","input":["one","two"]}""", Encoding.UTF8, "application/json");
        using var reply = await hub.Http.PostAsync("/v1/embeddings", content, Cancellation);
        var body = JsonElement.Parse(await reply.Content.ReadAsStringAsync(Cancellation));
        using var generator = new SluiceEmbeddingGenerator(file.Path);
        var made = await generator.GenerateAsync(["one", "two"], cancellationToken: Cancellation);
        Assert.Equal(2, made.Count);
        for (var i = 0; i < 2; i++)
            Assert.Equal(body.GetProperty("data")[i].GetProperty("embedding").EnumerateArray().Select(static value => value.GetSingle()), made[i].Vector.ToArray());
        Assert.Equal(body.GetProperty("usage").GetProperty("prompt_tokens").GetInt64(), made.Usage!.InputTokenCount);
        Assert.Empty(await generator.GenerateAsync([], cancellationToken: Cancellation));
    }

    [Fact]
    public async Task Numbers_are_read_too_in_the_order_of_the_texts_and_options_reach_the_server()
    {
        const string Reply = """{"object":"list","data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}""";
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "application/json";
            await reply.SendAsync(Reply);
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var generator = new SluiceEmbeddingGenerator(hub.Http, "m");
        var options = new EmbeddingGenerationOptions { Dimensions = 2, AdditionalProperties = new() { ["input_type"] = "query" } };
        var made = await generator.GenerateAsync(["a", "b"], options, Cancellation);
        Assert.Equal([1, 2], made[0].Vector.ToArray());
        Assert.Equal([3, 4], made[1].Vector.ToArray());
        Assert.Equal("""{"model":"m","encoding_format":"base64","dimensions":2,"input":["a","b"],"input_type":"query"}""", upstream.Calls[0].Body);
        using var unknown = new SluiceEmbeddingGenerator(hub.Http, "other");
        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => unknown.GenerateAsync(["a"], cancellationToken: Cancellation));
        Assert.Equal(HttpStatusCode.NotFound, exception.StatusCode);
    }
}
