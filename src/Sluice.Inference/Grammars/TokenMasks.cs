using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars;

/// <summary>
/// The tokens that a grammar allows next. What a token does within one terminal depends on the terminal's state alone: that part is computed
/// once and kept, or looked up in the trie where few tokens can follow. Only tokens that go beyond the terminal are looked at anew, with
/// the stack that is there. Owned by one thread.
/// </summary>
internal sealed class TokenMasks(TokenTrie trie)
{
    private readonly Dictionary<(ByteMachine Machine, int State), TerminalMask> _terminals = [];
    private readonly ulong[] _mask = new ulong[(trie.Tokenizer.VocabularySize + 63) / 64];
    private readonly HashSet<(ByteMachine Machine, int State)> _counted = [];
    private readonly List<Frame> _peeked = [];
    private readonly Dictionary<int, (int From, int To)> _peeks = []; // What follows a frame, in _peeked.
    private readonly int[] _states = new int[GrammarLimits.TokenBytesMax + 1];
    private readonly List<int> _exits = [];
    private int _steps;
    private int _mark;

    public TokenTrie Trie => trie;

    /// <summary>Steps of the last <see cref="Find"/>: nodes of the trie, and those through the grammar, that were looked at.</summary>
    public int StepCount => _steps;

    /// <summary>Terminals whose masks have been computed since the start.</summary>
    public long ComputedCount { get; private set; }

    /// <summary>The set of allowed tokens as bits by id, with the tokens that end an answer where it may end. Valid until the next call.</summary>
    /// <returns>Empty when there is none: the vocabulary has no way to go on.</returns>
    /// <exception cref="GrammarException">Too much can follow one of the terminals.</exception>
    public ReadOnlySpan<ulong> Find(GrammarMatcher matcher)
    {
        Array.Clear(_mask);
        _steps = 0;
        _counted.Clear();
        _peeked.Clear();
        _peeks.Clear();
        _mark = matcher.Mark();
        for (int i = 0; i < matcher.Tops.Count && _steps < GrammarLimits.MaskStepsMax; i++)
        {
            Frame top = matcher.Tops[i];
            ByteMachine machine = matcher.Machine(top);
            if (machine is TokenMachine { Token: var token })
            {
                _mask[token >> 6] |= 1UL << token;
            }
            else if (machine.IsNarrow)
            {
                Walk(matcher, 0, top);
            }
            else
            {
                AddTerminal(matcher, machine, top);
            }
        }

        matcher.Forget(_mark);
        if (matcher.IsComplete)
        {
            foreach (int end in trie.EndTokens)
            {
                _mask[end >> 6] |= 1UL << end;
            }
        }

        return _mask.AsSpan().ContainsAnyExcept(0UL) ? _mask : [];
    }

    private void AddTerminal(GrammarMatcher matcher, ByteMachine machine, Frame top)
    {
        int state = machine.Canonicalize(top.Value, GrammarLimits.TokenBytesMax);
        TerminalMask terminal = FindTerminal(machine, state);
        if (_counted.Add((machine, state)))
        {
            // As if it had been computed now: a mask must not depend on what others have asked before.
            _steps += terminal.StepCount;
            for (int word = 0; word < _mask.Length; word++)
            {
                _mask[word] |= terminal.Tokens[word];
            }
        }

        if (terminal.Exits.Length > 0)
        {
            (int from, int to) = Peek(matcher, top.Parent);
            foreach (int exit in terminal.Exits)
            {
                WalkAll(matcher, exit, from, to);
            }
        }
    }

    // What can follow a terminal, found once however many tokens come to it.
    private (int From, int To) Peek(GrammarMatcher matcher, int parent)
    {
        if (_peeks.TryGetValue(parent, out (int From, int To) known))
        {
            return known;
        }

        if (matcher.Mark() - _mark > GrammarLimits.MaskFramesMax)
        {
            _steps = GrammarLimits.MaskStepsMax;
            return default;
        }

        int from = _peeked.Count;
        long before = matcher.StepCount;
        matcher.Peek(parent, _peeked);
        _steps += GrammarLimits.MaskStepsOfLook * (int)(matcher.StepCount - before);
        _peeks.Add(parent, (from, _peeked.Count));
        return (from, _peeked.Count);
    }

    private void WalkAll(GrammarMatcher matcher, int node, int from, int to)
    {
        for (int i = from; i < to && _steps < GrammarLimits.MaskStepsMax; i++)
        {
            Walk(matcher, node, _peeked[i]);
        }
    }

    // Adds the tokens below a node that a terminal, and what follows it, accepts.
    private void Walk(GrammarMatcher matcher, int node, Frame top)
    {
        ByteMachine machine = matcher.Machine(top);
        if (node == 0 && machine.NextByte(top.Value) is >= 0 and var only)
        {
            if (trie.FirstNode((byte)only) is > 0 and var first)
            {
                Enter(matcher, first, machine, top);
            }

            return;
        }

        int end = trie.End(node);
        for (int child = node + 1; child < end; child = trie.End(child))
        {
            Enter(matcher, child, machine, top);
        }
    }

    // The same for a node whose last byte is still to be taken.
    private void Enter(GrammarMatcher matcher, int node, ByteMachine machine, Frame top)
    {
        _steps++;
        int state = machine.Step(top.Value, trie.Label(node));
        if (state < 0)
        {
            return;
        }

        trie.AddTokens(node, _mask);
        if (trie.End(node) == node + 1)
        {
            return;
        }

        Walk(matcher, node, top with { Value = state });
        if (machine.IsAccepting(state))
        {
            (int from, int to) = Peek(matcher, top.Parent);
            WalkAll(matcher, node, from, to);
        }
    }

    private TerminalMask FindTerminal(ByteMachine machine, int state)
    {
        if (_terminals.TryGetValue((machine, state), out TerminalMask? found))
        {
            return found;
        }

        if (_terminals.Count >= GrammarLimits.CachedMasksMax)
        {
            _terminals.Clear();
        }

        found = Compute(machine, state);
        _terminals.Add((machine, state), found);
        ComputedCount++;
        return found;
    }

    private TerminalMask Compute(ByteMachine machine, int state)
    {
        var tokens = new ulong[_mask.Length];
        _exits.Clear();
        _states[0] = state;
        int steps = 0;
        for (int node = 1; node < trie.NodeCount;)
        {
            steps++;
            int depth = trie.Depth(node);
            int next = machine.Step(_states[depth - 1], trie.Label(node));
            if (next < 0)
            {
                node = trie.End(node);
                continue;
            }

            _states[depth] = next;
            trie.AddTokens(node, tokens);
            if (trie.End(node) > node + 1 && machine.IsAccepting(next))
            {
                _exits.Add(node);
            }

            node++;
        }

        return new TerminalMask(tokens, [.. _exits], steps);
    }

    /// <summary>What a terminal does with tokens in one of its states.</summary>
    /// <param name="Tokens">Those that end within it, as bits by id.</param>
    /// <param name="Exits">Nodes of the trie that complete it and have others below.</param>
    /// <param name="StepCount">Nodes of the trie that were looked at.</param>
    private sealed record TerminalMask(ulong[] Tokens, int[] Exits, int StepCount);
}
