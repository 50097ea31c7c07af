using System.Net.Sockets;
using System.Text;
using Sluice.Server.Configuration;
using Sluice.Server.Transport;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Transport;

/// <summary>A hub on either transport, before clients that are bare sockets.</summary>
public sealed class ReactorHubTests
{
    public static TheoryData<TransportKind> Kinds => ReactorThread.Exists ? [TransportKind.Reactor, TransportKind.Sockets] : [TransportKind.Sockets];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<NetworkStream> ConnectAsync(UpstreamHub hub, int receiveBytes = 0)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (receiveBytes > 0) socket.ReceiveBufferSize = receiveBytes;
        var address = new Uri(hub.Address);
        await socket.ConnectAsync(address.Host, address.Port, Cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }

    private static string Post(string body) =>
        $"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";

    private static async Task<string> ReadAsync(Stream stream, string end)
    {
        var text = new StringBuilder();
        var buffer = new byte[1 << 16];
        while (!text.ToString(int.Max(0, text.Length - 200), int.Min(200, text.Length)).Contains(end, StringComparison.Ordinal))
        {
            var count = await stream.ReadAsync(buffer, Cancellation);
            if (count == 0) break;
            text.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }
        return text.ToString();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Requests_that_arrive_byte_by_byte_and_several_at_once_are_answered_in_turn(TransportKind kind)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(ScriptedUpstream.Text("one"), ScriptedUpstream.Finish()));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with { Transport = kind });
        await using var stream = await ConnectAsync(hub);
        var ask = Post(UpstreamHub.Ask());
        foreach (var letter in ask) await stream.WriteAsync(Encoding.ASCII.GetBytes(letter.ToString()), Cancellation);
        Assert.Contains("one", await ReadAsync(stream, "\r\n0\r\n\r\n"), StringComparison.Ordinal);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(ask + ask), Cancellation);
        var text = await ReadAsync(stream, "\r\n0\r\n\r\n");
        if (text.Split("[DONE]").Length < 3) text += await ReadAsync(stream, "\r\n0\r\n\r\n");
        Assert.Equal(3, text.Split("[DONE]").Length);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_reader_that_is_slower_than_the_answer_gets_all_of_it(TransportKind kind)
    {
        var word = new string('x', 30_000);
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames([.. Enumerable.Repeat(ScriptedUpstream.Text(word), 60), ScriptedUpstream.Finish()]));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with { Transport = kind });
        await using var stream = await ConnectAsync(hub, receiveBytes: 4096);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Post(UpstreamHub.Ask())), Cancellation);
        // The system's buffers are full by then.
        await Task.Delay(300, Cancellation);
        var text = await ReadAsync(stream, "[DONE]");
        // Sizes of chunks stand between them, and the letter is in other words too.
        Assert.InRange(text.Count(static letter => letter == 'x'), 60 * 30_000, (60 * 30_000) + 500);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_client_that_leaves_is_noticed_by_the_upstream(TransportKind kind)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("more"));
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with { Transport = kind });
        await using (var stream = await ConnectAsync(hub))
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(Post(UpstreamHub.Ask())), Cancellation);
            await ReadAsync(stream, "more");
        }
        await Assert.Single(upstream.Calls).Aborted.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_long_request_is_read_whole(TransportKind kind)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(ScriptedUpstream.Text("one"), ScriptedUpstream.Finish()));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: options => options with { Transport = kind });
        await using var stream = await ConnectAsync(hub);
        var body = $$"""{"model":"m","stream":true,"messages":[{"role":"user","content":"{{new string('y', 3 << 20)}}"}]}""";
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Post(body)), Cancellation);
        Assert.Contains("one", await ReadAsync(stream, "[DONE]"), StringComparison.Ordinal);
        Assert.Contains(new string('y', 3 << 20), Assert.Single(upstream.Calls).Body, StringComparison.Ordinal);
    }
}
