using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Inference.Embeddings;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Documents in the order of their scores, by a local model and by upstreams; the scores themselves are held to llama.cpp's.</summary>
public sealed class RerankTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private const string Ask = """{"model":"r","query":"Which?","documents":["one","another one",{"text":"the third"}]""";

    private static Func<UpstreamReply, Task> Gives(string json) => async reply =>
    {
        reply.Response.ContentType = "application/json";
        await reply.SendAsync(json);
    };

    private static async Task<(HttpStatusCode Status, JsonNode Body)> PostAsync(UpstreamHub hub, string body, string path = "/v1/rerank")
    {
        using var response = await hub.Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancellation))!);
    }

    [Theory]
    [InlineData("bert-rank")]
    [InlineData("qwen3-rank")]
    public async Task Results_are_the_engines_scores_from_the_best_on(string name)
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get(name).ToArray());
        using var engine = EmbeddingModel.Load(file.Path);
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: r, gguf: {file.Path}}}\n");
        var (status, body) = await PostAsync(hub, Ask + "}");
        Assert.Equal(HttpStatusCode.OK, status);
        string[] documents = ["one", "another one", "the third"];
        var pairs = documents.Select(document => engine.EncodePair("Which?", document)).ToList();
        var expected = engine.Embed(pairs).Select(static (score, index) => (Index: index, Score: score[0])).OrderByDescending(static result => result.Score).ToList();
        Assert.Equal(expected, body["results"]!.AsArray().Select(static result => ((int)result!["index"]!, (float)result["relevance_score"]!)));
        Assert.Equal(pairs.Sum(static pair => pair.Count), (int)body["usage"]!["total_tokens"]!);
        var (_, best) = await PostAsync(hub, Ask + ""","top_n":1,"return_documents":true}""");
        Assert.Equal(documents[expected[0].Index], (string?)Assert.Single(best["results"]!.AsArray())!["document"]!["text"]);
    }

    [Theory]
    [InlineData("""{"model":"r","documents":["a"]}""", "query")]
    [InlineData("""{"model":"r","query":"","documents":["a"]}""", "query")]
    [InlineData("""{"model":"r","query":"q","documents":[]}""", "documents")]
    [InlineData("""{"model":"r","query":"q","documents":[7]}""", "documents[0]")]
    [InlineData("""{"model":"r","query":"q","documents":["a"],"top_n":0}""", "top_n")]
    public async Task What_is_wrong_is_named(string request, string param)
    {
        using var file = new TemporaryGguf(TinyArchitectures.Get("bert-rank").ToArray());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: r, gguf: {file.Path}}}\n");
        var (status, body) = await PostAsync(hub, request);
        Assert.Equal((HttpStatusCode.BadRequest, param), (status, (string?)body["error"]!["param"]));
    }

    [Fact]
    public async Task Each_kind_of_model_names_its_own_door()
    {
        using var ranks = new TemporaryGguf(TinyArchitectures.Get("bert-rank").ToArray());
        using var vectors = new TemporaryGguf(TinyArchitectures.Get("bert").ToArray());
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: r, gguf: {ranks.Path}}}\n  - {{id: e, gguf: {vectors.Path}}}\n");
        var (_, embedded) = await PostAsync(hub, """{"model":"r","input":"a"}""", "/v1/embeddings");
        Assert.Contains("/v1/rerank", (string?)embedded["error"]!["message"], StringComparison.Ordinal);
        var (status, ranked) = await PostAsync(hub, """{"model":"e","query":"q","documents":["a"]}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("ranks nothing", (string?)ranked["error"]!["message"], StringComparison.Ordinal);
        var (tooLong, refused) = await PostAsync(hub, $$"""{"model":"r","query":"q","documents":["a","{{new string('x', 400)}}"]}""");
        Assert.Equal(HttpStatusCode.BadRequest, tooLong);
        Assert.Contains("documents[1]", (string?)refused["error"]!["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upstreams_answer_is_passed_on_under_the_hubs_name()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Gives("""{"id":"x","model":"jina-v3","results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}],"usage":{"total_tokens":9}}"""));
        await using var hub = await UpstreamHub.StartAsync($"  - {{id: r, upstreams: [{{url: \"{upstream.Url}\", model: jina-v3}}]}}\n");
        var (status, body) = await PostAsync(hub, Ask + ""","top_n":2}""");
        Assert.Equal((HttpStatusCode.OK, "r", 0.9), (status, (string?)body["model"], (double)body["results"]![0]!["relevance_score"]!));
        var call = Assert.Single(upstream.Calls);
        Assert.EndsWith("/rerank", call.Target, StringComparison.Ordinal);
        Assert.Equal(("jina-v3", 2), ((string?)JsonNode.Parse(call.Body)!["model"], (int)JsonNode.Parse(call.Body)!["top_n"]!));
    }
}
