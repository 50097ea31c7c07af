using System.Buffers;
using System.Threading.Tasks.Sources;

namespace Sluice.Streaming;

/// <summary>What a read found.</summary>
public enum ReadOutcome
{
    /// <summary>At least one event was copied.</summary>
    Events,

    /// <summary>Every event so far has been read, and the stream goes on.</summary>
    NothingYet,

    /// <summary>Every event has been read, and <see cref="StreamLog.End"/> says how the stream ended.</summary>
    Ended,

    /// <summary>The next event has been dropped: the reader was a whole bound behind, or its position was that old from the start.</summary>
    OffsetLost,

    /// <summary>The next event has left the memory, and <see cref="StreamLogReader.ReadSpilledAsync"/> gets it.</summary>
    Spilled,

    /// <summary>Every event so far has been read, and the reader is not to wait for more: see <see cref="StreamLogReader.Dismissal"/>.</summary>
    Dismissed,
}

/// <summary>
/// A cursor in a <see cref="StreamLog"/>: it has passed <see cref="Position"/> events and holds nothing else, so one that stands
/// still costs nobody anything. One consumer at a time; <see cref="Wake"/> may come from any thread.
/// </summary>
public sealed class StreamLogReader : IValueTaskSource, IThreadPoolWorkItem, IDisposable
{
    private readonly StreamLog _log;
    private StreamSegment? _segment;
    private ManualResetValueTaskSourceCore<bool> _wait;

    private volatile StreamEnd? _dismissal;

    // Guarded by the log's lock.
    private bool _waiting;
    private bool _woken;

    // Whether what waits has a scheduler of its own, to which it is posted by whoever wakes it.
    private bool _isPosted;

    internal StreamLogReader(StreamLog log, long position)
    {
        _log = log;
        Position = position;
    }

    /// <summary>Events passed, which is also the number of the next one.</summary>
    public long Position { get; private set; }

    /// <summary>Copies the complete events that are there, in order, whole ones only; never waits.</summary>
    /// <param name="output">Receives the bytes of the events; is not flushed. When it throws, the cursor stays before the bytes it was given.</param>
    /// <param name="bytesMax">Copies at most this many bytes, or one event; the rest stays for the next call.</param>
    /// <param name="addEvent">Is told the length of each event in bytes, in order; null for nobody.</param>
    public ReadOutcome TryRead(IBufferWriter<byte> output, int bytesMax = int.MaxValue, Action<int>? addEvent = null)
    {
        ArgumentNullException.ThrowIfNull(output);
        var end = -1L;
        var copied = 0;
        while (true)
        {
            StreamSegment segment;
            int first, start, stop, count;
            lock (_log.Lock)
            {
                if (end < 0) end = _log.EventCount;
                if (Position < _log.FirstEvent) return copied > 0 ? ReadOutcome.Events : _log.IsSpilled ? ReadOutcome.Spilled : ReadOutcome.OffsetLost;
                if (Position == end)
                {
                    if (copied > 0) return ReadOutcome.Events;
                    if (_log.End is not null) return ReadOutcome.Ended;
                    return _dismissal is null ? ReadOutcome.NothingYet : ReadOutcome.Dismissed;
                }
                segment = FindSegment();
                first = (int)(Position - segment.FirstEvent);
                (start, stop, count) = Slice(segment, end, bytesMax - copied, eventsMin: copied == 0 ? 1 : 0);
                if (count == 0) return ReadOutcome.Events;
                _log.BeginCopy();
            }
            var isCopied = false;
            try
            {
                // Committed bytes do not change, and between BeginCopy and EndCopy their array has no other use: no lock is needed.
                output.Write(segment.GetCommitted(start, stop));
                for (var i = first; addEvent is not null && i < first + count; i++) addEvent(segment.GetEnd(i) - segment.GetEnd(i - 1));
                isCopied = true;
            }
            finally
            {
                lock (_log.Lock)
                {
                    _log.EndCopy();
                    if (isCopied)
                    {
                        Position += count;
                        _log.SignalMoved();
                    }
                }
            }
            copied += stop - start;
        }
    }

    /// <summary>Passes every event that is there unread, the dropped ones too.</summary>
    public void SkipToEnd()
    {
        lock (_log.Lock)
        {
            Position = _log.EventCount;
            _log.SignalMoved();
        }
    }

    /// <summary>Copies events from the store of the log, where <see cref="TryRead"/> said that the next one is there.</summary>
    /// <param name="output">As for <see cref="TryRead"/>.</param>
    /// <param name="bytesMax">As for <see cref="TryRead"/>.</param>
    /// <param name="addEvent">As for <see cref="TryRead"/>.</param>
    /// <returns>False when the store does not give it: the place is lost.</returns>
    public async ValueTask<bool> ReadSpilledAsync(IBufferWriter<byte> output, int bytesMax, Action<int>? addEvent = null)
    {
        if (_log.Spill is not { } spill) return false;
        var count = await spill(Position, output, addEvent, bytesMax);
        if (count <= 0) return false;
        lock (_log.Lock)
        {
            Position += count;
            _log.SignalMoved();
        }
        return true;
    }

    /// <summary>
    /// Completes when <see cref="TryRead"/> would say something other than <see cref="ReadOutcome.NothingYet"/>, or after
    /// <see cref="Wake"/>. Await it before the next call. What follows runs on the thread pool, in <see cref="StreamLog.Publish"/>, or where the
    /// caller's synchronization context says.
    /// </summary>
    public ValueTask WaitAsync()
    {
        lock (_log.Lock)
        {
            if (_waiting) throw new InvalidOperationException("The reader is being waited for already.");
            if (_woken || _log.HasNews(Position))
            {
                _woken = false;
                return default;
            }
            _waiting = true;
            return new ValueTask(this, _wait.Version);
        }
    }

    /// <summary>The end that this reader was given although the stream goes on; null where it was given none.</summary>
    public StreamEnd? Dismissal => _dismissal;

    /// <summary>The stream stops for an indefinite time: this reader is to leave when it has read what there is. From any thread.</summary>
    /// <param name="end">As the end of the stream for it.</param>
    public void Dismiss(StreamEnd end)
    {
        _dismissal = end;
        Wake();
    }

    /// <summary>Lets the current <see cref="WaitAsync"/>, or else the next one, complete: for timers and cancellations.</summary>
    public void Wake()
    {
        lock (_log.Lock)
        {
            if (_waiting) Signal();
            else _woken = true;
        }
    }

    /// <summary>Detaches from the log.</summary>
    public void Dispose() => _log.Detach(this);

    /// <summary>Under the log's lock.</summary>
    internal void Signal()
    {
        if (!_waiting) return;
        _waiting = false;
        // Queueing the reader itself is what the runtime does for asynchronous continuations, less its allocation.
        if (_isPosted) Run();
        else ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Under the log's lock. Whether somebody waited, and <see cref="Run"/> must be called.</summary>
    internal bool TryStop(bool hasNews)
    {
        if (!_waiting || !hasNews) return false;
        _waiting = false;
        return true;
    }

    /// <summary>Runs what waited.</summary>
    internal void Run() => _wait.SetResult(true);

    void IThreadPoolWorkItem.Execute() => Run();

    void IValueTaskSource.GetResult(short token)
    {
        _wait.GetResult(token);
        _wait.Reset();
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        _isPosted = (flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0 && SynchronizationContext.Current is not null;
        _wait.OnCompleted(continuation, state, token, flags);
    }

    // The segment of the last read is right as long as it holds the position: a segment that left the log has no events.
    private StreamSegment FindSegment()
    {
        if (_segment is { FirstEvent: >= 0 } last)
        {
            if (Position >= last.FirstEvent && Position < last.EndEvent) return last;
            if (Position == last.EndEvent && last.Next is { EventCount: > 0 } next) return _segment = next;
        }
        return _segment = _log.Locate(Position);
    }

    private (int Start, int Stop, int Count) Slice(StreamSegment segment, long end, int bytesMax, int eventsMin)
    {
        var first = (int)(Position - segment.FirstEvent);
        var last = (int)long.Min(segment.EventCount, end - segment.FirstEvent);
        var start = segment.GetEnd(first - 1);
        while (last > first + eventsMin && segment.GetEnd(last - 1) - start > bytesMax) last--;
        return (start, segment.GetEnd(last - 1), last - first);
    }
}
