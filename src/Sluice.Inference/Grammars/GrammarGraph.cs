using System.Text;
using Sluice.Inference.Grammars.Machines;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars;

/// <summary>Nodes while a grammar is being made. Nodes may refer to one another in circles.</summary>
internal sealed class GrammarGraph
{
    private static readonly GrammarNode s_unset = new(GrammarNodeKind.Choice, []);
    private readonly List<GrammarNode> _nodes = [];
    private readonly Dictionary<ByteMachine, int> _machines = [];
    private readonly Dictionary<string, int> _literals = [];
    private readonly Dictionary<int, string[]> _places = []; // Of reserved nodes that stand for a place in a schema.
    private int _literalBytes;

    /// <summary>What all patterns together may still cost.</summary>
    public PatternBudget Budget { get; } = new();

    public int Machine(ByteMachine machine)
    {
        if (!_machines.TryGetValue(machine, out int node))
        {
            node = Add(new GrammarNode(GrammarNodeKind.Machine, [], machine));
            _machines.Add(machine, node);
        }

        return node;
    }

    public int Literal(params IReadOnlyList<byte[]> texts)
    {
        _literalBytes += texts.Sum(static text => text.Length);
        if (_literalBytes > GrammarLimits.LiteralBytesMax)
        {
            throw new GrammarException(FormattableString.Invariant(
                $"the names and values together have more than {GrammarLimits.LiteralBytesMax} bytes"));
        }

        // The same name or value is the same node, so that alternatives of equal parts are found to be equal.
        string? key = texts.Count == 1 ? Encoding.Latin1.GetString(texts[0]) : null;
        if (key != null && _literals.TryGetValue(key, out int known))
        {
            return known;
        }

        int node = Machine(new LiteralMachine(texts));
        if (key != null)
        {
            _literals.Add(key, node);
        }

        return node;
    }

    public int Sequence(params int[] parts) => Add(new GrammarNode(GrammarNodeKind.Sequence, parts));

    public int Choice(params int[] parts) => Add(new GrammarNode(GrammarNodeKind.Choice, parts));

    public int Repeat(int part, int min, int max) => Add(new GrammarNode(GrammarNodeKind.Repeat, [part], Min: min, Max: max));

    /// <summary>The nodes of a grammar that has been made already.</summary>
    public int Include(Grammar grammar)
    {
        int offset = _nodes.Count;
        for (int i = 0; i < grammar.NodeCount; i++)
        {
            GrammarNode node = grammar.Node(i);
            Add(node with { Children = [.. node.Children.Select(child => child + offset)] });
        }

        return grammar.Root + offset;
    }

    /// <summary>A node that is given its meaning later.</summary>
    /// <param name="place">The place in a schema that it stands for; null for none.</param>
    public int Reserve(string[]? place = null)
    {
        int node = Add(s_unset);
        if (place != null)
        {
            _places.Add(node, place);
        }

        return node;
    }

    /// <summary>Lets a reserved node mean another one.</summary>
    public void Set(int reserved, int meaning) => _nodes[reserved] = new GrammarNode(GrammarNodeKind.Choice, [meaning]);

    /// <summary>Ends the making: parts that nothing can match are taken out of choices, and equal parts are made one.</summary>
    /// <exception cref="GrammarException">
    /// Nothing can match the whole, or it never ends, or contains itself with nothing before, or has too many beginnings.
    /// </exception>
    public Grammar Build(int root)
    {
        bool[] matchable = FindMatchable();
        if (!matchable[root])
        {
            throw new GrammarException("no value can ever satisfy it");
        }

        var nodes = new GrammarNode[_nodes.Count];
        for (int i = 0; i < nodes.Length; i++)
        {
            GrammarNode node = _nodes[i];
            nodes[i] = node.Kind switch
            {
                GrammarNodeKind.Choice => node with { Children = [.. node.Children.Where(child => matchable[child])] },
                GrammarNodeKind.Repeat when !matchable[node.Children[0]] => new GrammarNode(GrammarNodeKind.Sequence, []),
                _ => node,
            };
        }

        CheckLeftEnds(nodes);
        (nodes, root) = NodeMerger.Merge(nodes, root);
        var grammar = new Grammar(nodes, root);

        // Here the client is told before its answer begins, and the engine's thread can rely on it.
        _ = new GrammarMatcher(grammar);
        return grammar;
    }

    private int Add(GrammarNode node)
    {
        if (_nodes.Count >= GrammarLimits.NodesMax)
        {
            throw new GrammarException(FormattableString.Invariant($"it has more than {GrammarLimits.NodesMax} parts"));
        }

        _nodes.Add(node);
        return _nodes.Count - 1;
    }

    // Nodes that match some finite text, from the terminals upwards.
    private bool[] FindMatchable()
    {
        var parents = new List<int>?[_nodes.Count];
        var missing = new int[_nodes.Count];
        var matchable = new bool[_nodes.Count];
        var open = new Stack<int>();
        for (int i = 0; i < _nodes.Count; i++)
        {
            GrammarNode node = _nodes[i];
            missing[i] = node.Kind switch
            {
                GrammarNodeKind.Machine => 0,
                GrammarNodeKind.Sequence => node.Children.Length,
                GrammarNodeKind.Repeat => node.Min == 0 ? 0 : 1,
                _ => 1,
            };
            foreach (int child in node.Children)
            {
                (parents[child] ??= []).Add(i);
            }

            if (missing[i] == 0)
            {
                matchable[i] = true;
                open.Push(i);
            }
        }

        while (open.TryPop(out int child))
        {
            foreach (int parent in parents[child] ?? [])
            {
                if (--missing[parent] <= 0 && !matchable[parent])
                {
                    matchable[parent] = true;
                    open.Push(parent);
                }
            }
        }

        return matchable;
    }

    // A node that begins with itself, or repeats nothing, would be entered without end.
    private void CheckLeftEnds(GrammarNode[] nodes)
    {
        bool[] empty = FindEmpty(nodes);
        var states = new byte[nodes.Length];
        var path = new Stack<(int Node, int Next)>();
        for (int start = 0; start < nodes.Length; start++)
        {
            if (states[start] == 0)
            {
                path.Push((start, 0));
                states[start] = 1;
            }

            while (path.TryPop(out (int Node, int Next) at))
            {
                GrammarNode node = nodes[at.Node];
                if (node.Kind == GrammarNodeKind.Repeat && empty[node.Children[0]])
                {
                    throw new GrammarException("a part that can be empty is repeated");
                }

                bool goesOn = at.Next < node.Children.Length
                    && (node.Kind != GrammarNodeKind.Sequence || at.Next == 0 || empty[node.Children[at.Next - 1]]);
                if (!goesOn)
                {
                    states[at.Node] = 2;
                    continue;
                }

                int child = node.Children[at.Next];
                path.Push((at.Node, at.Next + 1));
                if (states[child] == 1)
                {
                    throw new GrammarException(
                        FindPlace(path.Select(static step => step.Node), child), "it refers to itself with nothing in between");
                }

                if (states[child] == 0)
                {
                    states[child] = 1;
                    path.Push((child, 0));
                }
            }
        }
    }

    // Of nodes that lead to one another, the innermost first and up to the last one, a place in the schema that is one of them.
    private string[] FindPlace(IEnumerable<int> circle, int last)
    {
        foreach (int node in circle)
        {
            if (_places.TryGetValue(node, out string[]? place))
            {
                return place;
            }

            if (node == last)
            {
                break;
            }
        }

        return [];
    }

    private static bool[] FindEmpty(GrammarNode[] nodes)
    {
        var empty = new bool[nodes.Length];
        for (bool changed = true; changed;)
        {
            changed = false;
            for (int i = 0; i < nodes.Length; i++)
            {
                GrammarNode node = nodes[i];
                bool isEmpty = node.Kind switch
                {
                    GrammarNodeKind.Machine => node.Machine!.IsAccepting(node.Machine.Start),
                    GrammarNodeKind.Sequence => node.Children.All(child => empty[child]),
                    GrammarNodeKind.Choice => node.Children.Any(child => empty[child]),
                    _ => node.Min == 0 || empty[node.Children[0]],
                };
                changed |= isEmpty && !empty[i];
                empty[i] |= isEmpty;
            }
        }

        return empty;
    }
}
