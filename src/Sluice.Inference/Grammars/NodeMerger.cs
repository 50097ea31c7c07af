using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars;

/// <summary>
/// Makes equal nodes one, choices between equal parts that part, and leaves out what the root doesn't reach: alternatives that mean the same
/// are then never open beside each other. Nodes that contain themselves are equal only where they are the same.
/// </summary>
internal sealed class NodeMerger
{
    private const int Unseen = -1;
    private const int Open = -2;
    private readonly GrammarNode[] _nodes;
    private readonly int[] _numbers; // The new number of each node, or one of the above.
    private readonly Dictionary<int, int> _reserved = []; // Numbers of nodes that were referred to while they were open.
    private readonly Dictionary<NodeContent, int> _known = [];
    private readonly List<GrammarNode?> _merged = [];

    private NodeMerger(GrammarNode[] nodes)
    {
        _nodes = nodes;
        _numbers = new int[nodes.Length];
        Array.Fill(_numbers, Unseen);
    }

    public static (GrammarNode[] Nodes, int Root) Merge(GrammarNode[] nodes, int root)
    {
        var merger = new NodeMerger(nodes);
        merger.Visit(root);
        return ([.. merger._merged.Select(static node => node!)], merger._numbers[root]);
    }

    // Children before parents, without recursion.
    private void Visit(int root)
    {
        var path = new Stack<(int Node, int Next)>();
        path.Push((root, 0));
        _numbers[root] = Open;
        while (path.TryPop(out (int Node, int Next) at))
        {
            int[] children = _nodes[at.Node].Children;
            if (at.Next == children.Length)
            {
                _numbers[at.Node] = Close(at.Node);
                continue;
            }

            path.Push((at.Node, at.Next + 1));
            int child = children[at.Next];
            if (_numbers[child] == Unseen)
            {
                _numbers[child] = Open;
                path.Push((child, 0));
            }
            else if (_numbers[child] == Open && !_reserved.ContainsKey(child))
            {
                _merged.Add(null);
                _reserved.Add(child, _merged.Count - 1);
            }
        }
    }

    private int Close(int index)
    {
        GrammarNode node = _nodes[index];
        IEnumerable<int> numbers = node.Children.Select(child => _numbers[child] >= 0 ? _numbers[child] : _reserved[child]);
        int[] children = [.. node.Kind == GrammarNodeKind.Choice ? numbers.Distinct() : numbers];
        bool isReserved = _reserved.TryGetValue(index, out int number);
        if (children.Length == 1 && !isReserved && node.Kind is GrammarNodeKind.Choice or GrammarNodeKind.Sequence)
        {
            return children[0];
        }

        node = node with { Children = children };
        var content = new NodeContent(node);
        if (!isReserved)
        {
            if (_known.TryGetValue(content, out int known))
            {
                return known;
            }

            number = _merged.Count;
            _merged.Add(null);
        }

        _merged[number] = node;
        _known.TryAdd(content, number);
        return number;
    }

    private readonly struct NodeContent(GrammarNode node) : IEquatable<NodeContent>
    {
        private GrammarNode Node { get; } = node;

        public bool Equals(NodeContent other) => Node.Kind == other.Node.Kind && ReferenceEquals(Node.Machine, other.Node.Machine)
            && Node.Min == other.Node.Min && Node.Max == other.Node.Max && Node.Children.AsSpan().SequenceEqual(other.Node.Children);

        public override bool Equals(object? obj) => obj is NodeContent other && Equals(other);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.Add(Node.Kind);
            hash.Add<ByteMachine?>(Node.Machine);
            hash.Add(Node.Min);
            hash.Add(Node.Max);
            foreach (int child in Node.Children)
            {
                hash.Add(child);
            }

            return hash.ToHashCode();
        }
    }
}
