using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Sluice.Server.Transport;

/// <summary>A wire that a <see cref="Reactor"/> waits for. What waits for it goes on on the reactor's thread.</summary>
[SupportedOSPlatform("linux")]
internal sealed class ReactorWire : Wire
{
    // More than that is rare in one flush; the rest goes with the next call.
    private const int PiecesMax = 16;

    // A sender that is always ahead would keep the reactor from everybody else.
    private const int ReceivesInTurn = 32;

    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;
    private readonly Reactor _reactor;
    private readonly Readiness _readable = new(isReady: false);
    private readonly Readiness _writable;
    private readonly int _place;
    private volatile bool _hasHungUp;
    private int _receiveCount;
    private int _isAborted;
    private int _isDisposed;

    /// <param name="socket">Connected, or about to be; belongs to the wire.</param>
    /// <param name="reactor">Waits for it.</param>
    /// <param name="isConnected">False where the connection is under way.</param>
    public ReactorWire(Socket socket, Reactor reactor, bool isConnected = true)
    {
        (_socket, _handle, _reactor) = (socket, socket.SafeHandle, reactor);
        _writable = new Readiness(isConnected);
        _place = reactor.Add(this, _handle);
    }

    public override int Shelf => _reactor.Index + 1;

    public Socket Socket => _socket;

    private bool IsAborted => Volatile.Read(ref _isAborted) != 0;

    public static async Task<ReactorWire> ConnectAsync(Socket socket, IPEndPoint endpoint, Reactor reactor, CancellationToken cancellation)
    {
        // The reactor asks for no mode: its calls say that they don't wait. A connect has no way to say so.
        socket.Blocking = false;
        var isConnected = Begin(socket, endpoint);
        var wire = new ReactorWire(socket, reactor, isConnected);
        try
        {
            await using var left = cancellation.UnsafeRegister(static state => ((ReactorWire)state!).Abort(), wire);
            while (!wire._writable.IsReady) await wire._writable.WaitAsync();
            cancellation.ThrowIfCancellationRequested();
            var error = (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!;
            return error == 0 ? wire : throw new SocketException(error);
        }
        catch
        {
            wire.Dispose();
            throw;
        }
    }

    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer) =>
        _receiveCount < ReceivesInTurn && TryReceive(buffer.Span, out var count) ? new ValueTask<int>(count) : ReceiveSlowlyAsync(buffer);

    /// <summary>Waits until there is something to receive, and needs no buffer for that.</summary>
    public ValueTask WaitReadableAsync()
    {
        if (!_readable.IsReady) return _readable.WaitAsync();
        if (_receiveCount < ReceivesInTurn) return default;
        var turn = _readable.WaitTurnAsync();
        _reactor.Post(this);
        return turn;
    }

    public override bool TryReceive(Span<byte> buffer, out int count)
    {
        count = 0;
        if (!_readable.IsReady) return false;
        _readable.Clear();
        while (true)
        {
            if (IsAborted)
            {
                _readable.Keep();
                throw Aborted();
            }
            var result = Receive(buffer, LinuxCalls.DontWait);
            if (result >= 0)
            {
                count = (int)result;
                _receiveCount++;
                // Less than there was room for is all that there was, and more comes with an edge. Of an end that was there before no edge tells again.
                if (count == buffer.Length || count == 0 || _hasHungUp) _readable.Keep();
                return true;
            }
            var error = Marshal.GetLastPInvokeError();
            if (error == LinuxCalls.Interrupted) continue;
            if (error == LinuxCalls.TryAgain) return false;
            _readable.Keep();
            throw Broken(error);
        }
    }

    public override ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        var sent = TrySend(bytes.Span);
        return sent == bytes.Length ? default : SendSlowlyAsync(bytes[sent..]);
    }

    /// <summary>Sends without waiting.</summary>
    /// <returns>How many bytes the system took.</returns>
    /// <exception cref="IOException">The connection is broken or aborted.</exception>
    public int TrySend(ReadOnlySpan<byte> bytes)
    {
        var sent = 0;
        while (sent < bytes.Length)
        {
            ThrowIfAborted();
            _writable.Clear();
            var result = Send(bytes[sent..]);
            if (!HasSent(result)) return sent;
            sent += (int)result;
        }
        return sent;
    }

    /// <summary>Sends several pieces with one call, without waiting.</summary>
    /// <returns>How many bytes the system took; fewer than there are also where there are very many pieces.</returns>
    /// <exception cref="IOException">The connection is broken or aborted.</exception>
    public unsafe int TrySend(ReadOnlySpan<ReadOnlyMemory<byte>> pieces)
    {
        ThrowIfAborted();
        _writable.Clear();
        var count = int.Min(pieces.Length, PiecesMax);
        var vector = stackalloc LinuxCalls.Piece[PiecesMax];
        var pins = new PinnedPieces();
        try
        {
            for (var i = 0; i < count; i++)
            {
                pins[i] = pieces[i].Pin();
                vector[i] = new LinuxCalls.Piece { Bytes = (byte*)pins[i].Pointer, Count = pieces[i].Length };
            }
            var message = new LinuxCalls.Message { Pieces = vector, PieceCount = count };
            var result = LinuxCalls.SendMany(_handle, &message, LinuxCalls.DontWait | LinuxCalls.NoSignal);
            return HasSent(result) ? (int)result : 0;
        }
        catch (ObjectDisposedException)
        {
            throw Aborted();
        }
        finally
        {
            for (var i = 0; i < count; i++) pins[i].Dispose();
        }
    }

    /// <summary>Waits until something can be sent again.</summary>
    public ValueTask WaitWritableAsync() => _writable.IsReady ? default : _writable.WaitAsync();

    public override bool IsQuiet()
    {
        if (_hasHungUp || IsAborted) return false;
        // An edge may wait behind the one that is being served.
        try
        {
            return Receive(stackalloc byte[1], LinuxCalls.DontWait | LinuxCalls.Peek) < 0 && Marshal.GetLastPInvokeError() == LinuxCalls.TryAgain;
        }
        catch (IOException)
        {
            return false;
        }
    }

    public override void Abort()
    {
        if (Interlocked.Exchange(ref _isAborted, 1) != 0) return;
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It was not connected any more, or not yet.
        }
        _reactor.Post(this);
    }

    /// <summary>Edges; on the reactor's thread.</summary>
    internal void OnEdge(uint events)
    {
        if ((events & (LinuxCalls.PeerHangUp | LinuxCalls.HangUp | LinuxCalls.Error)) != 0)
        {
            _hasHungUp = true;
            events |= LinuxCalls.In;
        }
        if ((events & (LinuxCalls.HangUp | LinuxCalls.Error)) != 0) events |= LinuxCalls.Out;
        if ((events & LinuxCalls.Out) != 0) _writable.Signal();
        if ((events & LinuxCalls.In) == 0) return;
        _receiveCount = 0;
        _readable.Signal();
    }

    /// <summary>Whoever waits finds out what has happened; on the reactor's thread.</summary>
    internal void SignalAll()
    {
        _receiveCount = 0;
        _writable.Signal();
        _readable.Signal();
    }

    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0) return;
        var isNews = Interlocked.Exchange(ref _isAborted, 1) == 0;
        _reactor.Remove(_place);
        _socket.Dispose();
        if (isNews) _reactor.Post(this);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveSlowlyAsync(Memory<byte> buffer)
    {
        int count;
        do await WaitReadableAsync();
        while (!TryReceive(buffer.Span, out count));
        return count;
    }

    private async ValueTask SendSlowlyAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            await WaitWritableAsync();
            bytes = bytes[TrySend(bytes.Span)..];
        }
    }

    private unsafe nint Receive(Span<byte> buffer, int flags)
    {
        try
        {
            fixed (byte* bytes = buffer) return LinuxCalls.Receive(_handle, bytes, buffer.Length, flags);
        }
        catch (ObjectDisposedException)
        {
            throw Aborted();
        }
    }

    private unsafe nint Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            fixed (byte* first = bytes) return LinuxCalls.Send(_handle, first, bytes.Length, LinuxCalls.DontWait | LinuxCalls.NoSignal);
        }
        catch (ObjectDisposedException)
        {
            throw Aborted();
        }
    }

    // False when the system has no room.
    private bool HasSent(nint result)
    {
        if (result >= 0)
        {
            _writable.Keep();
            return true;
        }
        var error = Marshal.GetLastPInvokeError();
        if (error == LinuxCalls.TryAgain) return false;
        _writable.Keep();
        return error == LinuxCalls.Interrupted ? false : throw Broken(error);
    }

    private static unsafe bool Begin(Socket socket, IPEndPoint endpoint)
    {
        var address = endpoint.Serialize();
        int result;
        fixed (byte* bytes = address.Buffer.Span) result = LinuxCalls.Connect(socket.SafeHandle, bytes, (uint)address.Size);
        if (result == 0) return true;
        var error = Marshal.GetLastPInvokeError();
        return error is LinuxCalls.InProgress or LinuxCalls.Interrupted ? false : throw Broken(error);
    }

    private void ThrowIfAborted()
    {
        if (IsAborted) throw Aborted();
    }

    private static IOException Aborted() => new("The connection was aborted.");

    private static IOException Broken(int error) =>
        new("The connection is broken.", new SocketException(error == LinuxCalls.ConnectionReset || error == LinuxCalls.BrokenPipe ? (int)SocketError.ConnectionReset : error));

    [InlineArray(PiecesMax)]
    private struct PinnedPieces
    {
        private System.Buffers.MemoryHandle _first;
    }
}
