using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using Sluice.Server.Transport;
using Xunit;

namespace Sluice.Tests.Server.Transport;

[SupportedOSPlatform("linux")]
public sealed class ReactorWireTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<(ReactorWire Wire, Socket Peer)> ConnectAsync(Reactor reactor)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var accepting = listener.AcceptSocketAsync(Cancellation);
        await socket.ConnectAsync(listener.LocalEndpoint, Cancellation);
        return (new ReactorWire(socket, reactor), await accepting);
    }

    [Fact]
    public async Task A_sender_that_is_always_ahead_leaves_the_others_their_turn()
    {
        Assert.SkipUnless(ReactorThread.Exists, "There is no reactor here.");
        var reactor = Reactor.FindIdlest();
        var (fast, flood) = await ConnectAsync(reactor);
        var (slow, other) = await ConnectAsync(reactor);
        using var stopped = new CancellationTokenSource();
        // Both without the context of the test: the reader goes on on the reactor's thread, and neither holds a thread of other tests.
        var flooding = Task.Run(() => FloodAsync(flood, stopped.Token), Cancellation);
        var isOnReactor = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var reading = Task.Run(() => ReadAsync(fast, isOnReactor, stopped.Token), Cancellation);
        await isOnReactor.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        for (var i = 0; i < 20; i++)
        {
            var receiving = slow.ReceiveAsync(new byte[1]).AsTask();
            await other.SendAsync(new byte[1], Cancellation);
            Assert.Equal(1, await receiving.WaitAsync(TimeSpan.FromSeconds(30), Cancellation));
        }
        await stopped.CancelAsync();
        fast.Dispose();
        slow.Dispose();
        flood.Dispose();
        other.Dispose();
        await Task.WhenAll(flooding, reading);
    }

    private static async Task FloodAsync(Socket socket, CancellationToken stopped)
    {
        try
        {
            while (!stopped.IsCancellationRequested) await socket.SendAsync(new byte[1 << 20], stopped);
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    // By so little at a time that there is always more.
    private static async Task ReadAsync(ReactorWire wire, TaskCompletionSource isOnReactor, CancellationToken stopped)
    {
        try
        {
            while (!stopped.IsCancellationRequested)
            {
                await wire.ReceiveAsync(new byte[16]);
                if (!Thread.CurrentThread.IsThreadPoolThread) isOnReactor.TrySetResult();
            }
        }
        catch (IOException)
        {
            // The test is over.
        }
    }
}
