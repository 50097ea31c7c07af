using System.Text;

namespace Sluice.Inference.Grammars.Patterns;

/// <summary>
/// A deterministic automaton over code points. State 0 is the start; every state leads to an accepting one. Immutable.
/// </summary>
internal sealed class PatternDfa
{
    /// <summary>In place of the only next character: there is none.</summary>
    public const int NoCharacter = -1;

    /// <summary>In place of the only next character: there are several.</summary>
    public const int ManyCharacters = -2;

    private readonly int[] _starts; // First code point of each class, from 0.
    private readonly int[] _steps; // (state, class); -1 is none.
    private readonly bool[] _accepting;
    private readonly ushort[] _asciiClasses = new ushort[128];

    private PatternDfa(int[] starts, int[] steps, bool[] accepting)
    {
        _starts = starts;
        _steps = steps;
        _accepting = accepting;
        for (int character = 0; character < _asciiClasses.Length; character++)
        {
            _asciiClasses[character] = (ushort)Search(character);
        }
    }

    public int StateCount => _accepting.Length;

    /// <summary>Makes a pattern deterministic.</summary>
    /// <param name="node">What to accept.</param>
    /// <param name="budget">Shared by all patterns of a grammar.</param>
    /// <returns>Null when it accepts nothing.</returns>
    /// <exception cref="GrammarException">It is too large.</exception>
    public static PatternDfa? Compile(PatternNode node, PatternBudget budget)
    {
        PatternNfa nfa = PatternNfa.Build(PatternLooks.Resolve(node, budget));
        int[] starts = nfa.ClassStarts();
        var states = new Dictionary<StateSet, int>();
        var sets = new List<StateSet>();
        var steps = new List<int>();
        Add(nfa.Close([nfa.Start], budget));
        for (int state = 0; state < sets.Count; state++)
        {
            foreach (int start in starts)
            {
                int[] next = nfa.Step(sets[state].Members, start, budget);
                steps.Add(next.Length == 0 ? -1 : Add(next));
            }
        }

        return Trim(starts, [.. steps], [.. sets.Select(set => Array.IndexOf(set.Members, nfa.End) >= 0)]);

        int Add(int[] members)
        {
            var set = new StateSet(members);
            if (!states.TryGetValue(set, out int index))
            {
                index = sets.Count;
                CheckCount(index + 1);
                states.Add(set, index);
                sets.Add(set);
            }

            return index;
        }
    }

    /// <summary>The texts of a number of characters.</summary>
    public static PatternDfa OfLength(int min, int? max)
    {
        int last = max ?? min;
        CheckCount(last + 1);
        int[] steps = [.. Enumerable.Range(0, last + 1).Select(count => count < last ? count + 1 : max is null ? count : -1)];
        return new PatternDfa([0], steps, [.. Enumerable.Range(0, last + 1).Select(count => count >= min)]);
    }

    /// <summary>Every text but these.</summary>
    /// <param name="texts">Well-formed.</param>
    /// <param name="budget">Shared by all patterns of a grammar.</param>
    /// <exception cref="GrammarException">It is too large.</exception>
    public static PatternDfa Except(IReadOnlyList<string> texts, PatternBudget budget)
    {
        var children = new List<Dictionary<int, int>> { new() };
        var ends = new HashSet<int>();
        foreach (string text in texts)
        {
            int state = 0;
            foreach (int rune in text.EnumerateRunes().Select(static rune => rune.Value))
            {
                if (!children[state].TryGetValue(rune, out int next))
                {
                    next = children.Count;
                    CheckCount(next + 2);
                    children[state].Add(rune, next);
                    children.Add([]);
                }

                state = next;
            }

            ends.Add(state);
        }

        int other = children.Count;
        int[] starts = [.. children.SelectMany(edges => edges.Keys).SelectMany(rune => new[] { rune, rune + 1 }).Append(0).Distinct().Order()];
        budget.Spend((other + 1) * starts.Length);
        int[] steps = [.. Enumerable.Range(0, other + 1).SelectMany(state => starts.Select(start =>
            state < other && children[state].TryGetValue(start, out int next) ? next : other))];
        return new PatternDfa(starts, steps, [.. Enumerable.Range(0, other + 1).Select(state => !ends.Contains(state))]);
    }

    /// <summary>An automaton written out; null when it accepts nothing.</summary>
    /// <param name="stateCount">Number of states.</param>
    /// <param name="step">The next state for a state and a character.</param>
    /// <param name="isAccepting">Which states accept.</param>
    /// <param name="characters">The characters that it knows, all ASCII.</param>
    public static PatternDfa? Of(int stateCount, string characters, Func<int, char, int> step, Func<int, bool> isAccepting)
    {
        CheckCount(stateCount);
        int[] starts = [.. characters.SelectMany(character => new int[] { character, character + 1 }).Append(0).Distinct().Order()];
        int[] steps = [.. Enumerable.Range(0, stateCount).SelectMany(state => starts.Select(start =>
            start < 128 && characters.Contains((char)start) ? step(state, (char)start) : -1))];
        return Trim(starts, steps, [.. Enumerable.Range(0, stateCount).Select(isAccepting)]);
    }

    /// <summary>What both accept; null when that is nothing.</summary>
    public PatternDfa? Intersect(PatternDfa other, PatternBudget budget) => Combine(other, budget, isWithout: false);

    // Without another one: where that leads nowhere, and where it doesn't accept.
    private PatternDfa? Combine(PatternDfa other, PatternBudget budget, bool isWithout)
    {
        int[] starts = [.. _starts.Concat(other._starts).Distinct().Order()];
        int[] own = [.. starts.Select(ClassOf)];
        int[] others = [.. starts.Select(other.ClassOf)];
        var states = new Dictionary<(int, int), int> { [(0, 0)] = 0 };
        var pairs = new List<(int Own, int Other)> { (0, 0) };
        var steps = new List<int>();
        for (int state = 0; state < pairs.Count; state++)
        {
            budget.Spend(starts.Length);
            for (int i = 0; i < starts.Length; i++)
            {
                (int, int) next = (_steps[(pairs[state].Own * _starts.Length) + own[i]],
                    pairs[state].Other < 0 ? -1 : other._steps[(pairs[state].Other * other._starts.Length) + others[i]]);
                if (next.Item1 < 0 || (next.Item2 < 0 && !isWithout))
                {
                    steps.Add(-1);
                    continue;
                }

                if (!states.TryGetValue(next, out int index))
                {
                    index = pairs.Count;
                    CheckCount(index + 1);
                    states.Add(next, index);
                    pairs.Add(next);
                }

                steps.Add(index);
            }
        }

        return Trim(starts, [.. steps], [.. pairs.Select(pair =>
            _accepting[pair.Own] && (pair.Other >= 0 && other._accepting[pair.Other]) != isWithout)]);
    }

    /// <summary>What this one accepts and another doesn't; null when that is nothing.</summary>
    public PatternDfa? Subtract(PatternDfa other, PatternBudget budget) => Combine(other, budget, isWithout: true);

    /// <summary>Whether a text is accepted.</summary>
    public bool Accepts(string text)
    {
        int state = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            state = Step(state, rune.Value);
            if (state < 0)
            {
                return false;
            }
        }

        return IsAccepting(state);
    }

    public int Step(int state, int character) => _steps[(state * _starts.Length) + ClassOf(character)];

    public bool IsAccepting(int state) => _accepting[state];

    /// <summary>The only character that can follow, <see cref="NoCharacter"/> or <see cref="ManyCharacters"/>.</summary>
    public int OnlyCharacter(int state)
    {
        int found = NoCharacter;
        ReadOnlySpan<int> steps = _steps.AsSpan(state * _starts.Length, _starts.Length);
        for (int i = 0; i < steps.Length; i++)
        {
            if (steps[i] >= 0)
            {
                bool isOne = found == NoCharacter && (i + 1 < _starts.Length ? _starts[i + 1] : CharacterSet.Last + 1) == _starts[i] + 1;
                if (!isOne)
                {
                    return ManyCharacters;
                }

                found = _starts[i];
            }
        }

        return found;
    }

    /// <summary>The states that can follow one, each with the characters that lead there.</summary>
    public IEnumerable<(CharacterSet Characters, int Next)> StepsFrom(int state) => Enumerable.Range(0, _starts.Length)
        .Select(index => (First: _starts[index], Last: (index + 1 < _starts.Length ? _starts[index + 1] : CharacterSet.Last + 1) - 1,
            Next: _steps[(state * _starts.Length) + index]))
        .Where(static step => step.Next >= 0)
        .GroupBy(static step => step.Next)
        .Select(static steps => (CharacterSet.Of(steps.Select(static step => (step.First, step.Last))), steps.Key));

    /// <summary>Whether any character of a range leads on.</summary>
    public bool HasStep(int state, int first, int last)
    {
        ReadOnlySpan<int> steps = _steps.AsSpan(state * _starts.Length, _starts.Length);
        for (int i = ClassOf(first); i < steps.Length && _starts[i] <= last; i++)
        {
            if (steps[i] >= 0)
            {
                return true;
            }
        }

        return false;
    }

    private static void CheckCount(int count)
    {
        if (count > GrammarLimits.PatternStatesMax)
        {
            throw new GrammarException(FormattableString.Invariant(
                $"the pattern, or the pattern together with other bounds, needs more than {GrammarLimits.PatternStatesMax} states"));
        }
    }

    // Drops states that lead nowhere and gives the others new numbers.
    private static PatternDfa? Trim(int[] starts, int[] steps, bool[] accepting)
    {
        int count = accepting.Length;
        var sources = new List<int>?[count];
        for (int i = 0; i < steps.Length; i++)
        {
            if (steps[i] >= 0)
            {
                (sources[steps[i]] ??= []).Add(i / starts.Length);
            }
        }

        var alive = (bool[])accepting.Clone();
        var open = new Stack<int>(Enumerable.Range(0, count).Where(state => accepting[state]));
        while (open.TryPop(out int state))
        {
            foreach (int source in sources[state] ?? [])
            {
                if (!alive[source])
                {
                    alive[source] = true;
                    open.Push(source);
                }
            }
        }

        if (!alive[0])
        {
            return null;
        }

        int[] kept = [.. Enumerable.Range(0, count).Where(state => alive[state])];
        var renamed = new int[count];
        for (int i = 0; i < kept.Length; i++)
        {
            renamed[kept[i]] = i;
        }

        int[] trimmed = [.. kept.SelectMany(state => steps.Skip(state * starts.Length).Take(starts.Length))
            .Select(next => next >= 0 && alive[next] ? renamed[next] : -1)];
        return new PatternDfa(starts, trimmed, [.. kept.Select(state => accepting[state])]);
    }

    private int ClassOf(int character) => character < _asciiClasses.Length ? _asciiClasses[character] : Search(character);

    private int Search(int character)
    {
        int index = Array.BinarySearch(_starts, character);
        return index >= 0 ? index : ~index - 1;
    }

    private sealed record StateSet(int[] Members)
    {
        public bool Equals(StateSet? other) => other != null && Members.AsSpan().SequenceEqual(other.Members);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            foreach (int member in Members)
            {
                hash.Add(member);
            }

            return hash.ToHashCode();
        }
    }
}
