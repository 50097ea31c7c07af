using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>A pattern of ASCII characters, written as it is.</summary>
internal sealed class AsciiMachine : ByteMachine
{
    private readonly short[] _steps; // (state, 128)
    private readonly bool[] _accepting;
    private readonly int[] _nextBytes;

    /// <param name="pattern">Not empty; all that it accepts is ASCII.</param>
    public AsciiMachine(PatternDfa pattern)
    {
        _steps = new short[pattern.StateCount * 128];
        _accepting = new bool[pattern.StateCount];
        _nextBytes = new int[pattern.StateCount];
        for (int state = 0; state < pattern.StateCount; state++)
        {
            for (int value = 0; value < 128; value++)
            {
                _steps[(state * 128) + value] = (short)pattern.Step(state, value);
            }

            _accepting[state] = pattern.IsAccepting(state);
            _nextBytes[state] = base.NextByte(state);
        }
    }

    public override int Start => 0;

    public override int Step(int state, byte value) => value < 128 ? _steps[(state * 128) + value] : Dead;

    public override bool IsAccepting(int state) => _accepting[state];

    public override int NextByte(int state) => _nextBytes[state];
}
