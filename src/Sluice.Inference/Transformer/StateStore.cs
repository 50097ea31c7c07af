using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// The states of sequences, and snapshots of them behind blocks of the cache. Snapshots have room for a number of their own; the one that was
/// used longest ago goes first. Owned by the engine's thread.
/// </summary>
internal sealed unsafe class StateStore : IDisposable
{
    private readonly long _bytes;
    private readonly int _snapshotCapacity;
    private readonly Stack<NativeBuffer> _free = new();
    private readonly LinkedList<StateSnapshot> _snapshots = new();

    /// <param name="count">Singles of a state.</param>
    /// <param name="snapshotBytes">Most bytes of snapshots; room for two is always taken.</param>
    public StateStore(long count, long snapshotBytes)
    {
        _bytes = count * sizeof(float);
        _snapshotCapacity = (int)Math.Clamp(snapshotBytes / _bytes, 2, int.MaxValue);
    }

    /// <summary>Snapshots that are kept.</summary>
    public int SnapshotCount => _snapshots.Count;

    /// <summary>Gives a sequence the state before its first token.</summary>
    public void Begin(KvSequence sequence)
    {
        sequence.State ??= Take();
        new Span<byte>(sequence.State.Bytes, checked((int)_bytes)).Clear();
        sequence.StateLength = 0;
    }

    /// <summary>Gives a sequence a state that was kept.</summary>
    public void Restore(KvSequence sequence, StateSnapshot snapshot, int length)
    {
        _snapshots.Remove(snapshot.Place!);
        _snapshots.AddLast(snapshot.Place!);
        sequence.State ??= Take();
        Copy(snapshot.State, sequence.State);
        sequence.StateLength = length;
    }

    /// <summary>Keeps a copy of a sequence's state behind a block, if it has one there and the block has none.</summary>
    public void Keep(KvSequence sequence, PrefixNode node)
    {
        if (node.Snapshot != null || sequence.State == null || sequence.StateLength != sequence.Length)
        {
            return;
        }

        while (_snapshots.Count >= _snapshotCapacity)
        {
            Drop(_snapshots.First!.Value.Node);
        }

        NativeBuffer state = Take();
        Copy(sequence.State, state);
        node.Snapshot = new StateSnapshot(state, node);
        node.Snapshot.Place = _snapshots.AddLast(node.Snapshot);
    }

    /// <summary>A block is given up, and what is kept behind it.</summary>
    public void Drop(PrefixNode node)
    {
        if (node.Snapshot is { } snapshot)
        {
            _snapshots.Remove(snapshot.Place!);
            _free.Push(snapshot.State);
            node.Snapshot = null;
        }
    }

    /// <summary>A sequence needs its state no more.</summary>
    public void Release(KvSequence sequence)
    {
        if (sequence.State is { } state)
        {
            _free.Push(state);
            sequence.State = null;
        }
    }

    public void Dispose()
    {
        foreach (NativeBuffer state in _free)
        {
            state.Dispose();
        }

        foreach (StateSnapshot snapshot in _snapshots)
        {
            snapshot.State.Dispose();
        }
    }

    private NativeBuffer Take() => _free.TryPop(out NativeBuffer? state) ? state : new NativeBuffer(_bytes, zeroed: false);

    private void Copy(NativeBuffer source, NativeBuffer target) => Buffer.MemoryCopy(source.Bytes, target.Bytes, _bytes, _bytes);
}

/// <summary>The state behind the last token of a block.</summary>
internal sealed class StateSnapshot(NativeBuffer state, PrefixNode node)
{
    public NativeBuffer State => state;

    public PrefixNode Node => node;

    /// <summary>Its place among all, by last use.</summary>
    public LinkedListNode<StateSnapshot>? Place { get; set; }
}
