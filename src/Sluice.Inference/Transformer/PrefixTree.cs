using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Which tokens lie in which blocks. A node's parent holds the tokens before its own, so the same tokens behind others are another node. Full
/// blocks are found by a hash that is chained from block to block; one counts only if its parent and its tokens are the same. A partly filled
/// block is a leaf, found by comparing. Each scope has a tree of its own.
/// Invariant: a block in use has only blocks in use before it, and blocks become idle from the last one to the first; so the block that has
/// been idle for longest is a leaf.
/// </summary>
/// <param name="onRemoved">Told of every block that is given up.</param>
internal sealed class PrefixTree(Action<PrefixNode> onRemoved)
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;

    private readonly Dictionary<string, PrefixNode> _roots = [];
    private readonly Dictionary<uint, PrefixNode> _byHash = [];
    private readonly Dictionary<int, PrefixNode> _byBlock = [];
    private readonly LinkedList<PrefixNode> _idle = new();

    /// <summary>Blocks that are kept and in no sequence.</summary>
    public int IdleCount => _idle.Count;

    /// <summary>Hash of a block's tokens and of everything before them.</summary>
    /// <param name="before">That of the block before, or of the scope.</param>
    /// <param name="tokens">The block's.</param>
    public static uint Hash(uint before, ReadOnlySpan<int> tokens)
    {
        var hash = default(HashCode);
        hash.Add(before);
        hash.AddBytes(MemoryMarshal.AsBytes(tokens));
        return (uint)hash.ToHashCode();
    }

    /// <summary>Where a scope's sequences begin; null when nothing of it is kept.</summary>
    public PrefixNode? FindRoot(string scope) => _roots.GetValueOrDefault(scope);

    public PrefixNode GetRoot(string scope)
    {
        if (!_roots.TryGetValue(scope, out PrefixNode? root))
        {
            root = new PrefixNode(null, [], (uint)scope.GetHashCode(StringComparison.Ordinal), -1) { Scope = scope };
            _roots.Add(scope, root);
        }

        return root;
    }

    /// <summary>The full block with these tokens behind a parent.</summary>
    public PrefixNode? Find(PrefixNode parent, ReadOnlySpan<int> tokens) =>
        _byHash.TryGetValue(Hash(parent.Hash, tokens), out PrefixNode? node) && node.Parent == parent && tokens.SequenceEqual(node.Tokens)
            ? node
            : null;

    /// <summary>The block behind a parent that begins with the most of these tokens, and how many those are; null with 0 for none.</summary>
    public static (PrefixNode? Node, int Common) FindLongest(PrefixNode parent, ReadOnlySpan<int> tokens)
    {
        (PrefixNode? Node, int Common) best = (null, 0);
        foreach (PrefixNode child in parent.Children)
        {
            int common = tokens.CommonPrefixLength(child.Tokens);
            if (common > best.Common)
            {
                best = (child, common);
            }
        }

        return best;
    }

    /// <summary>Keeps a block. Partly filled ones that hold no more than the first of its tokens are given up for it.</summary>
    /// <param name="parent">What is before it.</param>
    /// <param name="tokens">What is in it: a full block, or less.</param>
    /// <param name="block">In no other node.</param>
    /// <param name="freed">Receives the blocks that were given up.</param>
    /// <returns>Null when another block has the same hash: then this one is not kept.</returns>
    public PrefixNode? Add(PrefixNode parent, ReadOnlySpan<int> tokens, int block, Stack<int> freed)
    {
        uint hash = Hash(parent.Hash, tokens);
        var node = new PrefixNode(parent, tokens.ToArray(), hash, block);
        if (tokens.Length == BlockTokens && !_byHash.TryAdd(hash, node))
        {
            RemoveEmptyRoot(parent);
            return null;
        }

        node.Position = parent.Children.Count;
        parent.Children.Add(node);
        _byBlock.Add(block, node);
        for (int i = node.Position - 1; i >= 0; i--)
        {
            PrefixNode child = parent.Children[i];
            if (child.Tokens.Length < tokens.Length && tokens.StartsWith(child.Tokens))
            {
                _idle.Remove(child.Idle!);
                Remove(child);
                freed.Push(child.Block);
            }
        }

        return node;
    }

    /// <summary>A block of the tree is in no sequence any more; false when it isn't in the tree.</summary>
    public bool TrySetIdle(int block)
    {
        if (!_byBlock.TryGetValue(block, out PrefixNode? node))
        {
            return false;
        }

        node.Idle = _idle.AddLast(node);
        return true;
    }

    /// <summary>An idle block is in a sequence again.</summary>
    public void SetUsed(int block)
    {
        PrefixNode node = _byBlock[block];
        _idle.Remove(node.Idle!);
        node.Idle = null;
    }

    /// <summary>Gives up the block that has been idle for longest.</summary>
    public bool TryTakeIdle(out int block)
    {
        if (_idle.First is not { } first)
        {
            block = -1;
            return false;
        }

        _idle.RemoveFirst();
        Remove(first.Value);
        block = first.Value.Block;
        return true;
    }

    private void Remove(PrefixNode node)
    {
        Debug.Assert(node.Children.Count == 0, "What is behind a block is given up before it.");
        PrefixNode parent = node.Parent!;
        PrefixNode last = parent.Children[^1];
        parent.Children[node.Position] = last;
        last.Position = node.Position;
        parent.Children.RemoveAt(parent.Children.Count - 1);
        _byBlock.Remove(node.Block);
        onRemoved(node);
        if (node.Tokens.Length == BlockTokens)
        {
            _byHash.Remove(node.Hash);
        }

        RemoveEmptyRoot(parent);
    }

    private void RemoveEmptyRoot(PrefixNode node)
    {
        if (node.Scope is { } scope && node.Children.Count == 0)
        {
            _roots.Remove(scope);
        }
    }
}

/// <summary>A block of tokens behind those of its parent.</summary>
internal sealed class PrefixNode(PrefixNode? parent, int[] tokens, uint hash, int block)
{
    /// <summary>Null for the beginning of a scope.</summary>
    public PrefixNode? Parent { get; } = parent;

    /// <summary>Those whose keys and values are in the block.</summary>
    public int[] Tokens { get; } = tokens;

    /// <summary>See <see cref="PrefixTree.Hash"/>.</summary>
    public uint Hash { get; } = hash;

    /// <summary>Index of the block; -1 for the beginning of a scope.</summary>
    public int Block { get; } = block;

    /// <summary>Of the beginning of a scope; null elsewhere.</summary>
    public string? Scope { get; init; }

    /// <summary>In no order.</summary>
    public List<PrefixNode> Children { get; } = [];

    /// <summary>The state behind its last token; null where none is kept.</summary>
    public StateSnapshot? Snapshot { get; set; }

    /// <summary>Index among the parent's children.</summary>
    public int Position { get; set; }

    /// <summary>Its place among the idle blocks; null while a sequence uses it.</summary>
    public LinkedListNode<PrefixNode>? Idle { get; set; }
}
