using System.Buffers;
using System.IO.Compression;

namespace Sluice.Server.Upstreams;

/// <summary>The bytes of an upstream can't be decompressed.</summary>
internal sealed class UndecodableException(Exception inner) : IOException("The content can't be decompressed.", inner);

/// <summary>
/// A stream whose beginning has been looked at: what was read for that is read once more. Faults of decompression have several types, and here
/// they get one.
/// </summary>
internal sealed class PeekedStream(Stream inner) : Stream
{
    private const int PeekBytes = 4 << 10;
    private byte[] _head = [];
    private int _offset;
    private int _length;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Reads up to the first byte that is not white space, and no further than what comes with it.</summary>
    /// <returns>The byte; -1 at the end of a stream that has none.</returns>
    public async ValueTask<int> PeekAsync(CancellationToken cancellation)
    {
        _head = ArrayPool<byte>.Shared.Rent(PeekBytes);
        while (_length < PeekBytes)
        {
            var read = await ReadInnerAsync(_head.AsMemory(_length, PeekBytes - _length), cancellation);
            var from = _length;
            _length += read;
            for (var i = from; i < _length; i++)
            {
                // A byte order mark is white space here too.
                if (_head[i] is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n' or 0xEF or 0xBB or 0xBF)) return _head[i];
            }
            if (read == 0) return -1;
        }
        return ' ';
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_offset == _length) return ReadInnerAsync(buffer, cancellationToken);
        var count = int.Min(buffer.Length, _length - _offset);
        _head.AsMemory(_offset, count).CopyTo(buffer);
        _offset += count;
        if (_offset == _length) Return();
        return ValueTask.FromResult(count);
    }

    // Without a state machine where nothing is compressed.
    private ValueTask<int> ReadInnerAsync(Memory<byte> buffer, CancellationToken cancellation) =>
        inner is GZipStream or BrotliStream or ZLibStream ? DecompressAsync(buffer, cancellation) : inner.ReadAsync(buffer, cancellation);

    private async ValueTask<int> DecompressAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        try
        {
            return await inner.ReadAsync(buffer, cancellation);
        }
        catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException)
        {
            throw new UndecodableException(exception);
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
        Return();
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }

    private void Return()
    {
        if (_head.Length > 0) ArrayPool<byte>.Shared.Return(_head);
        (_head, _offset, _length) = ([], 0, 0);
    }
}
