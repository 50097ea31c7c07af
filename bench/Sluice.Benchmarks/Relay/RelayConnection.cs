using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.Benchmarks.Relay;

/// <summary>One client: a bare socket that is used again from request to request and counts what it gets.</summary>
internal sealed class RelayConnection : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly RelayTarget _target;
    private readonly byte[] _buffer = new byte[16 << 10];
    private readonly ChunkedBody _body = new(" token\""u8.ToArray());

    /// <param name="target">Is connected to at once.</param>
    /// <param name="receiveBytes">What the system keeps for it unread; null for the usual.</param>
    public RelayConnection(RelayTarget target, int? receiveBytes = null)
    {
        _target = target;
        if (receiveBytes is { } bytes) _socket.ReceiveBufferSize = bytes;
        _socket.Connect(IPAddress.Loopback, target.Port);
    }

    /// <summary>Asks, and reads the whole answer.</summary>
    /// <returns>Milliseconds to the first piece of text, and the longest between two reads of text.</returns>
    /// <exception cref="InvalidDataException">The answer is not whole.</exception>
    public async Task<(double First, double LongestGap)> AskAsync(RelayLoad workload)
    {
        var request = Request(workload.Name);
        var started = Stopwatch.GetTimestamp();
        await _socket.SendAsync(request);
        double first = 0, gap = 0;
        var last = started;
        _body.Reset();
        while (!_body.IsEnd)
        {
            var count = await _socket.ReceiveAsync(_buffer);
            if (count == 0) throw new InvalidDataException($"{_target.Name} closed the connection after {_body.Count} chunks.");
            var before = _body.Count;
            _body.Add(_buffer.AsSpan(0, count));
            if (_body.Count == before) continue;
            var now = Stopwatch.GetTimestamp();
            if (before == 0) first = Stopwatch.GetElapsedTime(started, now).TotalMilliseconds;
            else gap = double.Max(gap, Stopwatch.GetElapsedTime(last, now).TotalMilliseconds);
            last = now;
        }
        if (_body.Count != workload.ChunkCount) throw new InvalidDataException($"{_target.Name} gave {_body.Count} of {workload.ChunkCount} chunks: {Encoding.UTF8.GetString(_buffer, 0, 300)}");
        return (first, gap);
    }

    /// <summary>Asks, waits for some text, and reads no more.</summary>
    public async Task StopAsync(RelayLoad workload)
    {
        await _socket.SendAsync(Request(workload.Name));
        _body.Reset();
        while (_body.Count == 0 && await _socket.ReceiveAsync(_buffer.AsMemory(0, 1024)) is > 0 and var count) _body.Add(_buffer.AsSpan(0, count));
    }

    /// <summary>Asks, waits for some text, and leaves.</summary>
    /// <returns>When it left.</returns>
    public async Task<long> LeaveAsync(string tag)
    {
        await _socket.SendAsync(Request($"{RelayLoad.Endless.Name} tag:{tag};"));
        _body.Reset();
        while (_body.Count == 0) _body.Add(_buffer.AsSpan(0, await _socket.ReceiveAsync(_buffer)));
        var left = Stopwatch.GetTimestamp();
        _socket.Dispose();
        return left;
    }

    public void Dispose() => _socket.Dispose();

    private byte[] Request(string text)
    {
        var body = $$"""{"model":"bench","stream":true,"messages":[{"role":"user","content":"{{text}}"}]}""";
        return Encoding.UTF8.GetBytes(FormattableString.Invariant(
            $"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{_target.Port}\r\nContent-Type: application/json\r\n{_target.Headers}Content-Length: {body.Length}\r\n\r\n{body}"));
    }
}
