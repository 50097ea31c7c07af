using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>A pattern of ASCII characters, written as it is.</summary>
/// <param name="pattern">All that it accepts is ASCII.</param>
internal sealed class AsciiMachine(PatternDfa pattern) : ByteMachine
{
    private readonly short[] _nextBytes = [.. Enumerable.Range(0, pattern.StateCount).Select(state => (short)FindNextByte(pattern, state))];

    public override int Start => 0;

    public override int Step(int state, byte value) => value < 128 ? pattern.Step(state, value) : Dead;

    public override bool IsAccepting(int state) => pattern.IsAccepting(state);

    public override int NextByte(int state) => _nextBytes[state];

    private static int FindNextByte(PatternDfa pattern, int state) => pattern.OnlyCharacter(state) switch
    {
        PatternDfa.NoCharacter => NoByte,
        PatternDfa.ManyCharacters => ManyBytes,
        var character => character,
    };
}
