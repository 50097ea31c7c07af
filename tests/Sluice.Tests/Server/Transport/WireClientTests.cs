using System.Net;
using System.Net.Sockets;
using System.Text;
using Sluice.Server.Runtime;
using Sluice.Server.Transport;
using Xunit;

namespace Sluice.Tests.Server.Transport;

/// <summary>The hub's own HTTP/1.1 before servers that are bare sockets, on the reactor and on the platform's sockets.</summary>
public sealed class WireClientTests
{
    private static readonly byte[] s_head = "POST /v1/x HTTP/1.1\r\nHost: a\r\n"u8.ToArray();
    private static readonly Limits s_limits = new();

    public static TheoryData<bool> Kinds => ReactorThread.Exists ? [true, false] : [false];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Serves each connection by the script, one after the other.
    private static Server Serve(params Func<Stream, Task>[] connections) => new(connections);

    private static async Task<string> ReadRequestAsync(Stream stream)
    {
        var text = new StringBuilder();
        var buffer = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(buffer, Cancellation) == 0) return text.ToString();
            text.Append((char)buffer[0]);
        }
        var head = text.ToString();
        var length = int.Parse(head.Split("Content-Length: ")[1].Split("\r\n")[0], System.Globalization.CultureInfo.InvariantCulture);
        var body = new byte[length];
        await stream.ReadExactlyAsync(body, Cancellation);
        return head + Encoding.ASCII.GetString(body);
    }

    private static ValueTask SayAsync(Stream stream, string text) => stream.WriteAsync(Encoding.Latin1.GetBytes(text), Cancellation);

    private static WireClient Ask(Server server, bool usesReactor) => new("127.0.0.1", server.Port, TimeSpan.FromSeconds(20), s_limits, TimeProvider.System, usesReactor);

    private static async Task<string> PostAsync(WireClient client, string body = "{}")
    {
        using var reply = await client.SendAsync(s_head, Encoding.ASCII.GetBytes(body), Cancellation);
        return $"{reply.Status} {await BodyAsync(reply)}";
    }

    private static async Task<string> BodyAsync(Stream reply)
    {
        using var content = new MemoryStream();
        await reply.CopyToAsync(content, 7, Cancellation);
        return Encoding.Latin1.GetString(content.ToArray());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task One_connection_serves_replies_of_every_framing_and_is_kept(bool usesReactor)
    {
        string? request = null;
        await using var server = Serve(async stream =>
        {
            request = await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
            await ReadRequestAsync(stream);
            foreach (var letter in "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n") await SayAsync(stream, letter.ToString());
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 204 No Content\r\n\r\n");
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 404 Not Found\r\n\r\nto the end");
        });
        using var client = Ask(server, usesReactor);
        Assert.Equal("200 first", await PostAsync(client, "{\"a\":1}"));
        Assert.Equal("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{\"a\":1}", request);
        Assert.Equal("200 second", await PostAsync(client));
        Assert.Equal("204 ", await PostAsync(client));
        Assert.Equal("404 to the end", await PostAsync(client));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_connection_that_was_closed_while_it_was_idle_is_replaced(bool usesReactor)
    {
        var closed = new TaskCompletionSource();
        await using var server = Serve(
            async stream =>
            {
                await ReadRequestAsync(stream);
                await SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
                await stream.DisposeAsync();
                closed.SetResult();
            },
            async stream =>
            {
                await ReadRequestAsync(stream);
                await SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
                // A request that has come whole may have been worked on.
                await ReadRequestAsync(stream);
            },
            async stream =>
            {
                await ReadRequestAsync(stream);
                await SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc");
            });
        using var client = Ask(server, usesReactor);
        Assert.Equal("200 a", await PostAsync(client));
        await closed.Task;
        Assert.Equal("200 b", await PostAsync(client));
        await Assert.ThrowsAsync<IOException>(() => PostAsync(client));
        Assert.Equal("200 c", await PostAsync(client));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_new_connection_that_says_nothing_is_not_asked_again(bool usesReactor)
    {
        await using var server = Serve(async stream => await ReadRequestAsync(stream), async stream =>
        {
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        using var client = Ask(server, usesReactor);
        await Assert.ThrowsAsync<IOException>(() => PostAsync(client));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_refusal_before_the_whole_request_has_come_is_read(bool usesReactor)
    {
        await using var server = Serve(async stream =>
        {
            await stream.ReadExactlyAsync(new byte[100], Cancellation);
            await SayAsync(stream, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
            // Read on, so that what is sent is no reset.
            await stream.CopyToAsync(Stream.Null, Cancellation);
        });
        using var client = Ask(server, usesReactor);
        Assert.Equal("413 big", await PostAsync(client, new string(' ', 4 << 20)));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_reply_that_breaks_off_is_an_error(bool usesReactor)
    {
        foreach (var start in (string[])["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\na\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Trans"])
        {
            await using var server = Serve(async stream =>
            {
                await ReadRequestAsync(stream);
                await SayAsync(stream, $"HTTP/1.1 200 OK\r\n{start}");
            });
            using var client = Ask(server, usesReactor);
            await Assert.ThrowsAsync<IOException>(() => PostAsync(client));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_head_without_end_and_another_protocol_are_errors(bool usesReactor)
    {
        foreach (var text in (string[])["HTTP/1.1 200 OK\r\nA: " + new string('a', 200_000), "220 mail.example ESMTP\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"])
        {
            await using var server = Serve(async stream =>
            {
                await ReadRequestAsync(stream);
                await SayAsync(stream, text);
                await stream.CopyToAsync(Stream.Null, Cancellation);
            });
            using var client = Ask(server, usesReactor);
            await Assert.ThrowsAsync<IOException>(() => PostAsync(client));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_cancellation_ends_the_wait_and_the_connection(bool usesReactor)
    {
        var gone = new TaskCompletionSource();
        var asked = new TaskCompletionSource();
        await using var server = Serve(async stream =>
        {
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
            asked.SetResult();
            if (await stream.ReadAsync(new byte[1], Cancellation) == 0) gone.SetResult();
        });
        using var client = Ask(server, usesReactor);
        using var source = new CancellationTokenSource();
        using var reply = await client.SendAsync(s_head, "{}"u8.ToArray(), source.Token);
        await asked.Task;
        var buffer = new byte[10];
        Assert.Equal(1, await reply.ReadAsync(buffer, Cancellation));
        var reading = reply.ReadAsync(buffer, Cancellation);
        Assert.False(reading.IsCompleted);
        await source.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(async () => await reading);
        await gone.Task.WaitAsync(Cancellation);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await client.SendAsync(s_head, "{}"u8.ToArray(), source.Token));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_cancellation_is_not_the_end_of_a_reply_that_ends_with_its_connection(bool usesReactor)
    {
        await using var server = Serve(async stream =>
        {
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 200 OK\r\n\r\na");
            await stream.CopyToAsync(Stream.Null, Cancellation);
        });
        using var client = Ask(server, usesReactor);
        using var source = new CancellationTokenSource();
        using var reply = await client.SendAsync(s_head, "{}"u8.ToArray(), source.Token);
        var buffer = new byte[10];
        Assert.Equal(1, await reply.ReadAsync(buffer, Cancellation));
        var reading = reply.ReadAsync(buffer, Cancellation);
        await source.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(async () => await reading);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_status_without_a_body_has_none_whatever_its_head_says(bool usesReactor)
    {
        await using var server = Serve(async stream =>
        {
            foreach (var status in (string[])["204 No Content", "304 Not Modified"])
            {
                await ReadRequestAsync(stream);
                await SayAsync(stream, $"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n");
            }
        });
        using var client = Ask(server, usesReactor);
        Assert.Equal("204 ", await PostAsync(client));
        Assert.Equal("304 ", await PostAsync(client));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_long_rest_that_nobody_reads_is_not_worth_its_connection(bool usesReactor)
    {
        var rest = new string('a', s_limits.ResponseDrainBytes * 3);
        foreach (var reply in (string[])[$"Transfer-Encoding: chunked\r\n\r\n{rest.Length:x}\r\n{rest}\r\n0\r\n\r\n", $"Content-Length: {rest.Length}\r\n\r\n{rest}"])
        {
            await using var server = Serve(
                async stream =>
                {
                    await ReadRequestAsync(stream);
                    await SayAsync(stream, $"HTTP/1.1 500 Error\r\n{reply}");
                    try
                    {
                        Assert.Equal(0, await stream.ReadAsync(new byte[1], Cancellation));
                    }
                    catch (IOException)
                    {
                        // It was closed over bytes that nobody had taken.
                    }
                },
                async stream =>
                {
                    await ReadRequestAsync(stream);
                    await SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
                });
            using var client = Ask(server, usesReactor);
            using (var first = await client.SendAsync(s_head, "{}"u8.ToArray(), Cancellation)) Assert.Equal(1, await first.ReadAsync(new byte[1], Cancellation));
            Assert.Equal("200 b", await PostAsync(client));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task What_is_not_read_to_its_end_is_drained_and_the_connection_kept(bool usesReactor)
    {
        await using var server = Serve(async stream =>
        {
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
            await ReadRequestAsync(stream);
            await SayAsync(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
        });
        using var client = Ask(server, usesReactor);
        using (var reply = await client.SendAsync(s_head, "{}"u8.ToArray(), Cancellation)) Assert.Equal(1, await reply.ReadAsync(new byte[1], Cancellation));
        Assert.Equal("200 b", await PostAsync(client));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Megabytes_in_both_directions_arrive_whole(bool usesReactor)
    {
        var body = string.Concat(Enumerable.Range(0, 400_000).Select(static i => (char)('a' + (i % 23))));
        await using var server = Serve(async stream =>
        {
            var request = await ReadRequestAsync(stream);
            var text = request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
            await SayAsync(stream, $"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text.Length:x}\r\n{text}\r\n{text.Length:X}\r\n{text}\r\n0\r\n\r\n");
        });
        using var client = Ask(server, usesReactor);
        using var reply = await client.SendAsync(s_head, Encoding.ASCII.GetBytes(body), Cancellation);
        using var content = new MemoryStream();
        await reply.CopyToAsync(content, Cancellation);
        Assert.Equal(body + body, Encoding.ASCII.GetString(content.ToArray()));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_server_that_is_not_there_is_an_error(bool usesReactor)
    {
        int port;
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        }
        using var client = new WireClient("127.0.0.1", port, TimeSpan.FromSeconds(20), s_limits, TimeProvider.System, usesReactor);
        await Assert.ThrowsAsync<IOException>(() => PostAsync(client));
    }

    private sealed class Server : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Task _serving;

        public Server(Func<Stream, Task>[] connections)
        {
            _listener.Start();
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
            _serving = ServeAsync(connections);
        }

        public int Port { get; }

        public async ValueTask DisposeAsync()
        {
            _listener.Stop();
            try
            {
                await _serving;
            }
            catch (Exception exception) when (exception is IOException or SocketException or InvalidOperationException)
            {
                // The client has left, or not every connection came.
            }
        }

        private async Task ServeAsync(Func<Stream, Task>[] connections)
        {
            try
            {
                foreach (var serve in connections)
                {
                    using var client = await _listener.AcceptTcpClientAsync(Cancellation);
                    await using var stream = client.GetStream();
                    await serve(stream);
                }
            }
            finally
            {
                // Whoever waits for the next connection is told that there is none.
                _listener.Stop();
            }
        }
    }
}
