using System.Numerics;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Rank and result of joining two neighbouring symbols, packed into one number each. Safe to read from any thread once it is filled.
/// </summary>
internal sealed class MergeTable
{
    /// <summary>What <see cref="Find"/> gives for a pair that is never joined; every merge is smaller.</summary>
    public const ulong None = ulong.MaxValue;

    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <param name="capacity">Most pairs that are added.</param>
    public MergeTable(int capacity)
    {
        var slotCount = BitOperations.RoundUpToPowerOf2((uint)Math.Max(capacity, 1) * 2);
        _slots = new Slot[slotCount];
        _shift = 64 - BitOperations.Log2(slotCount);
    }

    /// <summary>The symbol that a merge makes.</summary>
    public static int Result(ulong merge) => (int)(uint)merge;

    /// <summary>
    /// The merge's rank in the upper half and its result in the lower: the smaller number is joined first. <see cref="None"/> if there is
    /// none.
    /// </summary>
    public ulong Find(int left, int right)
    {
        var slot = _slots[FindSlot(Key(left, right))];
        return slot.Key == 0 ? None : slot.Merge;
    }

    /// <summary>Adds a pair; of two entries for the same pair the first one stays.</summary>
    public void Add(int left, int right, int rank, int result)
    {
        var key = Key(left, right);
        ref var slot = ref _slots[FindSlot(key)];
        if (slot.Key == 0)
        {
            slot = new Slot(key, ((ulong)(uint)rank << 32) | (uint)result);
        }
    }

    // Never 0, which marks a free slot.
    private static ulong Key(int left, int right) => ((ulong)(uint)(left + 1) << 32) | (uint)right;

    private int FindSlot(ulong key)
    {
        var mask = _slots.Length - 1;
        var slot = (int)((key * 0x9E3779B97F4A7C15) >> _shift);
        while (_slots[slot].Key != 0 && _slots[slot].Key != key)
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    private readonly record struct Slot(ulong Key, ulong Merge);
}
