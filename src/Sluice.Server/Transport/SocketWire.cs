using System.Net.Sockets;

namespace Sluice.Server.Transport;

/// <summary>A wire that the platform's own sockets wait for.</summary>
internal sealed class SocketWire(Socket socket) : Wire
{
    private int _isAborted;

    public override int Shelf => 0;

    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        try
        {
            var count = await socket.ReceiveAsync(buffer, SocketFlags.None);
            // An abort looks like an end in order.
            return count > 0 || Volatile.Read(ref _isAborted) == 0 ? count : throw new IOException("The connection was aborted.");
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            throw Broken(exception);
        }
    }

    public override bool TryReceive(Span<byte> buffer, out int count)
    {
        count = 0;
        try
        {
            if (!socket.Poll(0, SelectMode.SelectRead)) return false;
            count = socket.Receive(buffer, SocketFlags.None);
            return count > 0 || Volatile.Read(ref _isAborted) == 0 ? true : throw new IOException("The connection was aborted.");
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            throw Broken(exception);
        }
    }

    public override async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None)..];
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            throw Broken(exception);
        }
    }

    public override bool IsQuiet()
    {
        try
        {
            return !socket.Poll(0, SelectMode.SelectRead);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    public override void Abort()
    {
        if (Interlocked.Exchange(ref _isAborted, 1) != 0) return;
        try
        {
            // To dispose of it while something is pending would send a reset.
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It was not connected any more.
        }
    }

    protected override void Dispose(bool disposing) => socket.Dispose();

    private static IOException Broken(Exception exception) => new("The connection is broken.", exception);
}
