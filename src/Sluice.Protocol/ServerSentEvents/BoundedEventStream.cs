namespace Sluice.Protocol.ServerSentEvents;

/// <summary>
/// Passes bytes through and counts lines and events, so that a reader behind it never holds more than the bounds. What precedes the
/// line that is too long is passed; the read after that fails.
/// </summary>
internal sealed class BoundedEventStream(Stream inner, int lineBytesMax, int eventBytesMax) : Stream
{
    private long _lineBytes;
    private long _eventBytes;
    private bool _endedInCarriageReturn;
    private string? _fault;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowIfFaulted();
        var read = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        return Accept(buffer.Span[..read]);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count)
    {
        ThrowIfFaulted();
        return Accept(buffer.AsSpan(offset, inner.Read(buffer, offset, count)));
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <summary>Counts what was read.</summary>
    /// <returns>How much of it may be passed on: all of it, or what precedes the part beyond a bound.</returns>
    private int Accept(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length)
        {
            // The line feed of a CRLF ends no further line.
            if (_endedInCarriageReturn && bytes[at] == (byte)'\n') at++;
            _endedInCarriageReturn = false;
            if (at == bytes.Length) break;

            var length = bytes[at..].IndexOfAny((byte)'\r', (byte)'\n');
            var hasEnd = length >= 0;
            if (!hasEnd) length = bytes.Length - at;
            if (!Count(length)) return PassBefore(at);
            at += length;
            if (!hasEnd) break;

            // A blank line ends an event.
            if (_lineBytes == 0) _eventBytes = 0;
            _lineBytes = 0;
            _endedInCarriageReturn = bytes[at] == (byte)'\r';
            at++;
        }

        return bytes.Length;
    }

    private bool Count(int bytes)
    {
        _lineBytes += bytes;
        _eventBytes += bytes;
        if (_lineBytes > lineBytesMax) _fault = $"A line of the event stream is longer than {lineBytesMax} bytes.";
        else if (_eventBytes > eventBytesMax) _fault = $"An event of the event stream is longer than {eventBytesMax} bytes.";
        return _fault is null;
    }

    // No bytes would mean the end of the stream, which this is not.
    private int PassBefore(int at)
    {
        if (at == 0) ThrowIfFaulted();
        return at;
    }

    private void ThrowIfFaulted()
    {
        if (_fault is not null) throw new InvalidDataException(_fault);
    }
}
