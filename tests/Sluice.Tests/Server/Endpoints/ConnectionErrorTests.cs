using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Requests that are broken below HTTP's surface: each has an error object and an id, and none is a fault of the hub.</summary>
public sealed class ConnectionErrorTests
{
    private const string Head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

    [Theory]
    [InlineData("GARBAGE\r\n\r\n", 400)]
    [InlineData("GET /v1/models HTTP/9.9\r\nHost: localhost\r\n\r\n", 505)]
    [InlineData("GET /v1/models HTTP/1.1\r\n\r\n", 400)]
    [InlineData("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400)]
    [InlineData(Head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n", 400)]
    [InlineData(Head + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{}\r\n0\r\n\r\n", 400)]
    [InlineData(Head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n", 400)]
    [InlineData(Head + "Content-Length: 99999999999999999999\r\n\r\n{}", 400)]
    [InlineData(Head + "Content-Length: -1\r\n\r\n{}", 400)]
    [InlineData(Head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400)]
    public async Task What_is_not_HTTP_is_an_error_object_with_an_id(string request, int status)
    {
        var log = new LogLines();
        await using var hub = await UpstreamHub.StartAsync("  - {id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}\n", log: log);
        AssertRefused(await AskAsync(hub, Encoding.ASCII.GetBytes(request)), status);
        AssertQuiet(log);
    }

    [Fact]
    public async Task Headers_that_are_too_large_are_an_error_object_with_an_id()
    {
        await using var hub = await UpstreamHub.StartAsync("  - {id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}\n");
        AssertRefused(await AskAsync(hub, Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\nX: {new string('x', 40_000)}\r\n\r\n")), 431);
        AssertRefused(await AskAsync(hub, Encoding.ASCII.GetBytes($"GET /{new string('x', 9_000)} HTTP/1.1\r\nHost: a\r\n\r\n")), 414);
    }

    [Fact]
    public async Task A_client_that_resets_its_upload_is_one_line()
    {
        var log = new LogLines();
        await using var hub = await UpstreamHub.StartAsync(
            "  - {id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}\n", log: log,
            configure: options => options with { Listen = [new("127.0.0.1", 0, IsHttp2: true)] });
        using var http = new HttpClient { BaseAddress = new Uri(hub.Address), DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        for (var i = 0; i < 5; i++)
        {
            using var content = new StreamContent(new BreakingStream());
            content.Headers.ContentType = new("application/json");
            await Assert.ThrowsAnyAsync<Exception>(() => http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, TestContext.Current.CancellationToken));
        }
        await WaitAsync(() => log.Lines.Count(line => line.Contains(" 499 ", StringComparison.Ordinal)) == 5);
        AssertQuiet(log);
        Assert.Equal(5, log.Lines.Count(line => line.Contains("req_", StringComparison.Ordinal)));
    }

    private static void AssertQuiet(LogLines log) => Assert.DoesNotContain(
        log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Warning", StringComparison.Ordinal) || line.StartsWith("Critical", StringComparison.Ordinal));

    private static async Task WaitAsync(Func<bool> condition)
    {
        for (var i = 0; i < 1_000 && !condition(); i++) await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.True(condition());
    }

    private static void AssertRefused(string response, int status)
    {
        Assert.StartsWith($"HTTP/1.1 {status} ", response, StringComparison.Ordinal);
        Assert.Equal(1, response.Split("HTTP/1.1").Length - 1);
        Assert.Contains("x-request-id: req_", response, StringComparison.Ordinal);
        Assert.Contains("Content-Type: application/json\r\n", response, StringComparison.Ordinal);
        using var body = JsonDocument.Parse(response[(response.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
        Assert.Equal("invalid_request_error", body.RootElement.GetProperty("error").GetProperty("type").GetString());
    }

    private static async Task<string> AskAsync(UpstreamHub hub, byte[] request)
    {
        using var client = new TcpClient();
        var address = new Uri(hub.Address);
        await client.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        await stream.WriteAsync(request, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
    }

    // Gives a piece, and then fails: the client takes its request back.
    private sealed class BreakingStream : MemoryStream
    {
        private bool _hasGiven;

        public override bool CanSeek => false;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_hasGiven)
            {
                await Task.Delay(50, cancellationToken);
                throw new IOException("broken");
            }
            _hasGiven = true;
            buffer.Span[0] = (byte)'{';
            return 1;
        }

        public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
        {
            await destination.WriteAsync("{"u8.ToArray(), cancellationToken);
            await destination.FlushAsync(cancellationToken);
            await Task.Delay(50, cancellationToken);
            throw new IOException("broken");
        }
    }
}
