using System.Numerics;

namespace Sluice.Streaming;

/// <summary>
/// Room for the segments of logs that run, in arrays so large that the garbage collector leaves them where they are: thousands of logs that grow would else be copied by
/// every collection while they are young. Thread-safe.
/// </summary>
internal sealed class SegmentSlots
{
    /// <summary>Bytes of a slot: <see cref="StreamLimits.SegmentBytes"/> where nothing else is said.</summary>
    public const int SlotBytes = 8 << 10;

    // 128 KiB an array, above the 85,000 bytes from which on nothing is moved.
    private const int SlotsPerBlock = 16;

    // Arrays without a user that are kept: 4 MiB. Beyond it they are given up, or a busy hour would hold its memory for ever.
    private const int UnusedBlocksMax = 32;

    // Guards all below, and the blocks.
    private readonly Lock _lock = new();

    // Those with a free slot.
    private readonly List<Block> _open = [];
    private int _unusedCount;

    /// <summary>An array and which of its slots are free, a bit for each.</summary>
    internal sealed class Block
    {
        public byte[] Bytes { get; } = GC.AllocateUninitializedArray<byte>(SlotBytes * SlotsPerBlock);

        public ushort Free { get; set; } = ushort.MaxValue;
    }

    /// <summary>For all logs of the process.</summary>
    public static SegmentSlots Shared { get; } = new();

    /// <summary>Arrays with a free slot.</summary>
    internal int OpenCount
    {
        get { lock (_lock) return _open.Count; }
    }

    /// <summary>Takes a slot.</summary>
    /// <param name="offset">Where it begins in the block's array.</param>
    public Block Take(out int offset)
    {
        lock (_lock)
        {
            if (_open.Count == 0)
            {
                _open.Add(new Block());
                _unusedCount++;
            }
            var block = _open[^1];
            if (block.Free == ushort.MaxValue) _unusedCount--;
            var slot = BitOperations.TrailingZeroCount(block.Free);
            block.Free &= (ushort)(block.Free - 1);
            if (block.Free == 0) _open.RemoveAt(_open.Count - 1);
            offset = slot * SlotBytes;
            return block;
        }
    }

    /// <summary>Gives a slot back, which nobody reads or writes any more.</summary>
    public void Return(Block block, int offset)
    {
        lock (_lock)
        {
            if (block.Free == 0) _open.Add(block);
            block.Free |= (ushort)(1 << (offset / SlotBytes));
            if (block.Free != ushort.MaxValue) return;
            if (_unusedCount < UnusedBlocksMax) _unusedCount++;
            else _open.Remove(block);
        }
    }
}
