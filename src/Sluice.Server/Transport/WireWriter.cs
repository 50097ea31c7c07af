using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Sluice.Server.Transport;

/// <summary>
/// Writes to a client. A flush is the system call itself, on the caller's thread; what the system has no room for is sent by the reactor's.
/// Its memory goes back with each flush.
/// </summary>
/// <remarks>For one writer at a time, as every <see cref="PipeWriter"/>.</remarks>
[SupportedOSPlatform("linux")]
internal sealed class WireWriter(ReactorWire wire, MemoryPool<byte> pool) : PipeWriter
{
    // Those in front of the last are full.
    private readonly List<IMemoryOwner<byte>> _owners = [];
    private readonly List<ReadOnlyMemory<byte>> _full = [];
    private Memory<byte> _last;
    private int _lastCount;
    private long _count;
    private Task _sending = Task.CompletedTask;
    private volatile bool _isCanceled;
    private bool _isCompleted;
    private volatile bool _isBroken;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _count;

    public override void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bytes, (uint)(_last.Length - _lastCount));
        _lastCount += bytes;
        _count += bytes;
    }

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_isCompleted) throw new InvalidOperationException("The writer is completed.");
        if (_last.Length - _lastCount < int.Max(sizeHint, 1)) Grow(sizeHint);
        return _last[_lastCount..];
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <param name="cancellationToken">Of no use: whoever gives up aborts the connection.</param>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (_isCanceled)
        {
            _isCanceled = false;
            return new ValueTask<FlushResult>(new FlushResult(isCanceled: true, isCompleted: false));
        }
        return TrySendAll() ? new ValueTask<FlushResult>(new FlushResult(isCanceled: false, isCompleted: _isBroken)) : FlushSlowlyAsync();
    }

    /// <summary>Cancels the next flush. One that is under way ends when its bytes are sent, or the connection: half of them may be on the wire.</summary>
    public override void CancelPendingFlush() => _isCanceled = true;

    public override void Complete(Exception? exception = null)
    {
        if (_isCompleted) return;
        _isCompleted = true;
        if (_sending.IsCompleted && !TrySendAll()) _sending = SendRestAsync();
    }

    /// <summary>Completes when what was written before <see cref="Complete"/> is sent, or never will be.</summary>
    public async ValueTask DrainAsync()
    {
        await _sending;
        if (!TrySendAll()) await SendRestAsync();
        Clear();
    }

    // True when nothing is left, also because nobody takes it any more.
    private bool TrySendAll()
    {
        if (_isBroken) Clear();
        if (_count == 0) return true;
        try
        {
            int sent;
            if (_full.Count == 0)
            {
                sent = wire.TrySend(_last.Span[..(int)_count]);
            }
            else
            {
                Close();
                sent = wire.TrySend(CollectionsMarshal.AsSpan(_full));
            }
            if (sent < _count)
            {
                Close();
                Skip(sent);
                return false;
            }
        }
        catch (IOException)
        {
            _isBroken = true;
        }
        Clear();
        return true;
    }

    private async ValueTask<FlushResult> FlushSlowlyAsync()
    {
        await (_sending = SendRestAsync());
        return new FlushResult(isCanceled: false, isCompleted: _isBroken);
    }

    private async Task SendRestAsync()
    {
        try
        {
            while (_full.Count > 0)
            {
                await wire.WaitWritableAsync();
                Skip(wire.TrySend(CollectionsMarshal.AsSpan(_full)));
            }
        }
        catch (IOException)
        {
            _isBroken = true;
        }
        Clear();
    }

    private void Grow(int sizeHint)
    {
        Close();
        var owner = sizeHint <= pool.MaxBufferSize ? pool.Rent(int.Max(sizeHint, 1)) : MemoryPool<byte>.Shared.Rent(sizeHint);
        _owners.Add(owner);
        _last = owner.Memory;
    }

    // The last piece becomes one of those that only wait to be sent.
    private void Close()
    {
        if (_lastCount > 0) _full.Add(_last[.._lastCount]);
        (_last, _lastCount) = (default, 0);
    }

    private void Skip(int count)
    {
        _count -= count;
        var whole = 0;
        while (whole < _full.Count && count >= _full[whole].Length) count -= _full[whole++].Length;
        _full.RemoveRange(0, whole);
        if (count > 0) _full[0] = _full[0][count..];
    }

    private void Clear()
    {
        foreach (var owner in _owners) owner.Dispose();
        _owners.Clear();
        _full.Clear();
        (_last, _lastCount, _count) = (default, 0, 0);
    }
}
