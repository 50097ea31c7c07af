namespace Sluice.Inference.Transformer;

/// <content>
/// What sequences share: the keys and values of the same tokens behind the same tokens have the same bits, whoever computed them and in
/// whatever steps, so one copy serves all.
/// </content>
internal sealed unsafe partial class KvCache
{
    private readonly PrefixTree _prefixes;

    /// <summary>
    /// Lengthens a sequence by what is kept of its next tokens: full blocks are shared, and of the block behind them as many tokens as are the
    /// same are copied.
    /// </summary>
    /// <param name="sequence">Where it goes.</param>
    /// <param name="tokens">All tokens of the sequence.</param>
    /// <param name="length">Most tokens that it is to have.</param>
    public void Reuse(KvSequence sequence, IReadOnlyList<int> tokens, int length)
    {
        if (States != null)
        {
            ReuseState(sequence, tokens, length);
            return;
        }

        Span<int> next = stackalloc int[BlockTokens];
        PrefixNode? parent = sequence.Path.Count > 0 ? sequence.Path[^1] : _prefixes.FindRoot(sequence.Scope);
        while (parent != null && sequence.Length < length)
        {
            int start = sequence.Path.Count * BlockTokens;
            next = next[..Math.Min(BlockTokens, length - start)];
            Read(tokens, start, next);
            if (next.Length < BlockTokens || _prefixes.Find(parent, next) is not { } node)
            {
                CopyBeginning(sequence, parent, next);
                return;
            }

            Share(sequence, node);
            sequence.Length = Math.Max(sequence.Length, start + BlockTokens);
            parent = node;
        }
    }

    /// <summary>How many of the blocks that <see cref="Reuse"/> would share are in use already, so that sharing takes none away.</summary>
    public int CountInUse(string scope, IReadOnlyList<int> tokens, int length)
    {
        Span<int> next = stackalloc int[BlockTokens];

        // With a state, what is shared ends at a snapshot; none is promised.
        PrefixNode? node = States == null ? _prefixes.FindRoot(scope) : null;
        int count = 0;
        while (node != null && (count + 1) * BlockTokens <= length)
        {
            Read(tokens, count * BlockTokens, next);
            node = _prefixes.Find(node, next);
            if (node == null || _references[node.Block] == 0)
            {
                break;
            }

            count++;
        }

        return count;
    }

    /// <summary>Lets others share the full blocks of a sequence. One that another sequence has computed as well is from now on that one's.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="tokens">Its tokens, those computed at least.</param>
    /// <param name="reusable">Tokens of the text that others could take: behind the last block of them, and every 256 tokens, a state is kept.</param>
    public void Publish(KvSequence sequence, IReadOnlyList<int> tokens, int reusable = -1)
    {
        Span<int> next = stackalloc int[BlockTokens];
        for (int start = sequence.Path.Count * BlockTokens; start + BlockTokens <= sequence.Length; start += BlockTokens)
        {
            Read(tokens, start, next);
            PrefixNode parent = Last(sequence);
            if (_prefixes.Find(parent, next) is { } node)
            {
                Share(sequence, node);
            }
            else if (_prefixes.Add(parent, next, sequence.Blocks[sequence.Path.Count], _free) is { } added)
            {
                sequence.Path.Add(added);
            }
            else
            {
                return;
            }
        }

        int length = sequence.Length;
        if (States != null && length > 0 && length == sequence.Path.Count * BlockTokens
            && (length % TransformerLimits.SnapshotTokens == 0 || length == reusable / BlockTokens * BlockTokens))
        {
            States.Keep(sequence, sequence.Path[^1]);
        }
    }

    /// <summary>Keeps a copy of a sequence's last block as it is, for others that begin alike while this one writes on. Does nothing when no block is left.</summary>
    public void KeepTail(KvSequence sequence, IReadOnlyList<int> tokens)
    {
        Publish(sequence, tokens);
        if (TailLength(sequence) == 0 || !TryTake(out int copy))
        {
            return;
        }

        Copy(sequence.Blocks[sequence.Path.Count], copy);
        AddTail(sequence, tokens, copy);
        Return(copy);
    }

    /// <summary>Gives all blocks of a sequence back, and keeps what they hold for others that begin alike.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="tokens">Its tokens, those computed at least.</param>
    public void Retire(KvSequence sequence, IReadOnlyList<int> tokens)
    {
        Publish(sequence, tokens);
        if (TailLength(sequence) > 0)
        {
            AddTail(sequence, tokens, sequence.Blocks[sequence.Path.Count]);
        }
        else if (sequence.Path.Count > 0 && sequence.Length == sequence.Path.Count * BlockTokens)
        {
            States?.Keep(sequence, sequence.Path[^1]);
        }

        Release(sequence);
    }

    private static void Read(IReadOnlyList<int> tokens, int start, Span<int> target)
    {
        for (int i = 0; i < target.Length; i++)
        {
            target[i] = tokens[start + i];
        }
    }

    // 0 also where blocks before the last one are not kept, because of their hashes.
    private static int TailLength(KvSequence sequence)
    {
        int length = sequence.Length - (sequence.Path.Count * BlockTokens);
        return length < BlockTokens ? length : 0;
    }

    private PrefixNode Last(KvSequence sequence) => sequence.Path.Count > 0 ? sequence.Path[^1] : _prefixes.GetRoot(sequence.Scope);

    private void AddTail(KvSequence sequence, IReadOnlyList<int> tokens, int block)
    {
        Span<int> tail = stackalloc int[TailLength(sequence)];
        Read(tokens, sequence.Path.Count * BlockTokens, tail);
        PrefixNode parent = Last(sequence);
        (PrefixNode? node, int common) = PrefixTree.FindLongest(parent, tail);
        if (States == null)
        {
            if (common < tail.Length)
            {
                _prefixes.Add(parent, tail, block, _free);
            }

            return;
        }

        // A longer block has the same keys, and no state behind these tokens.
        if (common < tail.Length || node!.Tokens.Length != tail.Length)
        {
            node = _prefixes.Add(parent, tail, block, _free);
        }

        if (node != null)
        {
            States.Keep(sequence, node);
        }
    }

    // The sequence's next full block is the node's; one of its own with the same content goes.
    private void Share(KvSequence sequence, PrefixNode node)
    {
        Hold(node.Block);
        if (sequence.Path.Count < sequence.Blocks.Count)
        {
            Return(sequence.Blocks[sequence.Path.Count]);
            sequence.Blocks[sequence.Path.Count] = node.Block;
        }
        else
        {
            sequence.Blocks.Add(node.Block);
        }

        sequence.Path.Add(node);
    }

    private void CopyBeginning(KvSequence sequence, PrefixNode parent, ReadOnlySpan<int> next)
    {
        (PrefixNode? source, int common) = PrefixTree.FindLongest(parent, next);
        int index = sequence.Path.Count;
        int length = (index * BlockTokens) + common;
        if (source == null || length <= sequence.Length)
        {
            return;
        }

        // Held meanwhile, for else the block that is taken could be this one.
        Hold(source.Block);
        if (TryGrow(sequence, length))
        {
            Copy(source.Block, sequence.Blocks[index]);
            sequence.Length = length;
        }

        Return(source.Block);
    }

    private void Hold(int block)
    {
        if (_references[block]++ == 0)
        {
            _prefixes.SetUsed(block);
        }
    }

    private void Copy(int source, int target)
    {
        if (BlockBytes > 0)
        {
            Buffer.MemoryCopy(Address(source), Address(target), BlockBytes, BlockBytes);
        }
    }
}
