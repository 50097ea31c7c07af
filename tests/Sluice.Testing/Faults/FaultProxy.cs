using System.Net;
using System.Net.Sockets;

namespace Sluice.Testing.Faults;

/// <summary>Stands between clients and a server on this machine, and breaks their connections as plans say. It knows bytes only.</summary>
public sealed class FaultProxy : IAsyncDisposable
{
    private readonly Socket _listener = new(SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly EndPoint _target;
    private readonly Func<int, ConnectionPlan> _plans;
    private readonly Task _accepting;
    private int _connectionCount;
    private int _faultCount;

    private FaultProxy(Uri target, Func<int, ConnectionPlan> plans)
    {
        (_target, _plans) = (new IPEndPoint(IPAddress.Parse(target.Host), target.Port), plans);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(1024);
        Address = new Uri($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}");
        _accepting = AcceptAsync();
    }

    /// <summary>Where clients connect to.</summary>
    public Uri Address { get; }

    /// <summary>Connections so far.</summary>
    public int ConnectionCount => Volatile.Read(ref _connectionCount);

    /// <summary>Faults that have happened.</summary>
    public int FaultCount => Volatile.Read(ref _faultCount);

    /// <param name="target">An address with a number and a port.</param>
    /// <param name="plans">By the number of the connection, from 0.</param>
    public static FaultProxy Start(Uri target, Func<int, ConnectionPlan> plans) => new(target, plans);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var client = await _listener.AcceptAsync(_stop.Token);
                _ = ServeAsync(client, _plans(Interlocked.Increment(ref _connectionCount) - 1));
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket client, ConnectionPlan plan)
    {
        using var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var closed = client;
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        client.NoDelay = true;
        try
        {
            await server.ConnectAsync(_target, ended.Token);
            var requested = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var up = UpAsync(client, server, requested, ended.Token);
            var down = DownAsync(client, server, plan, ended.Token);
            if (plan.AfterRequest is { } wait)
            {
                await Task.WhenAny(requested.Task, up);
                await Task.Delay(wait, ended.Token);
                Break(client, server, plan.Fault);
            }
            // A server that closes has said all that it had to say, a client that closes wants nothing more.
            await await Task.WhenAny(up, down);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The other side is told by the closing of its socket.
        }
        finally
        {
            await ended.CancelAsync();
        }
    }

    private static async Task UpAsync(Socket client, Socket server, TaskCompletionSource requested, CancellationToken cancellation)
    {
        var buffer = new byte[16 << 10];
        while (await client.ReceiveAsync(buffer, cancellation) is > 0 and var count)
        {
            await SendAsync(server, buffer.AsMemory(0, count), cancellation);
            requested.TrySetResult();
        }
    }

    private async Task DownAsync(Socket client, Socket server, ConnectionPlan plan, CancellationToken cancellation)
    {
        var buffer = new byte[16 << 10];
        var left = plan.Fault == ConnectionFault.None || plan.AfterRequest is not null ? int.MaxValue : plan.AfterBytes;
        while (await server.ReceiveAsync(buffer, cancellation) is > 0 and var count)
        {
            for (var sent = 0; sent < count && left > 0;)
            {
                var piece = int.Min(int.Min(plan.PieceBytes, count - sent), left);
                await SendAsync(client, buffer.AsMemory(sent, piece), cancellation);
                sent += piece;
                if (left < int.MaxValue) left -= piece;
                if (plan.PieceInterval > TimeSpan.Zero) await Task.Delay(plan.PieceInterval, cancellation);
            }
            if (left > 0) continue;
            Break(client, server, plan.Fault);
            if (plan.Fault == ConnectionFault.NeverReads) await Task.Delay(Timeout.Infinite, cancellation);
            while (await server.ReceiveAsync(buffer, cancellation) > 0)
            {
                // A black hole takes everything.
            }
            await Task.Delay(Timeout.Infinite, cancellation);
        }
    }

    private void Break(Socket client, Socket server, ConnectionFault fault)
    {
        Interlocked.Increment(ref _faultCount);
        switch (fault)
        {
            case ConnectionFault.Close:
                // What was sent arrives, then the end; closing at once with bytes unread would be a reset.
                client.Shutdown(SocketShutdown.Send);
                server.Dispose();
                break;
            case ConnectionFault.Reset:
                client.LingerState = new LingerOption(true, 0);
                client.Dispose();
                server.LingerState = new LingerOption(true, 0);
                server.Dispose();
                break;
        }
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellation)..];
    }
}
