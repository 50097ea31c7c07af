using System.Buffers;
using System.Buffers.Binary;

namespace Sluice.Streaming;

/// <summary>
/// A run of whole events in a slot, in an array of the pool where it is larger, or in a part of a block where it is packed: event bytes grow from the front, and the end offset of
/// event i stands as a little-endian int i slots from the back. Events never span segments.
/// </summary>
internal sealed class StreamSegment
{
    private const int SlotBytes = sizeof(int);
    private readonly PackedBlocks? _blocks;
    private readonly PackedBlocks.Block? _block;
    private readonly SegmentSlots.Block? _slots;

    // Of the array: all of it, or a part of the block.
    private readonly int _offset;
    private readonly int _length;
    private byte[] _buffer;

    public StreamSegment(int bytesMin)
    {
        if (bytesMin is > SegmentSlots.SlotBytes / 2 and <= SegmentSlots.SlotBytes)
        {
            _slots = SegmentSlots.Shared.Take(out _offset);
            (_buffer, _length) = (_slots.Bytes, SegmentSlots.SlotBytes);
            return;
        }
        _buffer = ArrayPool<byte>.Shared.Rent(bytesMin);
        _length = _buffer.Length;
    }

    private StreamSegment(PackedBlocks blocks, int bytes)
    {
        _blocks = blocks;
        _block = blocks.TryTake(bytes, out _offset);
        _buffer = _block?.Bytes ?? GC.AllocateUninitializedArray<byte>(bytes);
        _length = bytes;
    }

    /// <summary>Whether it takes no more room than its events need.</summary>
    public bool IsPacked => _blocks is not null;

    /// <summary>Number of the first event in the log; -1 once the segment has left the log, so that no cursor takes it for its own.</summary>
    public long FirstEvent { get; private set; } = -1;

    public int EventCount { get; private set; }

    /// <summary>Bytes of committed events, from offset 0.</summary>
    public int CommittedBytes { get; private set; }

    public StreamSegment? Next { get; set; }

    public int CapacityBytes => _length;

    public long EndEvent => FirstEvent + EventCount;

    /// <summary>Where the next bytes of the open event go, with the room of its own slot left out.</summary>
    public Memory<byte> GetFree(int stagedBytes)
    {
        var start = CommittedBytes + stagedBytes;
        return _buffer.AsMemory(_offset + start, int.Max(0, _length - SlotBytes * (EventCount + 1) - start));
    }

    public ReadOnlySpan<byte> GetStaged(int stagedBytes) => _buffer.AsSpan(_offset + CommittedBytes, stagedBytes);

    public ReadOnlySpan<byte> GetCommitted(int startBytes, int endBytes) => _buffer.AsSpan(_offset + startBytes, endBytes - startBytes);

    public void Commit(int stagedBytes)
    {
        CommittedBytes += stagedBytes;
        EventCount++;
        SetEnd(EventCount - 1, CommittedBytes);
    }

    /// <summary>Offset one past event <paramref name="index"/> of this segment; 0 for -1.</summary>
    public int GetEnd(int index) =>
        index < 0 ? 0 : BinaryPrimitives.ReadInt32LittleEndian(_buffer.AsSpan(_offset + _length - SlotBytes * (index + 1)));

    public void Open(long firstEvent)
    {
        FirstEvent = firstEvent;
        EventCount = 0;
        CommittedBytes = 0;
        Next = null;
    }

    /// <summary>A copy of the events from one on, which takes the room of them alone.</summary>
    /// <param name="firstEvent">From <see cref="FirstEvent"/> to <see cref="EndEvent"/>.</param>
    /// <param name="blocks">Where the room is taken.</param>
    public StreamSegment Pack(long firstEvent, PackedBlocks blocks)
    {
        var skipped = (int)(firstEvent - FirstEvent);
        var start = GetEnd(skipped - 1);
        var count = EventCount - skipped;
        var bytes = CommittedBytes - start;
        var packed = new StreamSegment(blocks, bytes + SlotBytes * count)
        {
            FirstEvent = firstEvent,
            EventCount = count,
            CommittedBytes = bytes,
        };
        GetCommitted(start, CommittedBytes).CopyTo(packed._buffer.AsSpan(packed._offset));
        for (var i = 0; i < count; i++) packed.SetEnd(i, GetEnd(skipped + i) - start);
        return packed;
    }

    /// <summary>Leaves the log; the array stays, for another <see cref="Open"/> or for <see cref="Release"/>.</summary>
    public void Close() => FirstEvent = -1;

    /// <summary>Gives the room back to where it came from. No reader may be copying from it.</summary>
    public void Release()
    {
        if (_buffer.Length == 0) return;
        if (_slots is not null) SegmentSlots.Shared.Return(_slots, _offset);
        else if (_block is not null) _blocks!.Return(_block);
        else if (_blocks is null) ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private void SetEnd(int index, int end) => BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_offset + _length - SlotBytes * (index + 1)), end);
}
