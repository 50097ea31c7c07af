using System.Buffers;

namespace Sluice.Streaming;

/// <summary>Copies events of one stream out of a store: whole ones, in order.</summary>
/// <param name="position">Events passed; the store has the next one.</param>
/// <param name="output">Receives the bytes; is not flushed.</param>
/// <param name="addEvent">Is told the length of each event in bytes, in order; null for nobody.</param>
/// <param name="bytesMax">Copies at most this many bytes, or one event.</param>
/// <returns>Events copied; 0 when the store has lost them or can't be read.</returns>
public delegate ValueTask<int> SpilledEvents(long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax);

// What a log has to do with a store behind it. Nothing of this is on the producer's way.
public sealed partial class StreamLog
{
    /// <summary>
    /// From here on an event leaves the memory only when the store has it, and readers that are behind get it from there. To be called before the
    /// first event is appended.
    /// </summary>
    public void SpillTo(SpilledEvents store)
    {
        lock (_lock) _spill = store;
    }

    /// <summary>The store has more events: those beyond the bound leave the memory.</summary>
    /// <param name="eventCount">How many it has, from the first one on.</param>
    /// <param name="bytes">Of those that it did not have before.</param>
    public void SetStored(long eventCount, int bytes)
    {
        lock (_lock)
        {
            if (_isReleased || eventCount <= StoredEvents) return;
            StoredEvents = long.Min(eventCount, EventCount);
            _unstoredBytes -= bytes;
            DropDownTo(_limits.HotBytes);
            SignalMoved();
        }
    }

    /// <summary>The store has lost what it had behind these events: it stays in memory until the store has it again.</summary>
    /// <param name="eventCount">How many events the store still has, from the first one on.</param>
    /// <returns>False where something that is missing there has left the memory, or has not come yet.</returns>
    public bool SetLost(long eventCount)
    {
        lock (_lock)
        {
            if (_isReleased || eventCount < FirstEvent || eventCount > EventCount) return false;
            for (var position = eventCount; position < StoredEvents; position++)
            {
                var segment = Locate(position);
                var index = (int)(position - segment.FirstEvent);
                _unstoredBytes += segment.GetEnd(index) - segment.GetEnd(index - 1);
            }
            StoredEvents = long.Min(StoredEvents, eventCount);
            return true;
        }
    }

    /// <summary>Keeps no more than that many bytes of what the store has too; of an ended stream that it has as a whole, nothing.</summary>
    /// <param name="bytesMax">Bytes of events; the newest event of a stream that goes on stays.</param>
    /// <returns>Whether everything that could be given back is.</returns>
    public bool Shed(int bytesMax)
    {
        lock (_lock)
        {
            if (_spill is null || _isReleased) return _isReleased;
            if (End is null || StoredEvents < EventCount || bytesMax > 0) DropDownTo(bytesMax);
            else ReleaseSegments();
            return _isReleased || RetainedBytes <= bytesMax;
        }
    }

    /// <summary>Copies events for a store. Readers are not disturbed, and the producer does not notice.</summary>
    /// <param name="position">Number of the first event, which must be retained.</param>
    /// <param name="output">Receives the bytes.</param>
    /// <param name="ends">Receives, for each event, how many bytes were copied up to its end.</param>
    /// <param name="bytesMax">Copies at most this many bytes, or one event.</param>
    /// <param name="end">Copies no event from this number on.</param>
    public void CopyTo(long position, IBufferWriter<byte> output, ICollection<int> ends, int bytesMax, long end)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(ends);
        var copied = 0;
        while (true)
        {
            StreamSegment segment;
            int start, stop;
            lock (_lock)
            {
                if (position < FirstEvent || position >= long.Min(end, EventCount)) return;
                segment = Locate(position);
                var index = (int)(position - segment.FirstEvent);
                start = stop = segment.GetEnd(index - 1);
                for (; index < segment.EventCount && position < end; index++)
                {
                    var eventEnd = segment.GetEnd(index);
                    if (copied + eventEnd - start > bytesMax && ends.Count > 0) break;
                    stop = eventEnd;
                    ends.Add(copied + eventEnd - start);
                    position++;
                }
                if (stop == start) return;
                _copyingCount++;
            }
            try
            {
                output.Write(segment.GetCommitted(start, stop));
            }
            finally
            {
                lock (_lock) EndCopy();
            }
            copied += stop - start;
        }
    }
}
