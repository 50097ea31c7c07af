using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Keys and values of all sequences in blocks of <see cref="TransformerLimits.KvBlockTokens"/> tokens. A block holds, per layer and key/value
/// head: the keys as tiles of 16 tokens, (tile, KeyLength, 16), so that one vector load brings one dimension of 16 tokens; then the values,
/// (token, ValueLength). <see cref="KvRows"/> knows what each type of cache makes of them. Full blocks are never written again, so sequences share them by reference count, and blocks that no
/// sequence uses are kept for those that will begin alike, until there is no other block left to take.
/// Owned by the engine's thread.
/// </summary>
internal sealed unsafe partial class KvCache : IDisposable
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;

    private readonly List<NativeBuffer> _slabs = [];
    private readonly Stack<int> _free = new();
    private readonly List<int> _references = [];
    private readonly int _blocksPerSlab;
    private readonly KvLayer[] _layers;

    /// <param name="layerCount">Layers; 0 for a model that keeps nothing.</param>
    /// <param name="headCountKv">Key/value heads of a layer.</param>
    /// <param name="keyLength">Values of a key, and of a value.</param>
    /// <param name="tokenCapacity">Most tokens kept over all sequences; rounded up to whole blocks.</param>
    public KvCache(int layerCount, int headCountKv, int keyLength, long tokenCapacity)
        : this(Enumerable.Repeat(new KvShape(headCountKv, keyLength, keyLength), layerCount), tokenCapacity)
    {
    }

    /// <param name="layers">What each layer keeps of a token.</param>
    /// <param name="tokenCapacity">Most tokens kept over all sequences; rounded up to whole blocks.</param>
    /// <param name="states">Where sequences have their states, which this owns from now on; null for a model without.</param>
    /// <param name="type">In what they are kept.</param>
    public KvCache(IEnumerable<KvShape> layers, long tokenCapacity, StateStore? states = null, KvCacheType type = KvCacheType.F16)
    {
        Type = type;
        States = states;
        _prefixes = new PrefixTree(node => States?.Drop(node));
        var places = new List<KvLayer>();
        foreach (KvShape shape in layers)
        {
            places.Add(new KvLayer(BlockBytes, shape.HeadBytes(type), KvRows.SizeBytes(type, shape.KeyLength)));
            BlockBytes += shape.HeadBytes(type) * shape.HeadCount;
        }

        _layers = [.. places];
        BlockCapacity = (int)Math.Min(int.MaxValue, (tokenCapacity + BlockTokens - 1) / BlockTokens);
        _blocksPerSlab = (int)Math.Clamp(TransformerLimits.KvSlabBytes / Math.Max(1, BlockBytes), 1, 4096);
    }

    /// <summary>In what keys and values are kept.</summary>
    public KvCacheType Type { get; }

    /// <summary>Bytes of one block over all layers.</summary>
    public long BlockBytes { get; }

    /// <summary>Most blocks at once, idle ones included.</summary>
    public int BlockCapacity { get; }

    /// <summary>Blocks of sequences.</summary>
    public int UsedCount => _references.Count - _free.Count - _prefixes.IdleCount;

    /// <summary>Blocks that can be taken: unused ones, and those kept for later.</summary>
    public int AvailableCount => BlockCapacity - UsedCount;

    /// <summary>Makes room for tokens up to <paramref name="length"/>; false, with nothing changed, when too few blocks are left.</summary>
    public bool TryGrow(KvSequence sequence, int length) => TryGrow(sequence, length, takesKept: true);

    /// <summary>Like <see cref="TryGrow(KvSequence, int)"/>, and takes nothing that is kept for others.</summary>
    public bool TryGrowUnused(KvSequence sequence, int length) => TryGrow(sequence, length, takesKept: false);

    private bool TryGrow(KvSequence sequence, int length, bool takesKept)
    {
        int missing = ((length + BlockTokens - 1) / BlockTokens) - sequence.Blocks.Count;
        if (missing > (takesKept ? AvailableCount : _free.Count + BlockCapacity - _references.Count))
        {
            return false;
        }

        int before = sequence.Blocks.Count;
        for (; missing > 0; missing--)
        {
            if (!TryTake(out int block, takesKept))
            {
                // The system has less than was free at load; the caller takes blocks from others, as when the cache is full.
                for (int i = sequence.Blocks.Count - 1; i >= before; i--)
                {
                    Return(sequence.Blocks[i]);
                    sequence.Blocks.RemoveAt(i);
                }

                return false;
            }

            sequence.Blocks.Add(block);
        }

        return true;
    }

    /// <summary>Tokens that the blocks of a sequence have room for.</summary>
    public static int RoomOf(KvSequence sequence) => sequence.Blocks.Count * BlockTokens;

    /// <summary>Gives back the blocks behind the last token of a sequence.</summary>
    public void Trim(KvSequence sequence)
    {
        while (RoomOf(sequence) >= sequence.Length + BlockTokens)
        {
            Return(sequence.Blocks[^1]);
            sequence.Blocks.RemoveAt(sequence.Blocks.Count - 1);
        }
    }

    /// <summary>Gives all blocks of a sequence back.</summary>
    public void Release(KvSequence sequence)
    {
        // From the last one, for that is the order in which idle blocks are given up.
        for (int i = sequence.Blocks.Count - 1; i >= 0; i--)
        {
            Return(sequence.Blocks[i]);
        }

        States?.Release(sequence);
        sequence.Blocks.Clear();
        sequence.Path.Clear();
        sequence.Length = 0;
    }

    /// <summary>Keys of one head: (2 tiles, KeyLength, 16 tokens).</summary>
    public byte* Keys(int block, int layer, int head) => Address(block) + _layers[layer].Offset + (head * _layers[layer].HeadBytes);

    /// <summary>Values of one head: (32 tokens, ValueLength).</summary>
    public byte* Values(int block, int layer, int head) => Keys(block, layer, head) + _layers[layer].KeyBytes;

    public void Dispose()
    {
        States?.Dispose();
        foreach (NativeBuffer slab in _slabs)
        {
            slab.Dispose();
        }

        _slabs.Clear();
    }

    // Where a layer's first head begins in a block, the bytes of each head, and those of its keys.
    private readonly record struct KvLayer(long Offset, long HeadBytes, long KeyBytes);

    private byte* Address(int block) => _slabs[block / _blocksPerSlab].Bytes + (block % _blocksPerSlab * BlockBytes);

    private void Return(int block)
    {
        if (--_references[block] == 0 && !_prefixes.TrySetIdle(block))
        {
            _free.Push(block);
        }
    }

    // Unused blocks first: what is kept costs nothing until the last of them is taken.
    private bool TryTake(out int block, bool takesKept = true)
    {
        if (!_free.TryPop(out block) && !TryAddBlock(out block) && !(takesKept && _prefixes.TryTakeIdle(out block)))
        {
            return false;
        }

        _references[block] = 1;
        return true;
    }

    private bool TryAddBlock(out int block)
    {
        block = _references.Count;
        if (block >= BlockCapacity)
        {
            return false;
        }

        if (block / _blocksPerSlab == _slabs.Count)
        {
            try
            {
                _slabs.Add(new NativeBuffer(BlockBytes * _blocksPerSlab));
            }
            catch (OutOfMemoryException)
            {
                // The system has less than was free at load: what is idle here can serve.
                return false;
            }
        }

        _references.Add(0);
        return true;
    }
}

/// <summary>What a layer keeps of a token.</summary>
/// <param name="HeadCount">Key/value heads; 0 for a layer that keeps none.</param>
/// <param name="KeyLength">Values of a key.</param>
/// <param name="ValueLength">Values of a value.</param>
internal readonly record struct KvShape(int HeadCount, int KeyLength, int ValueLength)
{
    /// <summary>Of one head in a block.</summary>
    public long HeadBytes(KvCacheType type) => HeadCount == 0 ? 0 : KvRows.SizeBytes(type, KeyLength) + KvRows.SizeBytes(type, ValueLength);

    /// <summary>Of a token.</summary>
    public long TokenBytes(KvCacheType type) => HeadBytes(type) * HeadCount / TransformerLimits.KvBlockTokens;
}

/// <summary>The cached tokens of one sequence.</summary>
internal sealed class KvSequence
{
    /// <summary>Block indices in order.</summary>
    public List<int> Blocks { get; } = [];

    /// <summary>Tokens whose keys and values are there.</summary>
    public int Length { get; set; }

    /// <summary>Sequences share only with those of the same scope.</summary>
    public string Scope { get; init; } = "";

    /// <summary>Its state, in a model that has one; null before the first step.</summary>
    internal NativeBuffer? State { get; set; }

    /// <summary>Tokens that <see cref="State"/> has seen; -1 when a step was not finished.</summary>
    internal int StateLength { get; set; }

    /// <summary>The nodes of its first full blocks, as far as others may share them.</summary>
    internal List<PrefixNode> Path { get; } = [];
}
