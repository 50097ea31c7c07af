namespace Sluice.Extensions.AI.Upstreams;

/// <summary>A body that is made while it is read: piece by piece, and no faster.</summary>
/// <param name="pull">The next piece, and whether it is the last.</param>
/// <param name="first">What is there already.</param>
/// <param name="isWhole">Whether that is all.</param>
/// <param name="cancel">The reader has left, or has read everything: what is being pulled is to end.</param>
/// <param name="close">Nothing is pulled any more.</param>
internal sealed class PulledStream(
    Func<ValueTask<(ReadOnlyMemory<byte> Bytes, bool IsLast)>> pull, ReadOnlyMemory<byte> first, bool isWhole, Func<Task> cancel, Func<ValueTask> close) : Stream
{
    private ReadOnlyMemory<byte> _rest = first;
    private bool _isLast = isWhole;
    private Task<(ReadOnlyMemory<byte> Bytes, bool IsLast)>? _pulling;
    private int _isClosed;

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
        if (buffer.IsEmpty) return 0;
        // An update may say nothing.
        while (_rest.IsEmpty && !_isLast)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // A read that is given up leaves the piece to the next one: nothing is pulled twice at a time.
            _pulling ??= pull().AsTask();
            (_rest, _isLast) = await _pulling.WaitAsync(cancellationToken).ConfigureAwait(false);
            _pulling = null;
        }
        var count = int.Min(buffer.Length, _rest.Length);
        _rest[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("The body is read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        // The reader doesn't wait for a client that takes its time to stop.
        if (disposing && Interlocked.Exchange(ref _isClosed, 1) == 0) _ = CloseAsync();
        base.Dispose(disposing);
    }

#pragma warning disable CA1031 // Nobody is left who could be told.
    private async Task CloseAsync()
    {
        try
        {
            await cancel().ConfigureAwait(false);
            // An enumerator must not be disposed of in the middle of a step.
            if (_pulling is Task pulling) await pulling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await close().ConfigureAwait(false);
        }
        catch (Exception)
        {
            // What the client held is its own.
        }
    }
#pragma warning restore CA1031
}
