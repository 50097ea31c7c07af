using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.Benchmarks.Relay;

/// <summary>
/// The model's server: a bare socket that answers with as many chunks, and as far apart, as a word in the request says. Each chunk is an event, an HTTP
/// chunk and a write of its own.
/// </summary>
internal sealed class RelayUpstream : IDisposable
{
    private const string Head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

    private static readonly byte[] s_role = Chunk("""{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}""");
    private static readonly byte[] s_text = Chunk("""{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}""");
    private static readonly byte[] s_finish = Chunk("""{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}""");
    private static readonly byte[] s_end = Encoding.UTF8.GetBytes("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentDictionary<string, long> _aborts = new();
    private readonly Pacer _pacer = new(RelayLoad.Many.Apart, s_text);

    public RelayUpstream()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(4096);
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>When the connection of the request with that tag was closed by its caller: a timestamp of <see cref="Stopwatch"/>.</summary>
    public async Task<long> WhenAbortedAsync(string tag)
    {
        long at;
        while (!_aborts.TryRemove(tag, out at)) await Task.Delay(1);
        return at;
    }

    public void Dispose()
    {
        _pacer.Dispose();
        _listener.Dispose();
    }

    private static byte[] Chunk(string choice)
    {
        var data = $$"""data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","service_tier":"default","system_fingerprint":"fp_0","choices":[{{choice}}]}""" + "\n\n";
        return Encoding.UTF8.GetBytes(FormattableString.Invariant($"{data.Length:x}\r\n{data}\r\n"));
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptAsync();
                socket.NoDelay = true;
                _ = ServeAsync(socket);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The benchmark has ended.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        var buffer = new byte[4 << 10];
        var tag = "";
        try
        {
            while (await ReadRequestAsync(socket, buffer) is { } body)
            {
                var workload = RelayLoad.Find(body);
                tag = workload.IsEndless ? body[(body.IndexOf("tag:", StringComparison.Ordinal) + 4)..].Split(';')[0] : "";
                await socket.SendAsync(Encoding.ASCII.GetBytes(Head));
                await socket.SendAsync(s_role);
                if (workload.IsEndless) _ = WatchAsync(socket, tag);
                if (workload == RelayLoad.Many) await _pacer.SendAsync(socket, workload.ChunkCount);
                else for (var i = 0; i < workload.ChunkCount; i++)
                {
                    if (workload.Apart > TimeSpan.Zero) await Task.Delay(workload.Apart);
                    await socket.SendAsync(s_text);
                }
                await socket.SendAsync(s_finish);
                await socket.SendAsync(s_end);
            }
        }
        catch (SocketException)
        {
            if (tag.Length > 0) _aborts.TryAdd(tag, Stopwatch.GetTimestamp());
        }
        finally
        {
            socket.Dispose();
        }
    }

    private async Task WatchAsync(Socket socket, string tag)
    {
        try
        {
            await socket.ReceiveAsync(new byte[1]);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // A reset tells as much as a FIN.
        }
        _aborts.TryAdd(tag, Stopwatch.GetTimestamp());
        socket.Dispose();
    }

    // Null at the end of the connection.
    private static async Task<string?> ReadRequestAsync(Socket socket, byte[] buffer)
    {
        var length = 0;
        while (true)
        {
            var count = await socket.ReceiveAsync(buffer.AsMemory(length));
            if (count == 0) return null;
            length += count;
            var text = Encoding.UTF8.GetString(buffer, 0, length);
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end < 0) continue;
            var head = text[..end];
            var at = head.IndexOf("content-length:", StringComparison.OrdinalIgnoreCase);
            if (at < 0 ? text.EndsWith("0\r\n\r\n", StringComparison.Ordinal) : length >= end + 4 + int.Parse(head[(at + 15)..].Split('\r')[0], System.Globalization.CultureInfo.InvariantCulture)) return text[end..];
        }
    }
}
