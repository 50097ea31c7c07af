using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>A text in UTF-8 that matches a pattern, written as it is.</summary>
internal sealed class PatternTextMachine(PatternDfa pattern) : PatternMachine(pattern)
{
    public override int Start => 0;

    public override bool IsAccepting(int state) => (state & ((1 << PartBits) - 1)) == 0 && Pattern.IsAccepting(state >> PartBits);

    public override int Step(int state, byte value)
    {
        (int at, int part) = (state >> PartBits, state & ((1 << PartBits) - 1));
        return part == 0 ? StepFirst(at, value) : StepTail(at, part, value);
    }
}
