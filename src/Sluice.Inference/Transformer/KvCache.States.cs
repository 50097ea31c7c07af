namespace Sluice.Inference.Transformer;

/// <content>
/// Sequences with a state: it can't be cut back, so they share only up to a block that has a snapshot behind it, and take that.
/// </content>
internal sealed unsafe partial class KvCache
{
    /// <summary>Null for a model without state.</summary>
    public StateStore? States { get; }

    /// <summary>
    /// How many of the next tokens a step computes at most, so that it ends where a snapshot will serve others: every 256 tokens, and at the last
    /// border of blocks within a text.
    /// </summary>
    /// <param name="start">Tokens that are computed.</param>
    /// <param name="count">Tokens that the step could compute.</param>
    /// <param name="reusable">Tokens of the text that others could take.</param>
    public int StepWithin(int start, int count, int reusable)
    {
        if (States == null)
        {
            return count;
        }

        int last = reusable / BlockTokens * BlockTokens;
        int next = Math.Min(
            ((start / TransformerLimits.SnapshotTokens) + 1) * TransformerLimits.SnapshotTokens, last > start ? last : int.MaxValue);
        return Math.Min(count, next - start);
    }

    // Up to the deepest block with a snapshot, full or not, and the state behind it.
    private void ReuseState(KvSequence sequence, IReadOnlyList<int> tokens, int length)
    {
        Span<int> next = stackalloc int[BlockTokens];
        PrefixNode? parent = sequence.Path.Count > 0 ? sequence.Path[^1] : _prefixes.FindRoot(sequence.Scope);
        int start = sequence.Path.Count * BlockTokens;
        var path = new List<PrefixNode>();
        int reached = sequence.Length;
        int shared = 0;
        PrefixNode? last = null;
        while (parent != null && start < length)
        {
            next = next[..Math.Min(BlockTokens, length - start)];
            Read(tokens, start, next);
            if (FindTail(parent, next) is { } tail && start + tail.Tokens.Length > reached)
            {
                (last, shared, reached) = (tail, path.Count, start + tail.Tokens.Length);
            }

            if (next.Length < BlockTokens || _prefixes.Find(parent, next) is not { } node)
            {
                break;
            }

            path.Add(node);
            start += BlockTokens;
            if (node.Snapshot != null && start > reached)
            {
                (last, shared, reached) = (node, path.Count, start);
            }

            parent = node;
        }

        if (last != null)
        {
            path.RemoveRange(shared, path.Count - shared);
            Take(sequence, path, last, reached);
        }
    }

    private void Take(KvSequence sequence, List<PrefixNode> path, PrefixNode last, int length)
    {
        // Held meanwhile, for else a block that is taken could be one of these.
        Hold(last.Block);
        path.ForEach(node => Hold(node.Block));
        bool isTail = last.Tokens.Length < BlockTokens;
        if (!isTail || TryGrow(sequence, length))
        {
            path.ForEach(node => Share(sequence, node));
            if (isTail)
            {
                Copy(last.Block, sequence.Blocks[sequence.Path.Count]);
            }

            States!.Restore(sequence, last.Snapshot!, length);
            sequence.Length = length;
        }

        path.ForEach(node => Return(node.Block));
        Return(last.Block);
    }

    // A block that is partly filled, all of whose tokens come next.
    private static PrefixNode? FindTail(PrefixNode parent, ReadOnlySpan<int> next)
    {
        PrefixNode? best = null;
        foreach (PrefixNode child in parent.Children)
        {
            if (child.Snapshot != null && child.Tokens.Length < BlockTokens && child.Tokens.Length > (best?.Tokens.Length ?? 0)
                && next.StartsWith(child.Tokens))
            {
                best = child;
            }
        }

        return best;
    }
}
