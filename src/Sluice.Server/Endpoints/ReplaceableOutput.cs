using System.IO.Pipelines;

namespace Sluice.Server.Endpoints;

/// <summary>What a connection sends, until something else is sent in its place.</summary>
internal sealed class ReplaceableOutput(PipeWriter output) : PipeWriter
{
    private ReadOnlyMemory<byte>? _replacement;
    private byte[] _dropped = [];

    public override bool CanGetUnflushedBytes => output.CanGetUnflushedBytes;

    public override long UnflushedBytes => output.UnflushedBytes;

    /// <summary>From now on these bytes are all that is sent. On the thread that writes, with nothing written that isn't flushed.</summary>
    public void Replace(ReadOnlyMemory<byte> bytes) => _replacement ??= bytes;

    public override Memory<byte> GetMemory(int sizeHint = 0) => _replacement is null ? output.GetMemory(sizeHint) : Drop(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => _replacement is null ? output.GetSpan(sizeHint) : Drop(sizeHint).Span;

    public override void Advance(int bytes)
    {
        if (_replacement is null) output.Advance(bytes);
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (_replacement is not { Length: > 0 } bytes) return output.FlushAsync(cancellationToken);
        _replacement = ReadOnlyMemory<byte>.Empty;
        return output.WriteAsync(bytes, cancellationToken);
    }

    public override void CancelPendingFlush() => output.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => output.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => output.CompleteAsync(exception);

    private Memory<byte> Drop(int size)
    {
        if (_dropped.Length == 0 || _dropped.Length < size) _dropped = new byte[int.Max(size, 1 << 10)];
        return _dropped;
    }
}
