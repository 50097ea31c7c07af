using System.Net;
using System.Net.Sockets;
using System.Text;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Runs alone, for the memory of the process is counted.</summary>
[CollectionDefinition(nameof(OpenStreamMemoryTests), DisableParallelization = true)]
public sealed class OpenStreamMemoryCollection;

/// <summary>What a stream that waits for its next token holds in managed memory: both of its connections, everything between them, and the test's two sockets.</summary>
[Collection(nameof(OpenStreamMemoryTests))]
public sealed class OpenStreamMemoryTests
{
    private const int StreamCount = 200;

    // Beyond the segment of its log. The aim is 30,000; measured as 34,700, of them 8,200 in the two buffers of a connection of HttpClient; the rest is for what the runtime does beside it.
    private const int BytesPerStreamMax = 38_000;

    private static readonly byte[] s_beginning = Encoding.UTF8.GetBytes(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + Chunk(ScriptedUpstream.Role()) + Chunk(ScriptedUpstream.Text("one")) + Chunk(ScriptedUpstream.Text("two")));

    [Fact]
    public async Task An_open_stream_stays_within_its_budget()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(StreamCount);
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{url: \"http://{listener.LocalEndPoint}/v1\"}}]\n");
        var sockets = new List<Socket>();
        try
        {
            for (var i = 0; i < 40; i++) Open(listener, hub, sockets);
            var before = GC.GetTotalMemory(forceFullCollection: true);
            for (var i = 0; i < StreamCount; i++) Open(listener, hub, sockets);
            var perStream = (GC.GetTotalMemory(forceFullCollection: true) - before) / StreamCount - new StreamLimits().SegmentBytes;
            TestContext.Current.TestOutputHelper?.WriteLine($"{perStream} bytes");
            Assert.InRange(perStream, 1, BytesPerStreamMax);
        }
        finally
        {
            foreach (var socket in sockets) socket.Dispose();
        }
    }

    // Until the client has the text.
    private static void Open(Socket listener, UpstreamHub hub, List<Socket> sockets)
    {
        var address = new Uri(hub.Address);
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        sockets.Add(client);
        client.Connect(address.Host, address.Port);
        var body = UpstreamHub.Ask();
        client.Send(Encoding.UTF8.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        var upstream = listener.Accept();
        sockets.Add(upstream);
        ReadUntil(upstream, "\"Hi\"");
        upstream.Send(s_beginning);
        ReadUntil(client, "\"two\"");
    }

    private static void ReadUntil(Socket socket, string text)
    {
        var buffer = new byte[4096];
        for (var length = 0; !Encoding.UTF8.GetString(buffer, 0, length).Contains(text, StringComparison.Ordinal);)
        {
            var count = socket.Receive(buffer.AsSpan(length));
            Assert.NotEqual(0, count);
            length += count;
        }
    }

    private static string Chunk(string frame)
    {
        var text = $"data: {frame}\n\n";
        return $"{text.Length:x}\r\n{text}\r\n";
    }
}
