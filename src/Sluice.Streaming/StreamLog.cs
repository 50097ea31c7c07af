using System.Buffers;
using System.Diagnostics;

namespace Sluice.Streaming;

/// <summary>
/// The events of one stream, in order. One producer writes an event as an <see cref="IBufferWriter{T}"/> and fixes its bytes with
/// <see cref="Commit"/>; any number of <see cref="StreamLogReader"/> copy events out, each at its own pace. What the bytes mean is
/// not the log's concern.
/// </summary>
/// <remarks>
/// The producer's methods belong to one thread at a time and never wait for a reader; everything else may be called from any thread.
/// Invariant: 0 &lt;= FirstEvent &lt;= EventCount; events in [FirstEvent, EventCount) are retained, at most
/// <see cref="StreamLimits.HotBytes"/> of them, or one. So an event is dropped only when every reader has passed it, or is a whole
/// bound behind. With <see cref="SpillTo"/> FirstEvent &lt;= StoredEvents holds too: what the store has not got stays, whatever its size.
/// In the steady state neither an append nor a read allocates.
/// </remarks>
public sealed partial class StreamLog : IBufferWriter<byte>, IDisposable
{
    private const int FreeBytesMin = 256;

    // Of the bytes that a log keeps, this part at most is there unknown to its readers.
    private const int QuietShare = 4;

    [ThreadStatic]
    private static bool t_runsReaders;

    // Guards everything below but the staged bytes, which are the producer's alone.
    private readonly Lock _lock = new();
    private readonly StreamLimits _limits;
    private readonly List<StreamLogReader> _readers = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private StreamSegment _head;
    private StreamSegment _tail;
    private StreamSegment? _spare;
    private int _copyingCount;
    private List<StreamSegment>? _deferred;
    private bool _disposed;
    private bool _isReleased;
    private SpilledEvents? _spill;
    private long _unstoredBytes;
    private int _stagedBytes;
    private TaskCompletionSource? _moved;

    // The producer's alone.
    private int _quietBytes;

    /// <summary>An open log without events in memory.</summary>
    /// <param name="limits">Bounds.</param>
    /// <param name="eventCount">Events that were committed in an earlier life of the stream, and that a store has.</param>
    public StreamLog(StreamLimits? limits = null, long eventCount = 0)
    {
        _limits = limits ?? new StreamLimits();
        _head = _tail = new StreamSegment(_limits.SegmentBytes);
        EventCount = FirstEvent = StoredEvents = eventCount;
        _tail.Open(eventCount);
    }

    /// <summary>Events committed so far, the dropped ones included.</summary>
    public long EventCount { get; private set; }

    /// <summary>Number of the oldest event retained; <see cref="EventCount"/> when none is.</summary>
    public long FirstEvent { get; private set; }

    /// <summary>Bytes of the retained events.</summary>
    public int RetainedBytes { get; private set; }

    /// <summary>Events that a store has, from the first on. Always 0 without one.</summary>
    public long StoredEvents { get; private set; }

    /// <summary>Whether events that left the memory can be read from a store.</summary>
    public bool IsSpilled => Volatile.Read(ref _spill) is not null;

    /// <summary>Bytes of memory that the log holds, those not filled included.</summary>
    public long HeldBytes
    {
        get
        {
            lock (_lock)
            {
                if (_isReleased) return 0;
                long bytes = _spare?.CapacityBytes ?? 0;
                for (var segment = _head; segment is not null; segment = segment.Next) bytes += segment.CapacityBytes;
                return bytes;
            }
        }
    }

    /// <summary>Null while the stream goes on.</summary>
    public StreamEnd? End { get; private set; }

    /// <summary>Completes, always successfully, when <see cref="End"/> is set.</summary>
    public Task WhenEnded => _ended.Task;

    internal Lock Lock => _lock;

    internal SpilledEvents? Spill => Volatile.Read(ref _spill);

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        var free = _tail.GetFree(_stagedBytes);
        if (free.Length >= int.Max(sizeHint, 1)) return free;
        Grow(int.Max(sizeHint, FreeBytesMin));
        return _tail.GetFree(_stagedBytes);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _tail.GetFree(_stagedBytes).Length);
        _stagedBytes += count;
    }

    /// <summary>Makes what was written since the last commit one event, and wakes the readers. Without bytes it does nothing.</summary>
    /// <exception cref="InvalidOperationException">The stream has ended.</exception>
    public void Commit() => CommitStaged(wakes: true);

    private void CommitStaged(bool wakes)
    {
        if (_stagedBytes == 0) return;
        lock (_lock)
        {
            if (End is not null) throw new InvalidOperationException("The stream has ended: nothing can be appended.");
            _tail.Commit(_stagedBytes);
            EventCount++;
            RetainedBytes += _stagedBytes;
            if (_spill is not null) _unstoredBytes += _stagedBytes;
            _stagedBytes = 0;
            DropDownTo(_limits.HotBytes);
            if (wakes) WakeReaders();
        }
    }

    /// <summary>Appends one event.</summary>
    public void Append(ReadOnlySpan<byte> eventBytes)
    {
        this.Write(eventBytes);
        Commit();
    }

    /// <summary>
    /// Appends one event of several that have come together; <see cref="Publish"/> must follow the last of them, and is called here when they
    /// are so many that a reader who hears of none would lose its place.
    /// </summary>
    /// <exception cref="InvalidOperationException">The stream has ended.</exception>
    public void AppendQuietly(ReadOnlySpan<byte> eventBytes)
    {
        this.Write(eventBytes);
        CommitStaged(wakes: false);
        _quietBytes += eventBytes.Length;
        if (_quietBytes >= _limits.HotBytes / QuietShare) Publish();
    }

    /// <summary>
    /// Tells the readers of events that were appended quietly. What waits for them runs on this thread before the call returns: that saves
    /// a change of threads, and is for a producer that has nothing better to do, never for one that computes.
    /// </summary>
    public void Publish()
    {
        _quietBytes = 0;
        while (true)
        {
            StreamLogReader? next = null;
            lock (_lock)
            {
                foreach (var reader in _readers)
                {
                    if (!reader.TryStop(HasNews(reader.Position))) continue;
                    next = reader;
                    break;
                }
            }
            if (next is null) return;
            next.Run();
        }
    }

    /// <summary>
    /// Tells a producer that can wait, such as one that reads from a network, that a reader has not passed what an append would take from it; or,
    /// where there is a store, that the store has not got what an append would leave in memory beyond the bound.
    /// The producer need not wait: <see cref="Commit"/> never does.
    /// </summary>
    /// <param name="bytes">What is about to be appended.</param>
    /// <returns>Null when there is nothing to wait for; otherwise completes when a reader has moved on or was detached, or the store has got more, and then the question is to be asked again.</returns>
    public Task? FindLag(int bytes)
    {
        // Only the producer adds to it, and this is the producer.
        if (RetainedBytes + (long)bytes <= _limits.HotBytes) return null;
        lock (_lock)
        {
            if (_spill is not null && (_unstoredBytes == 0 || _unstoredBytes + bytes <= _limits.HotBytes)) return null;
            if (_spill is not null)
            {
                _moved ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return _moved.Task;
            }
            var first = FirstAfter(bytes);
            foreach (var reader in _readers)
            {
                // One that has lost its place already has nothing to lose.
                if (reader.Position < FirstEvent || reader.Position >= first) continue;
                _moved ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return _moved.Task;
            }
            return null;
        }
    }

    /// <summary>
    /// Says of the calling thread that it has nothing better to do than what waits for a log that <see cref="Complete"/> ends on it, as a
    /// thread that serves sockets. Not for one that computes, or that completes a log under a lock.
    /// </summary>
    public static void RunReadersOnThisThread() => t_runsReaders = true;

    /// <summary>Ends the stream well. Like the other two endings it holds only if it is the first; bytes not committed are dropped.</summary>
    /// <returns>Whether this call ended the stream.</returns>
    public bool Complete()
    {
        if (!t_runsReaders) return Finish(new StreamEnd(StreamEndKind.Completed));
        if (!Finish(new StreamEnd(StreamEndKind.Completed), wakes: false)) return false;
        Publish();
        return true;
    }

    /// <summary>Ends the stream with a failure.</summary>
    public bool Fail(object failure) => Finish(new StreamEnd(StreamEndKind.Failed, failure));

    /// <summary>Ends a stream that nobody wants any more.</summary>
    public bool Cancel() => Finish(new StreamEnd(StreamEndKind.Cancelled));

    /// <summary>Ends a stream that was asked to stop, after an end was appended that readers understand.</summary>
    public bool Stop() => Finish(new StreamEnd(StreamEndKind.Stopped));

    /// <summary>A reader that has passed the first <paramref name="position"/> events. It must be disposed.</summary>
    /// <returns>Null when the log has as many readers as it may have.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The position is negative or beyond <see cref="EventCount"/>.</exception>
    public StreamLogReader? TryOpenReader(long position = 0)
    {
        lock (_lock)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(position);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(position, EventCount);
            if (_readers.Count >= _limits.ReadersPerLogMax) return null;
            var reader = new StreamLogReader(this, position);
            _readers.Add(reader);
            return reader;
        }
    }

    /// <summary>
    /// Moves the events to where they take no more room than they need and gives the pooled arrays back, for a log that stays a while after its end. Readers go on
    /// where they are.
    /// </summary>
    /// <remarks>Segment by segment, so that no part is larger than one segment or one event.</remarks>
    /// <param name="blocks">Where they are moved to; shared with other logs.</param>
    public void Pack(PackedBlocks blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        lock (_lock)
        {
            Debug.Assert(End is not null, "A log is packed after its end.");
            if (_isReleased) return;
            StreamSegment? before = null;
            for (var segment = _head; segment is not null; segment = segment.Next)
            {
                if (!segment.IsPacked)
                {
                    var packed = segment.Pack(long.Max(FirstEvent, segment.FirstEvent), blocks);
                    packed.Next = segment.Next;
                    if (before is null) _head = packed;
                    else before.Next = packed;
                    if (_tail == segment) _tail = packed;
                    segment.Close();
                    Free(segment);
                    segment = packed;
                }
                before = segment;
            }
        }
    }

    /// <summary>Gives the memory back. Readers that have not passed everything lose their place. The producer must have ended the stream.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            Debug.Assert(End is not null, "A log is disposed after its end.");
            if (_disposed) return;
            _disposed = true;
            _spill = null;
            ReleaseSegments();
            WakeReaders();
        }
    }

    /// <summary>Whether a reader that has passed <paramref name="position"/> events would learn something. Under <see cref="Lock"/>.</summary>
    internal bool HasNews(long position) => position < EventCount || End is not null;

    /// <summary>The live segment that holds event <paramref name="position"/>. Under <see cref="Lock"/>, with the event retained.</summary>
    internal StreamSegment Locate(long position)
    {
        var segment = _head;
        while (segment.EndEvent <= position) segment = segment.Next!;
        return segment;
    }

    /// <summary>From here until <see cref="EndCopy"/> no array leaves the log for another use. Under <see cref="Lock"/>.</summary>
    internal void BeginCopy() => _copyingCount++;

    internal void EndCopy()
    {
        if (--_copyingCount > 0 || _deferred is null) return;
        foreach (var segment in _deferred) segment.Release();
        _deferred = null;
    }

    /// <summary>A reader has passed events. Under <see cref="Lock"/>.</summary>
    internal void SignalMoved()
    {
        _moved?.SetResult();
        _moved = null;
    }

    internal void Detach(StreamLogReader reader)
    {
        lock (_lock)
        {
            _readers.Remove(reader);
            SignalMoved();
        }
    }

    // The oldest event that an append of that many bytes leaves.
    private long FirstAfter(int bytes)
    {
        var first = FirstEvent;
        var retained = RetainedBytes + (long)bytes;
        for (var segment = _head; segment is not null; segment = segment.Next)
        {
            for (; first < segment.EndEvent; first++)
            {
                if (retained <= _limits.HotBytes) return first;
                var index = (int)(first - segment.FirstEvent);
                retained -= segment.GetEnd(index) - segment.GetEnd(index - 1);
            }
        }
        return first;
    }

    private bool Finish(StreamEnd end, bool wakes = true)
    {
        lock (_lock)
        {
            if (End is not null) return false;
            End = end;
            _stagedBytes = 0;
            // Nothing is appended any more.
            _spare?.Release();
            _spare = null;
            if (wakes) WakeReaders();
        }
        _ended.SetResult();
        return true;
    }

    private void WakeReaders()
    {
        foreach (var reader in _readers) reader.Signal();
    }

    // Moves the open event to a fresh segment with room for it and freeBytes more.
    private void Grow(int freeBytes)
    {
        var bytes = int.Max(_limits.SegmentBytes, _stagedBytes + int.Max(freeBytes, _stagedBytes) + sizeof(int));
        StreamSegment? segment = null;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_spare is { } spare && spare.CapacityBytes >= bytes)
            {
                segment = spare;
                _spare = null;
            }
        }
        segment ??= new StreamSegment(bytes);
        segment.Open(EventCount);
        _tail.GetStaged(_stagedBytes).CopyTo(segment.GetFree(0).Span);
        lock (_lock)
        {
            if (_tail.EventCount > 0)
            {
                _tail.Next = segment;
            }
            else
            {
                // Nothing was committed here, so the tail is also the head or the last link: replace it.
                Unlink(_tail, segment);
            }
            _tail = segment;
        }
    }

    private void Unlink(StreamSegment empty, StreamSegment replacement)
    {
        if (_head == empty)
        {
            _head = replacement;
        }
        else
        {
            var before = _head;
            while (before.Next != empty) before = before.Next!;
            before.Next = replacement;
        }
        Recycle(empty);
    }

    // Under the lock.
    private void ReleaseSegments()
    {
        if (_isReleased) return;
        _isReleased = true;
        FirstEvent = EventCount;
        RetainedBytes = 0;
        for (var segment = _head; segment is not null;)
        {
            var next = segment.Next;
            segment.Close();
            Free(segment);
            segment = next;
        }
        _spare?.Release();
        _spare = null;
    }

    private void DropDownTo(int bytes)
    {
        while (RetainedBytes > bytes && EventCount - FirstEvent > 1 && (_spill is null || FirstEvent < StoredEvents)) DropFirst();
    }

    private void DropFirst()
    {
        var index = (int)(FirstEvent - _head.FirstEvent);
        RetainedBytes -= _head.GetEnd(index) - _head.GetEnd(index - 1);
        FirstEvent++;
        if (FirstEvent < _head.EndEvent || _head.Next is null) return;
        var dropped = _head;
        _head = dropped.Next!;
        Recycle(dropped);
    }

    private void Recycle(StreamSegment segment)
    {
        segment.Close();
        if (_copyingCount == 0 && End is null && _spare is null && segment.CapacityBytes <= 2 * _limits.SegmentBytes) _spare = segment;
        else Free(segment);
    }

    // A reader may be copying from the array at this moment, outside the lock; then it has another use when the last one has done so.
    private void Free(StreamSegment segment)
    {
        if (_copyingCount == 0) segment.Release();
        else (_deferred ??= []).Add(segment);
    }
}
