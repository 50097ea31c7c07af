using System.Buffers;
using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars;

/// <summary>
/// How far one answer has come in its grammar: every terminal that its bytes may be in the middle of, each with what follows it. Owned by one
/// thread. After warming up nothing is allocated, but for the stacks that nested values need.
/// </summary>
internal sealed class GrammarMatcher
{
    // Up to so many tops a search through all of them is faster than a table.
    private const int PlainSearchMax = 24;

    // Frames that are kept without looking for those that no longer matter.
    private const int FrameCountFirst = 4096;

    private readonly Grammar _grammar;
    private readonly FrameStore _frames = new();
    private readonly Stack<(int Node, int Parent)> _open = new();
    private readonly HashSet<Frame> _seen = [];
    private List<Frame> _tops = [];
    private List<Frame> _next = [];
    private List<Frame> _saved = [];
    private int _frameCountMax = FrameCountFirst;

    public GrammarMatcher(Grammar grammar)
    {
        _grammar = grammar;
        _open.Push((grammar.Root, FrameStore.Bottom));
        IsComplete = Enter(_tops, 0);
    }

    /// <summary>The terminals that can go on: node, state of its machine, and the frame after it.</summary>
    public IReadOnlyList<Frame> Tops => _tops;

    /// <summary>Whether the answer may end here.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Whether it has to: no byte can follow.</summary>
    public bool IsExhausted => _tops.Count == 0;

    public ByteMachine Machine(Frame top) => _grammar.Node(top.Node).Machine!;

    /// <summary>Takes bytes up. Changes nothing when they don't fit.</summary>
    public bool TryAdvance(ReadOnlySpan<byte> bytes)
    {
        (int frames, bool wasComplete) = (_frames.Count, IsComplete);
        Save();
        foreach (byte value in bytes)
        {
            if (!Step(value))
            {
                Restore(frames, wasComplete);
                return false;
            }
        }

        if (_frames.Count > _frameCountMax)
        {
            _frames.Compact(_tops);
            _frameCountMax = Math.Max(FrameCountFirst, 2 * _frames.Count);
        }

        return true;
    }

    /// <summary>Takes up a token without text. Changes nothing when it doesn't fit.</summary>
    public bool TryAdvance(int token)
    {
        _next.Clear();
        bool completed = false;
        bool fits = false;
        foreach (Frame top in _tops)
        {
            if (Machine(top) is TokenMachine machine && machine.Token == token)
            {
                fits = true;
                completed |= Resume(top.Parent);
                completed |= Enter(_next, 0);
            }
        }

        if (fits)
        {
            (_tops, _next) = (_next, _tops);
            IsComplete = completed;
        }

        return fits;
    }

    /// <summary>Writes the bytes that can't but follow, as far as there is one way only.</summary>
    /// <returns>Whether the answer has to end after them.</returns>
    public bool WriteForced(ArrayBufferWriter<byte> output)
    {
        (int frames, bool wasComplete) = (_frames.Count, IsComplete);
        Save();
        while (!IsComplete && output.WrittenCount < GrammarLimits.ForcedBytesMax && NextByte() is >= 0 and var value)
        {
            output.Write([(byte)value]);
            Step((byte)value);
        }

        bool isExhausted = IsExhausted;
        Restore(frames, wasComplete);
        return isExhausted;
    }

    /// <summary>
    /// Adds what can follow a completed terminal, as <see cref="Tops"/> has it, and forgets it again with <see cref="Forget"/>: the stacks of
    /// texts that are only looked at.
    /// </summary>
    /// <param name="parent">The frame after the terminal.</param>
    /// <param name="tops">Receives them, behind what is there.</param>
    public void Peek(int parent, List<Frame> tops)
    {
        int from = tops.Count;
        Resume(parent);
        _ = Enter(tops, from);
    }

    /// <summary>Number of frames, for <see cref="Forget"/>.</summary>
    public int Mark() => _frames.Count;

    public void Forget(int mark) => _frames.Rewind(mark);

    private void Save()
    {
        _saved.Clear();
        _saved.AddRange(_tops);
    }

    private void Restore(int frames, bool wasComplete)
    {
        _frames.Rewind(frames);
        (_tops, _saved) = (_saved, _tops);
        IsComplete = wasComplete;
    }

    private bool Step(byte value)
    {
        _next.Clear();
        bool completed = false;
        foreach (Frame top in _tops)
        {
            ByteMachine machine = Machine(top);
            int state = machine.Step(top.Value, value);
            if (state < 0)
            {
                continue;
            }

            if (machine.CanStep(state))
            {
                AddTop(_next, 0, top with { Value = state });
            }

            if (machine.IsAccepting(state))
            {
                completed |= Resume(top.Parent);
                completed |= Enter(_next, 0);
            }
        }

        if (_next.Count == 0 && !completed)
        {
            return false;
        }

        (_tops, _next) = (_next, _tops);
        IsComplete = completed;
        return true;
    }

    private int NextByte()
    {
        int found = ByteMachine.NoByte;
        foreach (Frame top in _tops)
        {
            int value = Machine(top).NextByte(top.Value);
            if (value == ByteMachine.ManyBytes || (found >= 0 && value != found))
            {
                return ByteMachine.ManyBytes;
            }

            found = value;
        }

        return found;
    }

    // Enters the nodes that are open, down to their terminals. Returns whether the answer may end.
    private bool Enter(List<Frame> tops, int from)
    {
        bool completed = false;
        while (_open.TryPop(out (int Node, int Parent) entry))
        {
            GrammarNode node = _grammar.Node(entry.Node);
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

        (int index, int value, int parent) = _frames[frame];
        GrammarNode node = _grammar.Node(index);
        return node.Kind == GrammarNodeKind.Sequence ? EnterPart(index, node, value, parent) : EnterRepeat(index, node, value, parent);
    }

    // The last part of a sequence goes on with what follows the sequence, so that chains don't grow stacks.
    private bool EnterPart(int index, GrammarNode node, int part, int parent)
    {
        if (part == node.Children.Length)
        {
            return Resume(parent);
        }

        _open.Push((node.Children[part], part + 1 == node.Children.Length ? parent : _frames.Intern(index, part + 1, parent)));
        return false;
    }

    // Without a maximum only the minimum is counted.
    private bool EnterRepeat(int index, GrammarNode node, int count, int parent)
    {
        if (count < node.Max)
        {
            int next = node.Max == int.MaxValue ? Math.Min(count + 1, node.Min) : count + 1;
            _open.Push((node.Children[0], _frames.Intern(index, next, parent)));
        }

        return count >= node.Min && Resume(parent);
    }

    private void AddTop(List<Frame> tops, int from, Frame top)
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
}
