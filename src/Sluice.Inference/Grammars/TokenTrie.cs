using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Grammars;

/// <summary>
/// The printing tokens of a vocabulary as a trie of their bytes, in depth-first order: the nodes below node i are those up to
/// <see cref="End"/>. Node 0 is the root. Immutable; safe to use from any thread.
/// </summary>
internal sealed class TokenTrie
{
    private readonly byte[] _labels;
    private readonly byte[] _depths;
    private readonly int[] _ends;
    private readonly int[] _tokens;
    private readonly int[] _sameBytes;
    private readonly int[] _firstNodes = new int[256];

    /// <param name="tokenizer">Whose tokens; those of more than <see cref="GrammarLimits.TokenBytesMax"/> bytes are left out.</param>
    public TokenTrie(Tokenizer tokenizer)
    {
        Tokenizer = tokenizer;
        int[] tokens = [.. Enumerable.Range(0, tokenizer.VocabularySize)
            .Where(token => tokenizer.GetBytes(token).Length is > 0 and <= GrammarLimits.TokenBytesMax && !tokenizer.IsEndOfGeneration(token))];
        Array.Sort(tokens, (a, b) => tokenizer.GetBytes(a).Span.SequenceCompareTo(tokenizer.GetBytes(b).Span) is not 0 and var order ? order : a - b);
        EndTokens = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsEndOfGeneration)];
        _sameBytes = new int[tokenizer.VocabularySize];
        Array.Fill(_sameBytes, -1);
        (List<byte> labels, List<byte> depths, List<int> ends, List<int> nodeTokens) = ([0], [0], [0], [-1]);
        var path = new List<int> { 0 };
        foreach (int token in tokens)
        {
            ReadOnlySpan<byte> bytes = tokenizer.GetBytes(token).Span;
            int shared = 0;
            while (shared < bytes.Length && shared + 1 < path.Count && labels[path[shared + 1]] == bytes[shared])
            {
                shared++;
            }

            Close(shared + 1);
            foreach (byte label in bytes[shared..])
            {
                labels.Add(label);
                depths.Add((byte)path.Count);
                ends.Add(0);
                nodeTokens.Add(-1);
                path.Add(labels.Count - 1);
            }

            _sameBytes[token] = nodeTokens[path[^1]];
            nodeTokens[path[^1]] = token;
        }

        Close(0);
        (_labels, _depths, _ends, _tokens) = ([.. labels], [.. depths], [.. ends], [.. nodeTokens]);
        for (int node = 1; node < _labels.Length; node = _ends[node])
        {
            _firstNodes[_labels[node]] = node;
        }

        void Close(int length)
        {
            for (int i = length; i < path.Count; i++)
            {
                ends[path[i]] = labels.Count;
            }

            path.RemoveRange(length, path.Count - length);
        }
    }

    public Tokenizer Tokenizer { get; }

    /// <summary>The tokens that end an answer.</summary>
    public IReadOnlyList<int> EndTokens { get; }

    public int NodeCount => _labels.Length;

    /// <summary>The node of one byte, or 0.</summary>
    public int FirstNode(byte label) => _firstNodes[label];

    /// <summary>The last byte of a node's text.</summary>
    public byte Label(int node) => _labels[node];

    /// <summary>Bytes of a node's text.</summary>
    public int Depth(int node) => _depths[node];

    /// <summary>The node after the last one below this one.</summary>
    public int End(int node) => _ends[node];

    /// <summary>The longest token that a text begins with, or -1.</summary>
    public int FindLongest(ReadOnlySpan<byte> text)
    {
        int found = -1;
        int node = 0;
        foreach (byte label in text)
        {
            int child = node + 1;
            while (child < _ends[node] && _labels[child] != label)
            {
                child = _ends[child];
            }

            if (child >= _ends[node])
            {
                break;
            }

            node = child;
            found = _tokens[node] >= 0 ? _tokens[node] : found;
        }

        return found;
    }

    /// <summary>Adds the tokens of exactly a node's bytes to a set.</summary>
    public void AddTokens(int node, Span<ulong> set)
    {
        for (int token = _tokens[node]; token >= 0; token = _sameBytes[token])
        {
            set[token >> 6] |= 1UL << token;
        }
    }
}
