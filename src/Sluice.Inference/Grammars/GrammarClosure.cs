namespace Sluice.Inference.Grammars;

/// <summary>
/// From what has ended, or is entered, to the terminals that can come next. A node with the frame after it is looked at once, by however
/// many ways it is reached, and every look is counted. Owned by one thread.
/// </summary>
internal sealed class GrammarClosure(Grammar grammar, FrameStore frames)
{
    // Up to so many tops a search through all of them is faster than a table.
    private const int PlainSearchMax = 24;

    // So many looks of a search are not written down: most searches are shorter, and two looks at the same cost less than the table.
    private const int PlainLooksMax = 32;

    // A larger table of looks is given away, for emptying it costs its size.
    private const int KeptLooksMax = 4096;

    private readonly Stack<(int Node, int Parent)> _open = new();
    private readonly HashSet<Frame> _seen = [];
    private HashSet<(int, int)> _looks = [];
    private int _lookCount;
    private long _stepCountMax;

    /// <summary>Steps since the start: looks at nodes and frames, and what <see cref="Spend"/> was told of.</summary>
    public long StepCount { get; private set; }

    /// <summary>Allows the next <see cref="GrammarLimits.AdvanceStepsMax"/> steps.</summary>
    public void Allow() => _stepCountMax = StepCount + GrammarLimits.AdvanceStepsMax;

    /// <summary>Counts other work.</summary>
    /// <exception cref="GrammarException">It is more than was allowed.</exception>
    public void Spend(int steps)
    {
        StepCount += steps;
        if (StepCount > _stepCountMax || frames.Count > GrammarLimits.FramesMax)
        {
            throw new GrammarException("too many alternatives are open at the same place; give those that begin alike a property that tells "
                + "them apart, or fewer of them");
        }
    }

    /// <summary>Forgets what has been looked at: a new list of tops begins.</summary>
    public void Begin()
    {
        _open.Clear();
        _lookCount = 0;
        if (_looks.Count > KeptLooksMax)
        {
            _looks = [];
        }

        _looks.Clear();
    }

    /// <summary>Enters a node.</summary>
    /// <param name="node">Its index.</param>
    /// <param name="parent">The frame that goes on after it.</param>
    /// <param name="tops">Receives the terminals, from index <paramref name="from"/> on each once.</param>
    /// <param name="from">Index of the first one of this list.</param>
    /// <returns>Whether there may be nothing left to do.</returns>
    public bool Enter(int node, int parent, List<Frame> tops, int from)
    {
        _open.Push((node, parent));
        return EnterOpen(tops, from);
    }

    /// <summary>Goes on with what a frame says, as <see cref="Enter"/> does.</summary>
    public bool Leave(int frame, List<Frame> tops, int from)
    {
        bool completed = Resume(frame);
        return EnterOpen(tops, from) || completed;
    }

    /// <summary>Adds a terminal that isn't there yet.</summary>
    public void AddTop(List<Frame> tops, int from, Frame top)
    {
        int count = tops.Count - from;
        if (count >= GrammarLimits.PositionsMax)
        {
            return;
        }

        if (count < PlainSearchMax)
        {
            for (int i = from; i < tops.Count; i++)
            {
                if (tops[i] == top)
                {
                    return;
                }
            }
        }
        else
        {
            if (count == PlainSearchMax)
            {
                _seen.Clear();
                for (int i = from; i < tops.Count; i++)
                {
                    _seen.Add(tops[i]);
                }
            }

            if (!_seen.Add(top))
            {
                return;
            }
        }

        tops.Add(top);
    }

    private bool EnterOpen(List<Frame> tops, int from)
    {
        bool completed = false;
        while (_open.TryPop(out (int Node, int Parent) entry))
        {
            if (!IsNew(entry.Node, entry.Parent))
            {
                continue;
            }

            GrammarNode node = grammar.Node(entry.Node);
            switch (node.Kind)
            {
                case GrammarNodeKind.Machine:
                    int start = node.Machine!.Start;
                    if (node.Machine.CanStep(start))
                    {
                        AddTop(tops, from, new Frame(entry.Node, start, entry.Parent));
                    }

                    if (node.Machine.IsAccepting(start))
                    {
                        completed |= Resume(entry.Parent);
                    }

                    break;
                case GrammarNodeKind.Sequence:
                    completed |= EnterPart(entry.Node, node, 0, entry.Parent);
                    break;
                case GrammarNodeKind.Choice:
                    for (int i = node.Children.Length - 1; i >= 0; i--)
                    {
                        _open.Push((node.Children[i], entry.Parent));
                    }

                    break;
                default:
                    completed |= EnterRepeat(entry.Node, node, 0, entry.Parent);
                    break;
            }
        }

        return completed;
    }

    // Opens what a frame says. Returns whether there is nothing left to do.
    private bool Resume(int frame)
    {
        if (frame == FrameStore.Bottom)
        {
            return true;
        }

        // What it completed the first time counts for the whole search.
        if (!IsNew(-1, frame))
        {
            return false;
        }

        (int index, int value, int parent) = frames[frame];
        GrammarNode node = grammar.Node(index);
        return node.Kind == GrammarNodeKind.Sequence ? EnterPart(index, node, value, parent) : EnterRepeat(index, node, value, parent);
    }

    // The last part of a sequence goes on with what follows the sequence, so that chains don't grow stacks.
    private bool EnterPart(int index, GrammarNode node, int part, int parent)
    {
        if (part == node.Children.Length)
        {
            return Resume(parent);
        }

        _open.Push((node.Children[part], part + 1 == node.Children.Length ? parent : frames.Intern(index, part + 1, parent)));
        return false;
    }

    // Without a maximum only the minimum is counted.
    private bool EnterRepeat(int index, GrammarNode node, int count, int parent)
    {
        if (count < node.Max)
        {
            int next = node.Max == int.MaxValue ? Math.Min(count + 1, node.Min) : count + 1;
            _open.Push((node.Children[0], frames.Intern(index, next, parent)));
        }

        return count >= node.Min && Resume(parent);
    }

    private bool IsNew(int node, int parent)
    {
        Spend(1);
        return ++_lookCount <= PlainLooksMax || _looks.Add((node, parent));
    }
}
