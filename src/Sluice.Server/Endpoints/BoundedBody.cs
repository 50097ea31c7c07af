namespace Sluice.Server.Endpoints;

/// <summary>More came than is read of a body.</summary>
internal sealed class BodyTooLargeException : Exception;

/// <summary>A body as it comes, up to a number of bytes: compressed to nothing it could go on for ever.</summary>
internal sealed class BoundedBody(Stream body, long bytesMax) : Stream
{
    private long _count;
    private ReadOnlyMemory<byte> _peeked;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>The first bytes, fewer at the end. They are still read.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> PeekAsync(int count, CancellationToken cancellation)
    {
        var buffer = new byte[count];
        var length = 0;
        while (length < count && await ReadAsync(buffer.AsMemory(length), cancellation) is > 0 and var read) length += read;
        return _peeked = buffer.AsMemory(0, length);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_peeked.Length > 0)
        {
            var count = int.Min(buffer.Length, _peeked.Length);
            _peeked[..count].CopyTo(buffer);
            _peeked = _peeked[count..];
            return count;
        }
        var read = await body.ReadAsync(buffer, cancellationToken);
        _count += read;
        return _count <= bytesMax ? read : throw new BodyTooLargeException();
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
