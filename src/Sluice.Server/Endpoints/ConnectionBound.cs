using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>How many connections there are at a time. Beyond that the one that has been idle for longest goes; where all are busy, a new one is refused.</summary>
internal sealed partial class ConnectionBound
{
    private readonly ILogger _logger;
    private readonly Limits _limits;
    private readonly TimeProvider _time;

    // Guards all below.
    private readonly Lock _lock = new();
    private readonly LinkedList<Seat> _idle = [];
    private int _count;
    private bool _isToldFull;

    public ConnectionBound(Limits limits, TimeProvider time, ILogger<ConnectionBound> logger)
    {
        (_limits, _time, _logger) = (limits, time, logger);
        CountMax = int.Min(limits.ConnectionsMax, FileLimit.ConnectionsMax() ?? int.MaxValue);
    }

    /// <summary>Connections at a time.</summary>
    public int CountMax { get; }

    /// <summary>Of one connection, among its features.</summary>
    internal sealed class Seat(ConnectionBound bound, ConnectionContext connection)
    {
        private readonly ConnectionBound _bound = bound;
        private int _requestCount;

        internal ConnectionContext Connection => connection;

        // Under the bound's lock. Null while it has requests, or has gone.
        internal LinkedListNode<Seat>? Place { get; set; }

        internal bool HasLeft { get; set; }

        internal long IdleSince { get; set; } = bound._time.GetTimestamp();

        /// <summary>A request begins. From any thread.</summary>
        public void Enter()
        {
            lock (_bound._lock)
            {
                if (_requestCount++ > 0 || Place is null) return;
                _bound._idle.Remove(Place);
                Place = null;
            }
        }

        /// <summary>A request ends.</summary>
        public void Leave()
        {
            lock (_bound._lock)
            {
                if (--_requestCount > 0 || HasLeft) return;
                IdleSince = _bound._time.GetTimestamp();
                Place = _bound._idle.AddLast(this);
            }
        }
    }

    /// <summary>Puts the bound in front of what serves connections.</summary>
    public ConnectionDelegate Prepare(ConnectionDelegate next) => connection => RunAsync(connection, next, RefuseAsync);

    /// <summary>The same in front of a TLS handshake: whoever is refused has no protocol yet in which that could be said.</summary>
    public ConnectionDelegate PrepareTls(ConnectionDelegate next) => connection => RunAsync(connection, next, static connection =>
    {
        connection.Abort(new ConnectionAbortedException("There is no place for the connection."));
        return Task.CompletedTask;
    });

    private async Task RunAsync(ConnectionContext connection, ConnectionDelegate next, Func<ConnectionContext, Task> refuse)
    {
        if (TryTake(connection) is not { } seat)
        {
            await refuse(connection);
            return;
        }
        try
        {
            connection.Features.Set(seat);
            await next(connection);
        }
        finally
        {
            lock (_lock) GiveBack(seat);
        }
    }

    private Seat? TryTake(ConnectionContext connection)
    {
        Seat? seat = null, victim = null;
        var isNews = false;
        lock (_lock)
        {
            if (_count >= CountMax && (victim = FindIdle()) is not null) GiveBack(victim);
            if (_count < CountMax)
            {
                _count++;
                seat = new Seat(this, connection);
                seat.Place = _idle.AddLast(seat);
            }
            else
            {
                (isNews, _isToldFull) = (!_isToldFull, true);
            }
        }
        if (isNews) LogFull(CountMax);
        victim?.Connection.Abort(new ConnectionAbortedException("The connection was idle, and another one needed its place."));
        return seat;
    }

    // Under the lock, as below. One that has just come is about to send its request.
    private Seat? FindIdle() =>
        _idle.First?.Value is { } seat && _time.GetElapsedTime(seat.IdleSince) >= _limits.ConnectionIdle ? seat : null;

    private void GiveBack(Seat seat)
    {
        if (seat.HasLeft) return;
        seat.HasLeft = true;
        if (seat.Place is { } place) _idle.Remove(place);
        seat.Place = null;
        if (--_count < CountMax / 2) _isToldFull = false;
    }

    private async Task RefuseAsync(ConnectionContext connection)
    {
        var body = new ArrayBufferWriter<byte>();
        ApiErrors.Unavailable().WriteTo(body);
        var head = string.Create(
            CultureInfo.InvariantCulture,
            $"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {body.WrittenCount}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n");
        var output = connection.Transport.Output;
        Encoding.ASCII.GetBytes(head, output);
        output.Write(body.WrittenSpan);
        await output.FlushAsync();
        await output.CompleteAsync();
        await ReadAwayAsync(connection);
    }

    // What has come is read, or the client would see a reset in place of the answer.
    private async Task ReadAwayAsync(ConnectionContext connection)
    {
        const long BytesMax = 1 << 20;
        using var patience = new CancellationTokenSource(_limits.ConnectionIdle, _time);
        try
        {
            for (long count = 0; count < BytesMax;)
            {
                var read = await connection.Transport.Input.ReadAsync(patience.Token);
                count += read.Buffer.Length;
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted || read.IsCanceled) return;
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // It has had its time, or is gone.
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "All {Count} connections are busy, and further ones are refused. Their number follows from how many files the process can open.")]
    private partial void LogFull(int count);
}
