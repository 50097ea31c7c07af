using System.Buffers;
using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars;

/// <summary>
/// How far one answer has come in its grammar: every terminal that its bytes may be in the middle of, each with what follows it. Owned by one
/// thread. After warming up nothing is allocated, but for the stacks that nested values need.
/// </summary>
internal sealed class GrammarMatcher
{
    // What a terminal's only next byte costs, in steps.
    private const int NextByteSteps = 32;

    // Frames that are kept without looking for those that no longer matter.
    private const int FrameCountFirst = 4096;

    private readonly Grammar _grammar;
    private readonly FrameStore _frames = new();
    private readonly GrammarClosure _closure;
    private List<Frame> _tops = [];
    private List<Frame> _next = [];
    private List<Frame> _saved = [];
    private int _frameCountMax = FrameCountFirst;

    /// <exception cref="GrammarException">Too much may come first; <see cref="GrammarGraph.Build"/> has found out before.</exception>
    public GrammarMatcher(Grammar grammar)
    {
        _grammar = grammar;
        _closure = new GrammarClosure(grammar, _frames);
        _closure.Allow();
        IsComplete = _closure.Enter(grammar.Root, FrameStore.Bottom, _tops, 0);
    }

    /// <summary>The terminals that can go on: node, state of its machine, and the frame after it.</summary>
    public IReadOnlyList<Frame> Tops => _tops;

    /// <summary>Whether the answer may end here.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Whether it has to: no byte can follow.</summary>
    public bool IsExhausted => _tops.Count == 0;

    /// <summary>Steps since the start: one for each node, frame and terminal that was looked at.</summary>
    public long StepCount => _closure.StepCount;

    public ByteMachine Machine(Frame top) => _grammar.Node(top.Node).Machine!;

    /// <summary>Takes bytes up. Changes nothing when they don't fit.</summary>
    /// <exception cref="GrammarException">They take too many steps; the answer can't be gone on with.</exception>
    public bool TryAdvance(ReadOnlySpan<byte> bytes)
    {
        (int frames, bool wasComplete) = (_frames.Count, IsComplete);
        Save();
        for (int i = 0; i < bytes.Length; i++)
        {
            if (i % GrammarLimits.TokenBytesMax == 0)
            {
                _closure.Allow();
            }

            if (!Step(bytes[i]))
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
        _closure.Allow();
        _closure.Begin();
        bool completed = false;
        bool fits = false;
        foreach (Frame top in _tops)
        {
            _closure.Spend(1);
            if (Machine(top) is TokenMachine machine && machine.Token == token)
            {
                fits = true;
                completed |= _closure.Leave(top.Parent, _next, 0);
            }
        }

        if (fits)
        {
            (_tops, _next) = (_next, _tops);
            IsComplete = completed;
        }

        return fits;
    }

    /// <summary>Writes the bytes that can't but follow, as far as there is one way only and finding it costs little.</summary>
    /// <returns>Whether the answer has to end after them.</returns>
    public bool WriteForced(ArrayBufferWriter<byte> output)
    {
        (int frames, bool wasComplete) = (_frames.Count, IsComplete);
        Save();
        long stepCountMax = StepCount + GrammarLimits.ForcedStepsMax;
        while (!IsComplete && output.WrittenCount < GrammarLimits.ForcedBytesMax && StepCount < stepCountMax
            && NextByte() is >= 0 and var value)
        {
            output.Write([(byte)value]);
            _closure.Allow();
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
    /// <exception cref="GrammarException">Too much can follow.</exception>
    public void Peek(int parent, List<Frame> tops)
    {
        _closure.Allow();
        _closure.Begin();
        _ = _closure.Leave(parent, tops, tops.Count);
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
        _closure.Begin();
        bool completed = false;
        foreach (Frame top in _tops)
        {
            _closure.Spend(1);
            ByteMachine machine = Machine(top);
            int state = machine.Step(top.Value, value);
            if (state < 0)
            {
                continue;
            }

            if (machine.CanStep(state))
            {
                _closure.AddTop(_next, 0, top with { Value = state });
            }

            if (machine.IsAccepting(state))
            {
                completed |= _closure.Leave(top.Parent, _next, 0);
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
        _closure.Allow();
        foreach (Frame top in _tops)
        {
            // Some machines try every byte.
            _closure.Spend(NextByteSteps);
            int value = Machine(top).NextByte(top.Value);
            if (value == ByteMachine.ManyBytes || (found >= 0 && value != found))
            {
                return ByteMachine.ManyBytes;
            }

            found = value;
        }

        return found;
    }
}
