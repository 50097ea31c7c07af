using System.Buffers;
using System.Runtime.CompilerServices;
using Sluice.Server.Runtime;

namespace Sluice.Server.Transport;

/// <summary>One reply on a connection, and its body as a stream. When it is disposed the connection serves again, or is closed.</summary>
internal sealed class WireReply : Stream
{
    private const int HeadBytes = 2 << 10;
    private const int HeadBytesMax = 64 << 10;

    private readonly Wire _wire;
    private readonly WirePool _pool;
    private readonly Limits _limits;
    private readonly CancellationToken _cancellation;
    private readonly CancellationTokenRegistration _left;

    // The head, and what came with it: from _from on.
    private byte[] _buffer;
    private int _from;
    private int _to;
    private ReplyHead _head;
    private ChunkDecoder _chunks;
    private bool _isChunked;

    // -1 where the body ends with the connection.
    private long _length;
    private bool _staysOpen;
    private bool _hasEnded;
    private int _isDisposed;

    public WireReply(Wire wire, WirePool pool, Limits limits, CancellationToken cancellation)
    {
        (_wire, _pool, _limits, _cancellation) = (wire, pool, limits, cancellation);
        _buffer = ArrayPool<byte>.Shared.Rent(HeadBytes);
        _left = cancellation.UnsafeRegister(static state => ((Wire)state!).Abort(), wire);
    }

    public int Status => _head.Status;

    /// <summary>Whether any byte of it has come.</summary>
    public bool HasBegun { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>A field of the head, as <see cref="ReplyHead.Find"/>; of a success no more once its body is read.</summary>
    public string? Find(string name) => _buffer.Length > 0 ? _head.Find(name) : null;

    /// <summary>Reads the head; interim replies are passed over.</summary>
    /// <param name="failure">Why the request could not be sent whole; what is thrown when nothing comes either.</param>
    public async ValueTask ReadHeadAsync(IOException? failure)
    {
        while (true)
        {
            var end = ReplyHead.FindEnd(_buffer.AsSpan(_from, _to - _from));
            if (end < 0)
            {
                await ReceiveHeadAsync(failure);
                continue;
            }
            _head = ReplyHead.Read(_buffer.AsMemory(_from, end));
            _from += end;
            if (_head.Status is >= 200) break;
            if (_head.Status == 101) throw new IOException("The server wants another protocol.");
        }
        // RFC 9112, 6.3: the status counts before chunks, and chunks before a length.
        var isEmpty = _head.Status is 204 or 304;
        _isChunked = !isEmpty && _head.Has("Transfer-Encoding"u8, "chunked"u8);
        _length = _isChunked ? -1 : isEmpty ? 0 : _head.ReadLength() ?? -1;
        _hasEnded = _length == 0 && !_isChunked;
        _staysOpen = failure is null && (_isChunked || _length >= 0) && !_head.Has("Connection"u8, "close"u8) && (!_head.IsOld || _head.Has("Connection"u8, "keep-alive"u8));
    }

    /// <param name="buffer">Receives content.</param>
    /// <param name="cancellationToken">Of no use: the exchange has its own.</param>
    /// <exception cref="IOException">The body breaks off.</exception>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_hasEnded || buffer.Length == 0) return new ValueTask<int>(0);
        // The head of an error is looked at behind its body.
        if (_from == _to && Status is >= 200 and < 300) ReturnBuffer();
        try
        {
            var room = Room(buffer);
            // Mostly there is nothing yet.
            if (_to == _from) return ReadSlowlyAsync(buffer);
            var received = TakeRest(room.Span);
            var count = Decode(room.Span[..received], received);
            return count > 0 || _hasEnded ? new ValueTask<int>(count) : ReadSlowlyAsync(buffer);
        }
        catch (IOException) when (_cancellation.IsCancellationRequested)
        {
            return ValueTask.FromException<int>(new OperationCanceledException(_cancellation));
        }
        catch (IOException exception)
        {
            return ValueTask.FromException<int>(exception);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (!disposing || Interlocked.Exchange(ref _isDisposed, 1) != 0) return;
        _left.Dispose();
        if (!_staysOpen || _cancellation.IsCancellationRequested) Drop();
        else if (TryEnd()) GiveBack();
        else if (_staysOpen) _ = DrainAsync();
        else Drop();
        base.Dispose(disposing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadSlowlyAsync(Memory<byte> buffer)
    {
        try
        {
            while (true)
            {
                var room = Room(buffer);
                var received = _to > _from ? TakeRest(room.Span) : await _wire.ReceiveAsync(room);
                var count = Decode(room.Span[..received], received);
                if (count > 0 || _hasEnded) return count;
            }
        }
        catch (IOException) when (_cancellation.IsCancellationRequested)
        {
            throw new OperationCanceledException(_cancellation);
        }
    }

    private async ValueTask ReceiveHeadAsync(IOException? failure)
    {
        if (_to == _buffer.Length)
        {
            if (_buffer.Length >= HeadBytesMax) throw new IOException("The head of the server's reply is too long.");
            var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
            _buffer.AsSpan(0, _to).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
        int count;
        try
        {
            count = await _wire.ReceiveAsync(_buffer.AsMemory(_to));
        }
        catch (IOException) when (failure is not null)
        {
            throw failure;
        }
        if (count == 0) throw failure ?? new IOException("The server closed the connection before it answered.");
        HasBegun = true;
        _to += count;
    }

    // Of a body with a length no byte is read beyond it.
    private Memory<byte> Room(Memory<byte> buffer) => _length >= 0 && _length < buffer.Length ? buffer[..(int)_length] : buffer;

    private int TakeRest(Span<byte> buffer)
    {
        var count = int.Min(buffer.Length, _to - _from);
        _buffer.AsSpan(_from, count).CopyTo(buffer);
        _from += count;
        return count;
    }

    private int Decode(Span<byte> bytes, int received)
    {
        if (received == 0)
        {
            _staysOpen = false;
            _hasEnded = _length < 0 && !_isChunked;
            return _hasEnded ? 0 : throw new IOException("The server broke off in the middle of its reply.");
        }
        if (_isChunked)
        {
            var count = _chunks.Decode(bytes, out var used);
            if (used < received) _staysOpen = false;
            _hasEnded = _chunks.HasEnded;
            return count;
        }
        if (_length >= 0) _hasEnded = (_length -= received) == 0;
        return received;
    }

    // What is left of a complete answer is a few bytes, which have mostly come.
    private bool TryEnd()
    {
        Span<byte> rest = stackalloc byte[256];
        // What is longer is not worth the connection.
        if (_length > _limits.ResponseDrainBytes) return _staysOpen = false;
        try
        {
            for (var count = 0; !_hasEnded;)
            {
                if (count > _limits.ResponseDrainBytes) return _staysOpen = false;
                var room = _length >= 0 && _length < rest.Length ? rest[..(int)_length] : rest;
                int received;
                if (_to > _from) received = TakeRest(room);
                else if (!_wire.TryReceive(room, out received)) return false;
                count += received;
                Decode(room[..received], received);
            }
        }
        catch (IOException)
        {
            _staysOpen = false;
        }
        return _staysOpen;
    }

    private async Task DrainAsync()
    {
        var buffer = ArrayPool<byte>.Shared.Rent(HeadBytes);
        using var patience = new CancellationTokenSource(_limits.ResponseDrain);
        var over = patience.Token.UnsafeRegister(static state => ((Wire)state!).Abort(), _wire);
        try
        {
            for (var count = 0; !_hasEnded && count < _limits.ResponseDrainBytes;)
            {
                var room = Room(buffer);
                var received = await _wire.ReceiveAsync(room);
                count += received;
                Decode(room.Span[..received], received);
            }
        }
        catch (IOException)
        {
            _staysOpen = false;
        }
        ArrayPool<byte>.Shared.Return(buffer);
        // Or it would end the next request on this connection.
        await over.DisposeAsync();
        if (_hasEnded && _staysOpen && !patience.IsCancellationRequested) GiveBack();
        else Drop();
    }

    private void GiveBack()
    {
        var isClean = _from == _to;
        ReturnBuffer();
        // What follows a reply that is over was asked for by nobody.
        if (isClean) _pool.Return(_wire);
        else _pool.Close(_wire);
    }

    private void Drop()
    {
        ReturnBuffer();
        _pool.Close(_wire);
    }

    private void ReturnBuffer()
    {
        if (_buffer.Length > 0) ArrayPool<byte>.Shared.Return(_buffer);
        (_buffer, _from, _to) = ([], 0, 0);
    }
}
