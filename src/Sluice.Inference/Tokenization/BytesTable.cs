using System.Buffers.Binary;

namespace Sluice.Inference.Tokenization;

/// <summary>Ids by byte string: open addressing over one blob of keys. Safe to read from any thread once it is filled.</summary>
internal sealed class BytesTable
{
    private const ulong Multiplier = 0x9E3779B97F4A7C15;
    private int[] _slots; // entry + 1; 0 is free. Invariant: at most half of the slots are taken.
    private uint[] _hashes;
    private int[] _ends;
    private int[] _ids;
    private byte[] _keys;
    private int _count;

    /// <param name="capacity">Entries to make room for; it grows beyond.</param>
    public BytesTable(int capacity)
    {
        capacity = Math.Max(capacity, 8);
        _slots = new int[SlotCount(capacity)];
        _hashes = new uint[capacity];
        _ends = new int[capacity];
        _ids = new int[capacity];
        _keys = new byte[capacity * 8];
    }

    public static uint Hash(ReadOnlySpan<byte> key)
    {
        var hash = (ulong)key.Length * Multiplier;
        while (key.Length >= 8)
        {
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key));
            key = key[8..];
        }

        var tail = 0UL;
        foreach (var b in key)
        {
            tail = (tail << 8) | b;
        }

        return (uint)Mix(hash ^ tail);
    }

    /// <summary>The id of a key, or -1.</summary>
    public int Find(ReadOnlySpan<byte> key)
    {
        var hash = Hash(key);
        var entry = _slots[FindSlot(key, hash)];
        return entry == 0 ? -1 : _ids[entry - 1];
    }

    /// <summary>Adds a key, or gives it another id.</summary>
    public void Set(ReadOnlySpan<byte> key, int id)
    {
        var hash = Hash(key);
        var slot = FindSlot(key, hash);
        if (_slots[slot] != 0)
        {
            _ids[_slots[slot] - 1] = id;
            return;
        }

        if (_count == _ids.Length)
        {
            Grow();
            slot = FindSlot(key, hash);
        }

        var start = Start(_count);
        if (start + key.Length > _keys.Length)
        {
            Array.Resize(ref _keys, Math.Max(_keys.Length * 2, start + key.Length));
        }

        key.CopyTo(_keys.AsSpan(start));
        _ends[_count] = start + key.Length;
        _hashes[_count] = hash;
        _ids[_count] = id;
        _slots[slot] = ++_count;
    }

    private static ulong Mix(ulong value)
    {
        value *= Multiplier;
        return value ^ (value >> 32);
    }

    private static int SlotCount(int capacity) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)capacity * 2);

    private int Start(int entry) => entry == 0 ? 0 : _ends[entry - 1];

    private int FindSlot(ReadOnlySpan<byte> key, uint hash)
    {
        var mask = _slots.Length - 1;
        for (var slot = (int)hash & mask; ; slot = (slot + 1) & mask)
        {
            var entry = _slots[slot] - 1;
            if (entry < 0 || (_hashes[entry] == hash && _keys.AsSpan(Start(entry).._ends[entry]).SequenceEqual(key)))
            {
                return slot;
            }
        }
    }

    private void Grow()
    {
        var capacity = _ids.Length * 2;
        Array.Resize(ref _hashes, capacity);
        Array.Resize(ref _ends, capacity);
        Array.Resize(ref _ids, capacity);
        _slots = new int[SlotCount(capacity)];
        var mask = _slots.Length - 1;
        for (var entry = 0; entry < _count; entry++)
        {
            var slot = (int)_hashes[entry] & mask;
            while (_slots[slot] != 0)
            {
                slot = (slot + 1) & mask;
            }

            _slots[slot] = entry + 1;
        }
    }
}
