namespace Sluice.Inference.Grammars.Machines;

/// <summary>Any of some byte strings, as a trie.</summary>
internal sealed class LiteralMachine : ByteMachine
{
    private readonly int[] _firstEdge; // Edges of state i are [_firstEdge[i], _firstEdge[i + 1]), sorted by byte.
    private readonly byte[] _labels;
    private readonly int[] _targets;
    private readonly bool[] _accepting;

    /// <param name="literals">At least one.</param>
    public LiteralMachine(params IReadOnlyList<byte[]> literals)
    {
        var children = new List<SortedDictionary<byte, int>> { new() };
        var ends = new HashSet<int>();
        foreach (byte[] literal in literals)
        {
            int state = 0;
            foreach (byte value in literal)
            {
                if (!children[state].TryGetValue(value, out int next))
                {
                    next = children.Count;
                    children[state].Add(value, next);
                    children.Add([]);
                }

                state = next;
            }

            ends.Add(state);
        }

        _firstEdge = new int[children.Count + 1];
        _labels = new byte[children.Count - 1];
        _targets = new int[children.Count - 1];
        _accepting = new bool[children.Count];
        int edge = 0;
        for (int state = 0; state < children.Count; state++)
        {
            _firstEdge[state] = edge;
            _accepting[state] = ends.Contains(state);
            foreach ((byte label, int target) in children[state])
            {
                _labels[edge] = label;
                _targets[edge++] = target;
            }
        }

        _firstEdge[^1] = edge;
    }

    public override int Start => 0;

    public override int Step(int state, byte value)
    {
        int first = _firstEdge[state];
        int index = _labels.AsSpan(first, _firstEdge[state + 1] - first).IndexOf(value);
        return index < 0 ? Dead : _targets[first + index];
    }

    public override bool IsAccepting(int state) => _accepting[state];

    public override int NextByte(int state) => (_firstEdge[state + 1] - _firstEdge[state]) switch
    {
        0 => NoByte,
        1 => _labels[_firstEdge[state]],
        _ => ManyBytes,
    };
}
