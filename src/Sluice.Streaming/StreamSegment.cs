using System.Buffers;
using System.Buffers.Binary;

namespace Sluice.Streaming;

/// <summary>
/// A run of whole events in one array, which is the pool's unless the segment is packed: event bytes grow from the front, and the end offset of
/// event i stands as a little-endian int i slots from the back. Events never span segments.
/// </summary>
internal sealed class StreamSegment
{
    private const int SlotBytes = sizeof(int);
    private readonly bool _isPooled;
    private byte[] _buffer;

    public StreamSegment(int bytesMin) => (_isPooled, _buffer) = (true, ArrayPool<byte>.Shared.Rent(bytesMin));

    private StreamSegment(byte[] exact) => _buffer = exact;

    /// <summary>Number of the first event in the log; -1 once the segment has left the log, so that no cursor takes it for its own.</summary>
    public long FirstEvent { get; private set; } = -1;

    public int EventCount { get; private set; }

    /// <summary>Bytes of committed events, from offset 0.</summary>
    public int CommittedBytes { get; private set; }

    public StreamSegment? Next { get; set; }

    public int CapacityBytes => _buffer.Length;

    public long EndEvent => FirstEvent + EventCount;

    /// <summary>Where the next bytes of the open event go, with the room of its own slot left out.</summary>
    public Memory<byte> GetFree(int stagedBytes)
    {
        var start = CommittedBytes + stagedBytes;
        return _buffer.AsMemory(start, int.Max(0, _buffer.Length - SlotBytes * (EventCount + 1) - start));
    }

    public ReadOnlySpan<byte> GetStaged(int stagedBytes) => _buffer.AsSpan(CommittedBytes, stagedBytes);

    public ReadOnlySpan<byte> GetCommitted(int startBytes, int endBytes) => _buffer.AsSpan(startBytes, endBytes - startBytes);

    public void Commit(int stagedBytes)
    {
        CommittedBytes += stagedBytes;
        EventCount++;
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_buffer.Length - SlotBytes * EventCount), CommittedBytes);
    }

    /// <summary>Offset one past event <paramref name="index"/> of this segment; 0 for -1.</summary>
    public int GetEnd(int index) =>
        index < 0 ? 0 : BinaryPrimitives.ReadInt32LittleEndian(_buffer.AsSpan(_buffer.Length - SlotBytes * (index + 1)));

    public void Open(long firstEvent)
    {
        FirstEvent = firstEvent;
        EventCount = 0;
        CommittedBytes = 0;
        Next = null;
    }

    /// <summary>Bytes of the array that <see cref="Pack"/> would make.</summary>
    public int GetPackedBytes(long firstEvent)
    {
        var skipped = (int)(firstEvent - FirstEvent);
        return CommittedBytes - GetEnd(skipped - 1) + SlotBytes * (EventCount - skipped);
    }

    /// <summary>A copy of the events from one on, in an array that has room for them alone.</summary>
    /// <param name="firstEvent">From <see cref="FirstEvent"/> to <see cref="EndEvent"/>.</param>
    public StreamSegment Pack(long firstEvent)
    {
        var skipped = (int)(firstEvent - FirstEvent);
        var start = GetEnd(skipped - 1);
        var count = EventCount - skipped;
        var bytes = CommittedBytes - start;
        var packed = new StreamSegment(GC.AllocateUninitializedArray<byte>(GetPackedBytes(firstEvent)))
        {
            FirstEvent = firstEvent,
            EventCount = count,
            CommittedBytes = bytes,
        };
        GetCommitted(start, CommittedBytes).CopyTo(packed._buffer);
        for (var i = 0; i < count; i++)
            BinaryPrimitives.WriteInt32LittleEndian(packed._buffer.AsSpan(packed._buffer.Length - SlotBytes * (i + 1)), GetEnd(skipped + i) - start);
        return packed;
    }

    /// <summary>Leaves the log; the array stays, for another <see cref="Open"/> or for <see cref="Release"/>.</summary>
    public void Close() => FirstEvent = -1;

    /// <summary>Gives the array back to the pool it came from. No reader may be copying from it.</summary>
    public void Release()
    {
        if (_isPooled) ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }
}
