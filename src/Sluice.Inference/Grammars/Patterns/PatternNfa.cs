namespace Sluice.Inference.Grammars.Patterns;

/// <summary>A pattern as states with one set of characters each, and with empty steps (Thompson's construction).</summary>
internal sealed class PatternNfa
{
    private readonly List<CharacterSet?> _sets = [];
    private readonly List<int> _targets = [];
    private readonly List<List<int>> _emptySteps = [];
    private int[] _marks = [];
    private int _mark;
    private int _partCount;

    public int Start { get; private set; }

    public int End { get; private set; }

    /// <exception cref="GrammarException">It has too many states.</exception>
    public static PatternNfa Build(PatternNode node)
    {
        var nfa = new PatternNfa();
        nfa.Start = nfa.AddState();
        nfa.End = nfa.Append(node, nfa.Start);
        nfa._marks = new int[nfa._sets.Count];
        return nfa;
    }

    /// <summary>First characters of the classes that the pattern never tells apart.</summary>
    public int[] ClassStarts() => [.. _sets.Distinct().SelectMany(static set => set?.Ranges ?? [])
        .SelectMany(static range => new[] { range.First, range.Last + 1 }).Append(0).Where(static start => start <= CharacterSet.Last)
        .Distinct().Order()];

    /// <summary>States after a character, sorted, with all that empty steps reach.</summary>
    public int[] Step(int[] states, int character, PatternBudget budget)
    {
        var next = new List<int>();
        foreach (int state in states)
        {
            if (_sets[state] is { } set && Contains(set, character))
            {
                next.Add(_targets[state]);
            }
        }

        budget.Spend(states.Length);
        return next.Count == 0 ? [] : Close([.. next], budget);
    }

    /// <summary>These states and all that empty steps reach, sorted; of those in between none.</summary>
    public int[] Close(int[] states, PatternBudget budget)
    {
        _mark++;
        var reached = new List<int>();
        var open = new Stack<int>(states);
        while (open.TryPop(out int state))
        {
            if (_marks[state] == _mark)
            {
                continue;
            }

            _marks[state] = _mark;
            if (_sets[state] != null || state == End)
            {
                reached.Add(state);
            }

            budget.Spend(1 + _emptySteps[state].Count);
            foreach (int next in _emptySteps[state])
            {
                open.Push(next);
            }
        }

        reached.Sort();
        return [.. reached];
    }

    private static bool Contains(CharacterSet set, int character)
    {
        // The first range that doesn't end before the character.
        (int low, int high) = (0, set.Ranges.Count);
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = set.Ranges[middle].Last < character ? (middle + 1, high) : (low, middle);
        }

        return low < set.Ranges.Count && character >= set.Ranges[low].First;
    }

    private static GrammarException TooLarge() =>
        new(FormattableString.Invariant($"the pattern has more than {GrammarLimits.PatternNfaStatesMax} parts"));

    private int AddState()
    {
        if (_sets.Count >= GrammarLimits.PatternNfaStatesMax)
        {
            throw TooLarge();
        }

        _sets.Add(null);
        _targets.Add(-1);
        _emptySteps.Add([]);
        return _sets.Count - 1;
    }

    // Returns the state after the node.
    private int Append(PatternNode node, int from)
    {
        // Repetitions of nothing add no states.
        if (++_partCount > 10 * GrammarLimits.PatternNfaStatesMax)
        {
            throw TooLarge();
        }

        int end;
        switch (node)
        {
            case PatternSet set:
                int before = AddState();
                end = AddState();
                _emptySteps[from].Add(before);
                _sets[before] = set.Characters;
                _targets[before] = end;
                return end;
            case PatternSequence sequence:
                foreach (PatternNode part in sequence.Parts)
                {
                    from = Append(part, from);
                }

                return from;
            case PatternChoice choice:
                end = AddState();
                foreach (PatternNode part in choice.Parts)
                {
                    int branch = AddState();
                    _emptySteps[from].Add(branch);
                    _emptySteps[Append(part, branch)].Add(end);
                }

                return end;
            case PatternAutomaton compiled:
                return AppendAutomaton(compiled.Automaton, from);
            default:
                return AppendRepeat((PatternRepeat)node, from);
        }
    }

    private int AppendAutomaton(PatternDfa automaton, int from)
    {
        int end = AddState();
        int[] states = [.. Enumerable.Range(0, automaton.StateCount).Select(_ => AddState())];
        _emptySteps[from].Add(states[0]);
        for (int state = 0; state < states.Length; state++)
        {
            foreach ((CharacterSet characters, int next) in automaton.StepsFrom(state))
            {
                int step = AddState();
                _emptySteps[states[state]].Add(step);
                _sets[step] = characters;
                _targets[step] = states[next];
            }

            if (automaton.IsAccepting(state))
            {
                _emptySteps[states[state]].Add(end);
            }
        }

        return end;
    }

    private int AppendRepeat(PatternRepeat repeat, int from)
    {
        for (int i = 0; i < repeat.Min; i++)
        {
            from = Append(repeat.Part, from);
        }

        int end = AddState();
        if (repeat.Max is not { } max)
        {
            int loop = AddState();
            _emptySteps[from].Add(loop);
            _emptySteps[Append(repeat.Part, loop)].Add(loop);
            _emptySteps[loop].Add(end);
            return end;
        }

        for (int i = repeat.Min; i < max; i++)
        {
            _emptySteps[from].Add(end);
            int next = AddState();
            _emptySteps[from].Add(next);
            from = Append(repeat.Part, next);
        }

        _emptySteps[from].Add(end);
        return end;
    }
}
