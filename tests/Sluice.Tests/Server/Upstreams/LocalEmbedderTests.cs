using System.Buffers.Binary;
using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Inference.Embeddings;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Embeddings of the hub's own engine over HTTP; that the vectors are right is held to llama.cpp where the engine is tested.</summary>
public sealed class LocalEmbedderTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static TemporaryGguf Write(string name) => new(TinyArchitectures.Get(name).ToArray());

    private static Task<UpstreamHub> StartAsync(TemporaryGguf file) => UpstreamHub.StartAsync($"  - {{id: e, gguf: {file.Path}}}\n");

    private static async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(UpstreamHub hub, string body, string path = "/v1/embeddings")
    {
        using var response = await hub.Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);
        return (response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement.Clone());
    }

    private static float[] Numbers(JsonElement body, int index = 0) =>
        [.. body.GetProperty("data")[index].GetProperty("embedding").EnumerateArray().Select(static value => value.GetSingle())];

    [Fact]
    public async Task Vectors_are_the_engines_as_numbers_and_as_base64()
    {
        using var file = Write("bert");
        using var engine = EmbeddingModel.Load(file.Path);
        await using var hub = await StartAsync(file);
        var expected = engine.Embed((IReadOnlyList<int>[])[[5, 6, 7], [9]]);
        var (status, body) = await PostAsync(hub, """{"model":"e","input":[[5,6,7],[9]],"encoding_format":"float"}""");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(expected[0], Numbers(body));
        Assert.Equal(expected[1], Numbers(body, 1));
        Assert.Equal((4, 4, "e", "list"), (body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), body.GetProperty("usage").GetProperty("total_tokens").GetInt32(), body.GetProperty("model").GetString(), body.GetProperty("object").GetString()));
        var (_, packed) = await PostAsync(hub, """{"model":"e","input":[5,6,7],"encoding_format":"base64"}""");
        var bytes = packed.GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64();
        Assert.Equal(expected[0], Enumerable.Range(0, bytes.Length / 4).Select(i => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(i * 4))));
    }

    [Fact]
    public async Task Fewer_dimensions_are_the_first_ones_at_length_one()
    {
        using var file = Write("bert");
        await using var hub = await StartAsync(file);
        var (_, all) = await PostAsync(hub, """{"model":"e","input":"text"}""");
        var (_, four) = await PostAsync(hub, """{"model":"e","input":"text","dimensions":4}""");
        var (first, shorter) = (Numbers(all)[..4], Numbers(four));
        Assert.Equal(4, shorter.Length);
        Assert.Equal(1, shorter.Sum(static value => (double)value * value), 1e-5);
        Assert.Equal(first[0] / first[1], shorter[0] / shorter[1], 1e-3);
        Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync(hub, """{"model":"e","input":"text","dimensions":100000}""")).Status);
    }

    [Theory]
    [InlineData("""{"model":"e"}""", "input")]
    [InlineData("""{"model":"e","input":""}""", "input")]
    [InlineData("""{"model":"e","input":[]}""", "input")]
    [InlineData("""{"model":"e","input":[1,"a"]}""", "input")]
    [InlineData("""{"model":"e","input":[[1],[]]}""", "input")]
    [InlineData("""{"model":"e","input":[99999999]}""", "input")]
    [InlineData("""{"model":"e","input":"a","dimensions":0}""", "dimensions")]
    public async Task What_is_wrong_is_named(string request, string param)
    {
        using var file = Write("bert");
        await using var hub = await StartAsync(file);
        var (status, body) = await PostAsync(hub, request);
        Assert.Equal((HttpStatusCode.BadRequest, param), (status, body.GetProperty("error").GetProperty("param").GetString()));
    }

    [Fact]
    public async Task A_model_that_makes_vectors_writes_no_text_and_the_hub_is_ready_with_it_alone()
    {
        using var file = Write("bert");
        await using var hub = await StartAsync(file);
        var (status, body) = await PostAsync(hub, UpstreamHub.Ask("e"), "/v1/chat/completions");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("/v1/embeddings", body.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        using var ready = await hub.Http.GetAsync("/readyz", Cancellation);
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
    }
}
