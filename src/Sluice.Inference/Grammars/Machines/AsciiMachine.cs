using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>A pattern of ASCII characters, written as it is.</summary>
/// <param name="pattern">All that it accepts is ASCII.</param>
internal sealed class AsciiMachine(PatternDfa pattern) : ByteMachine
{
    public override int Start => 0;

    public override int Step(int state, byte value) => value < 128 ? pattern.Step(state, value) : Dead;

    public override bool IsAccepting(int state) => pattern.IsAccepting(state);
}
