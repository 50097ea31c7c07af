namespace Sluice.Streaming;

/// <summary>
/// Large arrays that the events of many ended logs share; see <see cref="StreamLog.Pack"/>. The garbage collector moves what survives from generation to generation, and
/// logs that stay for minutes survive: arrays of this size it leaves where they are. Thread-safe.
/// </summary>
/// <param name="limits">Bounds.</param>
public sealed class PackedBlocks(StreamLimits limits)
{
    // A part of a block larger than this may leave much of it empty, and gets an array of its own.
    private const int PartShare = 8;

    // Guards all below, and the counts of the blocks.
    private readonly Lock _lock = new();
    private readonly Stack<Block> _free = new();
    private Block? _open;

    /// <summary>One array, used from its front on until it is full, and again when nobody has a part of it any more.</summary>
    internal sealed class Block(int sizeBytes)
    {
        public byte[] Bytes { get; } = GC.AllocateUninitializedArray<byte>(sizeBytes);

        public int UsedBytes { get; set; }

        /// <summary>Parts given away, and one while it is the one that parts are taken from.</summary>
        public int PartCount { get; set; }
    }

    /// <summary>Blocks that wait for another use.</summary>
    internal int FreeCount
    {
        get { lock (_lock) return _free.Count; }
    }

    /// <summary>Gives a part of a block away.</summary>
    /// <param name="bytes">Size of the part.</param>
    /// <param name="start">Where it begins.</param>
    /// <returns>Null for a part that should be an array of its own; otherwise <see cref="Return"/> may follow, and without it the block is the collector's.</returns>
    internal Block? TryTake(int bytes, out int start)
    {
        start = 0;
        if (bytes > limits.PackedBlockBytes / PartShare) return null;
        lock (_lock)
        {
            if (_open is null || _open.Bytes.Length - _open.UsedBytes < bytes)
            {
                if (_open is not null) Drop(_open);
                _open = _free.TryPop(out var free) ? free : new Block(limits.PackedBlockBytes);
                (_open.UsedBytes, _open.PartCount) = (0, 1);
            }
            start = _open.UsedBytes;
            _open.UsedBytes += bytes;
            _open.PartCount++;
            return _open;
        }
    }

    /// <summary>Takes a part back, which nobody reads any more.</summary>
    internal void Return(Block block)
    {
        lock (_lock) Drop(block);
    }

    private void Drop(Block block)
    {
        if (--block.PartCount == 0 && _free.Count < limits.FreeBlocksMax) _free.Push(block);
    }
}
