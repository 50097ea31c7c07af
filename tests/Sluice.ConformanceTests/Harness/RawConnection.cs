using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Sluice.ConformanceTests.Harness;

/// <summary>A TCP connection on which the test writes and reads HTTP/1.1 itself, read by read.</summary>
public sealed class RawConnection : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly List<byte> _received = [];

    private RawConnection()
    {
    }

    public static async Task<RawConnection> OpenAsync(Uri address)
    {
        var connection = new RawConnection();
        await connection._socket.ConnectAsync(address.Host, address.Port);
        return connection;
    }

    public async Task PostAsync(string body, string headers = "Content-Type: application/json\r\n") => await SendAsync(
        $"POST {ApiClient.ChatPath} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    public async Task SendAsync(string text) => await _socket.SendAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Reads until the headers of an answer are there.</summary>
    public async Task<RawHead> ReadHeadAsync()
    {
        int end;
        while ((end = Find("\r\n\r\n")) < 0) await FillAsync();
        var lines = Encoding.ASCII.GetString([.. _received[..end]]).Split("\r\n");
        _received.RemoveRange(0, end + 4);
        var headers = lines.Skip(1).Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.OrdinalIgnoreCase);
        return new RawHead(int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture), headers);
    }

    /// <summary>The next chunk of a chunked body; empty at its end.</summary>
    public async Task<byte[]> ReadChunkAsync()
    {
        int lineEnd;
        while ((lineEnd = Find("\r\n")) < 0) await FillAsync();
        var length = int.Parse(Encoding.ASCII.GetString([.. _received[..lineEnd]]), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        while (_received.Count < lineEnd + 2 + length + 2) await FillAsync();
        byte[] chunk = [.. _received.Skip(lineEnd + 2).Take(length)];
        _received.RemoveRange(0, lineEnd + 2 + length + 2);
        return chunk;
    }

    /// <summary>The whole rest of a chunked body.</summary>
    public async Task<string> ReadBodyAsync()
    {
        var body = new List<byte>();
        while (await ReadChunkAsync() is { Length: > 0 } chunk) body.AddRange(chunk);
        return Encoding.UTF8.GetString([.. body]);
    }

    /// <summary>A body whose length is stated.</summary>
    public async Task<string> ReadBodyAsync(RawHead head)
    {
        var length = int.Parse(head.Headers["Content-Length"], CultureInfo.InvariantCulture);
        while (_received.Count < length) await FillAsync();
        var body = Encoding.UTF8.GetString([.. _received[..length]]);
        _received.RemoveRange(0, length);
        return body;
    }

    /// <summary>What the next read from the network brings, as it is; empty when the server has closed.</summary>
    public async Task<byte[]> ReadOnceAsync()
    {
        if (_received.Count == 0)
        {
            var buffer = new byte[1 << 16];
            return buffer[..await ReceiveAsync(buffer)];
        }

        byte[] rest = [.. _received];
        _received.Clear();
        return rest;
    }

    public void Dispose() => _socket.Dispose();

    private int Find(string text) => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_received).IndexOf(Encoding.ASCII.GetBytes(text));

    private async Task<int> ReceiveAsync(byte[] buffer)
    {
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            return await _socket.ReceiveAsync(buffer, patience.Token);
        }
        catch (SocketException reset)
        {
            // As streams say it: whether an aborted connection ends in a FIN or in a reset is the moment's.
            throw new IOException(reset.Message, reset);
        }
    }

    private async Task FillAsync()
    {
        var buffer = new byte[1 << 16];
        var count = await ReceiveAsync(buffer);
        if (count == 0) throw new EndOfStreamException("The server closed the connection.");
        _received.AddRange(buffer.AsSpan(0, count));
    }
}

/// <summary>Status and headers of an answer.</summary>
public sealed record RawHead(int Status, IReadOnlyDictionary<string, string> Headers);
