using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;

namespace Sluice.Benchmarks.Relay;

/// <summary>
/// Sends the same bytes on many sockets at a fixed pace, from one thread: the sockets take turns within the interval, so that the load is even. A timer for each would cost as
/// much as what is measured.
/// </summary>
internal sealed class Pacer : IDisposable
{
    private const int SlotCount = 50;

    private readonly List<Stream>[] _slots = [.. Enumerable.Range(0, SlotCount).Select(static _ => new List<Stream>())];
    private readonly ConcurrentQueue<Stream> _added = new();
    private readonly TimeSpan _interval;
    private readonly byte[] _bytes;
    private volatile bool _isOver;
    private int _next;

    private sealed class Stream(Socket socket, int count)
    {
        public readonly Socket Socket = socket;
        public int Left = count;
        public readonly TaskCompletionSource Done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <param name="interval">Between two sends to a socket.</param>
    /// <param name="bytes">What is sent.</param>
    public Pacer(TimeSpan interval, byte[] bytes)
    {
        (_interval, _bytes) = (interval, bytes);
        new Thread(Run) { IsBackground = true, Name = "pacer" }.Start();
    }

    /// <summary>The longest that a turn came late by, ms: what the streams owe to the machine and not to a relay.</summary>
    public double Latest { get; private set; }

    /// <summary>Completes when that many were sent, or the socket takes no more.</summary>
    public Task SendAsync(Socket socket, int count)
    {
        var stream = new Stream(socket, count);
        _added.Enqueue(stream);
        return stream.Done.Task;
    }

    public void Dispose() => _isOver = true;

    private void Run()
    {
        var slot = _interval / SlotCount;
        var clock = Stopwatch.StartNew();
        for (var turn = 0L; !_isOver; turn++)
        {
            var due = turn * slot;
            if (due - clock.Elapsed is var rest && rest > TimeSpan.Zero) Thread.Sleep(rest);
            else if (turn > SlotCount) Latest = double.Max(Latest, -rest.TotalMilliseconds);
            while (_added.TryDequeue(out var stream)) _slots[_next++ % SlotCount].Add(stream);
            _slots[turn % SlotCount].RemoveAll(Send);
        }
    }

    // Whether that was the last.
    private bool Send(Stream stream)
    {
        try
        {
            stream.Socket.Send(_bytes);
            if (--stream.Left > 0) return false;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Its relay has left.
        }
        stream.Done.SetResult();
        return true;
    }
}
