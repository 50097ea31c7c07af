using System.IO.Pipelines;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Passes everything on, and counts it.</summary>
internal sealed class CountingPipeWriter(PipeWriter inner) : PipeWriter
{
    private long _byteCount;
    private int _writeCount;
    private int _flushCount;

    public long ByteCount => Volatile.Read(ref _byteCount);

    /// <summary>Parts that were put into the buffer.</summary>
    public int WriteCount => Volatile.Read(ref _writeCount);

    /// <summary>Over a socket each is a system call.</summary>
    public int FlushCount => Volatile.Read(ref _flushCount);

    public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

    public override long UnflushedBytes => inner.UnflushedBytes;

    public override void Advance(int bytes)
    {
        Interlocked.Add(ref _byteCount, bytes);
        if (bytes > 0) Interlocked.Increment(ref _writeCount);
        inner.Advance(bytes);
    }

    public override void CancelPendingFlush() => inner.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _flushCount);
        return inner.FlushAsync(cancellationToken);
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);
}
