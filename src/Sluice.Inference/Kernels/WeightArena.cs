namespace Sluice.Inference.Kernels;

/// <summary>
/// Memory for a model's weights, taken in the order in which a step reads them and freed as a whole. Few large blocks instead of one per
/// matrix, because only large ones stand on huge pages: on small pages the processor's prefetching ends every 4 KiB.
/// </summary>
internal sealed unsafe class WeightArena : IDisposable
{
    private const long BlockBytesMax = 64 << 20;
    private const long Alignment = 64;

    private readonly List<NativeBuffer> _blocks = [];
    private readonly long _blockBytes;
    private long _used;

    /// <param name="expectedBytes">About what will be taken in all. A block is as large, at most 64 MiB; what is not taken of it is never touched.</param>
    public WeightArena(long expectedBytes) => _blockBytes = Math.Min(expectedBytes, BlockBytesMax);

    /// <summary>Takes memory whose contents are undefined; it lives until the arena is disposed.</summary>
    /// <returns>A 64-byte aligned address.</returns>
    /// <exception cref="OutOfMemoryException">The system has no such block.</exception>
    public byte* Take(long sizeBytes)
    {
        long size = (sizeBytes + Alignment - 1) / Alignment * Alignment;
        if (_blocks.Count == 0 || _used + size > _blocks[^1].SizeBytes)
        {
            _blocks.Add(new NativeBuffer(Math.Max(size, _blockBytes), zeroed: false));
            _used = 0;
        }

        byte* address = _blocks[^1].Bytes + _used;
        _used += size;
        return address;
    }

    public void Dispose()
    {
        foreach (NativeBuffer block in _blocks)
        {
            block.Dispose();
        }
    }
}
