using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;
using ZstdSharp;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Bodies of requests: compressed, too large alone or together, too slow.</summary>
public sealed class RequestReadingTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("gzip")]
    [InlineData("x-gzip")]
    [InlineData("GZIP")]
    [InlineData("deflate")]
    [InlineData("raw-deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    [InlineData("identity")]
    [InlineData("identity, gzip")]
    public async Task A_compressed_body_is_read(string encoding)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var text = UpstreamHub.Ask(more: $",\"x\":\"{new string('y', 300_000)}\"");
        using var response = await PostAsync(hub, Compress(encoding, Encoding.UTF8.GetBytes(text)), encoding == "raw-deflate" ? "deflate" : encoding);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains(new string('y', 300_000), upstream.Calls.Single().Body, StringComparison.Ordinal);
        Assert.False(upstream.Calls[0].Headers.ContainsKey("content-encoding"));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task What_is_not_compressed_as_it_says_is_400(string encoding)
    {
        var log = new LogLines();
        await using var hub = await StartAsync(log: log);
        var sound = Compress(encoding, Encoding.UTF8.GetBytes(UpstreamHub.Ask(more: $",\"x\":\"{Guid.NewGuid()}{Guid.NewGuid()}\"")));
        foreach (var body in (byte[][])["{\"model\":\"m\"}"u8.ToArray(), sound[..^16], sound[..(sound.Length / 2)], [.. sound[..10], .. sound], [0xFF]])
        {
            using var response = await PostAsync(hub, body, encoding);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            Assert.StartsWith("application/json", response.Content.Headers.ContentType!.ToString(), StringComparison.Ordinal);
        }
        Assert.DoesNotContain(log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task A_body_is_bounded_by_what_it_becomes(string encoding)
    {
        await using var hub = await StartAsync(new Limits { RequestBodyBytes = 1 << 20 });
        using var response = await PostAsync(hub, Compress(encoding, new byte[64 << 20]), encoding);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        await WhenAsync(() => hub.Services.GetRequiredService<BodyBudget>().Bytes == 0);
    }

    [Fact]
    public async Task A_body_that_becomes_nothing_is_bounded_by_what_comes()
    {
        await using var hub = await StartAsync(new Limits { RequestBodyBytes = 1 << 20 });
        var empty = Convert.FromHexString("1F8B080000000000000303000000000000000000");
        using var response = await PostAsync(hub, [.. Enumerable.Repeat(empty, (2 << 20) / empty.Length).SelectMany(bytes => bytes)], "gzip", isChunked: true);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    [Fact]
    public async Task A_window_that_no_body_needs_is_refused()
    {
        await using var hub = await StartAsync();
        using var compressor = new Compressor(3);
        compressor.SetParameter(ZstdSharp.Unsafe.ZSTD_cParameter.ZSTD_c_windowLog, 27);
        compressor.SetParameter(ZstdSharp.Unsafe.ZSTD_cParameter.ZSTD_c_contentSizeFlag, 0);
        var text = new byte[20 << 20];
        new Random(1).NextBytes(text);
        using var response = await PostAsync(hub, compressor.Wrap(text).ToArray(), "zstd");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData("compress")]
    [InlineData("gzip, gzip")]
    [InlineData("aws-chunked")]
    public async Task Another_encoding_is_415_and_names_those_that_are_taken(string encoding)
    {
        await using var hub = await StartAsync();
        using var response = await PostAsync(hub, "{}"u8.ToArray(), encoding);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal("gzip, deflate, br, zstd", response.Headers.GetValues("Accept-Encoding").Single());
        Assert.Contains("gzip, deflate, br, zstd", await response.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bodies_have_a_budget_together_and_give_it_back()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await open.Task;
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("[DONE]");
        });
        var limits = UpstreamHub.QuickLimits with { RequestBodyBytes = 1 << 20, RequestBodiesBytes = 2 << 20 };
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: limits);
        var budget = hub.Services.GetRequiredService<BodyBudget>();
        var body = UpstreamHub.Ask(more: $",\"x\":\"{new string('y', 900_000)}\"");
        using var first = await hub.PostAsync(body);
        using var second = await hub.PostAsync(body);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (first.StatusCode, second.StatusCode));
        Assert.Equal(2 * body.Length, budget.Bytes);
        foreach (var isChunked in (bool[])[false, true])
        {
            using var third = await PostAsync(hub, Encoding.UTF8.GetBytes(body), null, isChunked);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, third.StatusCode);
            Assert.Equal("1", third.Headers.GetValues("Retry-After").Single());
        }
        // A usual one still fits.
        using var small = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.OK, small.StatusCode);
        open.SetResult();
        foreach (var response in (HttpResponseMessage[])[first, second, small]) await UpstreamHub.EventsAsync(response);
        await WhenAsync(() => budget.Bytes == 0);
        using var later = await hub.PostAsync(body);
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Fact]
    public async Task A_client_that_leaves_in_its_body_gives_its_share_back()
    {
        await using var hub = await StartAsync();
        var budget = hub.Services.GetRequiredService<BodyBudget>();
        using (var client = await ConnectAsync(hub))
        {
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"{Head(1 << 20)}{new string('x', 100_000)}"), Cancellation);
            await WhenAsync(() => budget.Bytes == 100_000);
        }
        await WhenAsync(() => budget.Bytes == 0);
    }

    [Fact]
    public async Task A_body_that_takes_too_long_is_408()
    {
        var time = new ManualTimeProvider();
        await using var hub = await StartAsync(time: time);
        using var client = await ConnectAsync(hub);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(Head(100) + "{"), Cancellation);
        await WhenAsync(() => hub.Services.GetRequiredService<BodyBudget>().Bytes == 1);
        time.Advance(TimeSpan.FromMinutes(5));
        using var reader = new StreamReader(client.GetStream());
        var response = await reader.ReadToEndAsync(Cancellation);
        Assert.StartsWith("HTTP/1.1 408 ", response, StringComparison.Ordinal);
        Assert.Contains("\"message\":\"The request body did not arrive in time.\"", response, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/chat/completions")]
    [InlineData("//chat/completions/")]
    public async Task A_base_URL_without_v1_answers(string path)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.Http.PostAsync(
            new Uri(hub.Address + path), new StringContent(UpstreamHub.Ask(), Encoding.UTF8, "application/json"), Cancellation);
        Assert.Equal("[DONE]", (await UpstreamHub.EventsAsync(response))[^1]);
        using var kept = await hub.Http.GetAsync(new Uri($"/chat/completions/{response.Headers.GetValues("Sluice-Stream-Id").Single()}", UriKind.Relative), Cancellation);
        Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
        using var list = JsonDocument.Parse(await hub.Http.GetStringAsync(new Uri("/models", UriKind.Relative), Cancellation));
        Assert.Equal("m", list.RootElement.GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal(HttpStatusCode.OK, (await hub.Http.GetAsync(new Uri("/models/m", UriKind.Relative), Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await hub.Http.GetAsync(new Uri("/modelsx", UriKind.Relative), Cancellation)).StatusCode);
    }

    private static Task<UpstreamHub> StartAsync(Limits? limits = null, TimeProvider? time = null, LogLines? log = null) =>
        UpstreamHub.StartAsync("  - {id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}\n", limits: limits, time: time, log: log);

    private static string Head(int length) =>
        $"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n";

    private static async Task<TcpClient> ConnectAsync(UpstreamHub hub)
    {
        var (client, address) = (new TcpClient(), new Uri(hub.Address));
        await client.ConnectAsync(address.Host, address.Port, Cancellation);
        return client;
    }

    private static async Task WhenAsync(Func<bool> condition)
    {
        for (var i = 0; i < 1_000 && !condition(); i++) await Task.Delay(10, Cancellation);
        Assert.True(condition());
    }

    private static Task<HttpResponseMessage> PostAsync(UpstreamHub hub, byte[] body, string? encoding, bool isChunked = false)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        if (encoding is not null) content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = content };
        request.Headers.TransferEncodingChunked = isChunked;
        return hub.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private static byte[] Compress(string encoding, byte[] content)
    {
        var output = new MemoryStream();
        using (Stream stream = encoding.ToLowerInvariant() switch
        {
            "gzip" or "x-gzip" or "identity, gzip" => new GZipStream(output, CompressionLevel.Optimal),
            "deflate" => new ZLibStream(output, CompressionLevel.Optimal),
            "raw-deflate" => new DeflateStream(output, CompressionLevel.Optimal),
            "br" => new BrotliStream(output, CompressionLevel.Fastest),
            "zstd" => new CompressionStream(output),
            _ => new BufferedStream(output),
        })
        {
            stream.Write(content);
        }
        return output.ToArray();
    }
}
