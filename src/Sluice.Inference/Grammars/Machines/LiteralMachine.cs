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
        byte[][] sorted = [.. literals];
        Texts = sorted;
        Array.Sort(sorted, static (a, b) => a.AsSpan().SequenceCompareTo(b));
        (List<int> firstEdge, List<byte> labels, List<int> targets, List<bool> accepting) = ([], [], [], []);

        // A state is the literals with the same beginning, which are neighbours, and its length.
        var states = new List<(int First, int End, int Length)> { (0, sorted.Length, 0) };
        for (int state = 0; state < states.Count; state++)
        {
            (int first, int end, int length) = states[state];
            firstEdge.Add(labels.Count);
            accepting.Add(sorted[first].Length == length);
            while (first < end && sorted[first].Length == length)
            {
                first++;
            }

            while (first < end)
            {
                byte label = sorted[first][length];
                int next = first;
                while (next < end && sorted[next][length] == label)
                {
                    next++;
                }

                labels.Add(label);
                targets.Add(states.Count);
                states.Add((first, next, length + 1));
                first = next;
            }
        }

        firstEdge.Add(labels.Count);
        (_firstEdge, _labels, _targets, _accepting) = ([.. firstEdge], [.. labels], [.. targets], [.. accepting]);
    }

    /// <summary>The strings, sorted.</summary>
    public IReadOnlyList<byte[]> Texts { get; }

    public override int Start => 0;

    public override bool IsNarrow => true;

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
