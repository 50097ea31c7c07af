using System.Buffers;

namespace Sluice.Protocol.ServerSentEvents;

/// <summary>Whole events in memory, with their borders. Reused without allocation. For one thread at a time.</summary>
public sealed class EventBuffer : IEventOutput
{
    private readonly ArrayBufferWriter<byte> _bytes;
    private readonly List<int> _ends = [];

    /// <summary>An empty buffer.</summary>
    public EventBuffer()
        : this(new ArrayBufferWriter<byte>())
    {
    }

    /// <summary>An empty buffer with room for that many bytes.</summary>
    public EventBuffer(int capacityBytes)
        : this(new ArrayBufferWriter<byte>(capacityBytes))
    {
    }

    private EventBuffer(ArrayBufferWriter<byte> bytes)
    {
        _bytes = bytes;
        AddEvent = length => _ends.Add((_ends.Count == 0 ? 0 : _ends[^1]) + length);
    }

    /// <summary>Whole events.</summary>
    public int Count => _ends.Count;

    /// <summary>Bytes of all events, those of an event that has not ended included.</summary>
    public int WrittenCount => _bytes.WrittenCount;

    /// <summary>Whoever copies whole events into the buffer says here how long each is, in order.</summary>
    public Action<int> AddEvent { get; }

    /// <summary>All events, one behind the other; valid until the next change.</summary>
    public ReadOnlySpan<byte> WrittenSpan => _bytes.WrittenSpan;

    /// <summary>The same, for another thread.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => _bytes.WrittenMemory;

    /// <summary>One event, with the blank line that ends it; valid until the next change.</summary>
    public ReadOnlySpan<byte> this[int index] => _bytes.WrittenSpan[(index == 0 ? 0 : _ends[index - 1]).._ends[index]];

    /// <inheritdoc/>
    public void EndEvent() => _ends.Add(_bytes.WrittenCount);

    /// <inheritdoc/>
    public void Advance(int count) => _bytes.Advance(count);

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0) => _bytes.GetMemory(sizeHint);

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => _bytes.GetSpan(sizeHint);

    /// <summary>Forgets all events.</summary>
    public void Clear()
    {
        _bytes.ResetWrittenCount();
        _ends.Clear();
    }

    /// <summary>Writes all events to another output.</summary>
    public void CopyTo(IEventOutput output)
    {
        ArgumentNullException.ThrowIfNull(output);
        for (var i = 0; i < Count; i++)
        {
            output.Write(this[i]);
            output.EndEvent();
        }
    }
}
