using System.Buffers;
using System.Runtime.ExceptionServices;

namespace Sluice.Client;

/// <summary>The body of a streamed answer, over as many connections as it takes. For one reader; may be disposed while it is being read.</summary>
/// <param name="exchange">What is asked for.</param>
/// <param name="id">Of the answer.</param>
/// <param name="response">The first response; disposed here.</param>
/// <param name="body">Its body.</param>
internal sealed class ResumingStream(Exchange exchange, string id, HttpResponseMessage response, Stream body) : Stream
{
    // Behind [DONE] the end of the body is waited for only so that the connection can be used again.
    private static readonly TimeSpan s_endMax = TimeSpan.FromSeconds(1);

    private readonly WholeEvents _events = new();
    private readonly ArrayBufferWriter<byte> _ready = new();
    private readonly byte[] _buffer = new byte[16 << 10];
    private HttpResponseMessage _response = response;
    private Stream _body = body;
    private int _readyStart;
    private volatile bool _isOver;
    private int _isDisposed;

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
        while (true)
        {
            if (_ready.WrittenCount > _readyStart) return Take(buffer.Span);
            if (_isOver || buffer.Length == 0) return 0;
            var drop = await FillAsync(cancellationToken).ConfigureAwait(false);
            if (_ready.WrittenCount > 0 || _isOver) continue;
            if (drop is null) continue;
            if (!_events.HasFailed && await ResumeAsync(cancellationToken).ConfigureAwait(false)) continue;
            if (!_isOver && _events.PassOn(_ready)) continue;
            _isOver = true;
            ExceptionDispatchInfo.Throw(drop);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            var isLeft = !_isOver && !_events.IsDone && !_events.HasFailed;
            _isOver = true;
            _body.Dispose();
            _response.Dispose();
            if (isLeft && exchange.Cancels) _ = exchange.CancelAsync();
        }
        base.Dispose(disposing);
    }

    private int Take(Span<byte> buffer)
    {
        var ready = _ready.WrittenSpan[_readyStart..];
        var count = int.Min(ready.Length, buffer.Length);
        ready[..count].CopyTo(buffer);
        _readyStart += count;
        if (count == ready.Length)
        {
            _ready.ResetWrittenCount();
            _readyStart = 0;
        }
        return count;
    }

    // What has broken the body off, if anything; a proper end is over.
    private async ValueTask<Exception?> FillAsync(CancellationToken cancellation)
    {
        if (_events.IsStopped) return Ended();
        using var silence = new CancellationTokenSource(_events.IsDone ? s_endMax : exchange.Handler.Silence, exchange.Handler.Time);
        await using var registration = cancellation.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), silence).ConfigureAwait(false);
        try
        {
            var count = await _body.ReadAsync(_buffer, silence.Token).ConfigureAwait(false);
            if (count > 0)
            {
                var passed = _events.Count;
                _events.Add(_buffer.AsSpan(0, count), _ready);
                if (_events.Count > passed) exchange.Progress();
                return null;
            }
            // An error event is no end either: SDKs that don't know it would take what there is for the whole answer.
            _isOver = _events.IsDone;
            return _isOver ? null : Ended();
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested && !_isOver)
        {
            _isOver = _events.IsDone;
            return new HttpIOException(HttpRequestError.ResponseEnded, $"Nothing came for {exchange.Handler.Silence.TotalSeconds:0} s.");
        }
        catch (Exception error) when (error is IOException or HttpRequestException && !_isOver && !cancellation.IsCancellationRequested)
        {
            _isOver = _events.IsDone;
            return error;
        }
    }

    private static HttpIOException Ended() => new(HttpRequestError.ResponseEnded, "The stream ended without [DONE].");

    private async ValueTask<bool> ResumeAsync(CancellationToken cancellation)
    {
        _response.Dispose();
        while (!_isOver && exchange.NextPause() is { } pause)
        {
            await Task.Delay(pause, exchange.Handler.Time, cancellation).ConfigureAwait(false);
            using var silence = new CancellationTokenSource(exchange.Handler.Silence, exchange.Handler.Time);
            await using var registration = cancellation.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), silence).ConfigureAwait(false);
            HttpResponseMessage? response = null;
            try
            {
                response = await exchange.Handler.SendInnerAsync(exchange.CreateRequest(id, _events.Count), silence.Token).ConfigureAwait(false);
                switch (exchange.GoesOn(response, id))
                {
                    case true:
                        _body = await response.Content.ReadAsStreamAsync(silence.Token).ConfigureAwait(false);
                        _response = response;
                        _events.Discard();
                        // The application may have left meanwhile, and disposed the one before.
                        if (Volatile.Read(ref _isDisposed) != 0) response.Dispose();
                        return true;
                    case false:
                        response.Dispose();
                        return false;
                    default:
                        response.Dispose();
                        break;
                }
            }
            catch (Exception error) when (error is IOException or HttpRequestException or OperationCanceledException && !cancellation.IsCancellationRequested)
            {
                response?.Dispose();
            }
        }
        return false;
    }
}
