using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>A text in UTF-8 whose characters are a pattern's.</summary>
/// <param name="pattern">The pattern.</param>
internal abstract class PatternMachine(PatternDfa pattern) : ByteMachine
{
    // A state is the pattern's above what there is of a character: 0, a mark of the subclass, or a number of tail bytes that are missing,
    // as the highest bit of 16, over the bits so far. Sequences of 3 and 4 bytes can't be confused, for the latter have more bits set.
    protected const int PartBits = 17;
    private const int Missing1 = 1 << 16;
    private const int Missing2 = 1 << 15;
    private const int Missing3 = 1 << 14;

    protected PatternDfa Pattern { get; } = pattern;

    protected static int Part(int at, int part) => (at << PartBits) | part;

    /// <summary>The state after the first byte of a character, between characters.</summary>
    protected int StepFirst(int at, byte value) => value switch
    {
        < 0x80 => Character(at, value),
        < 0xC2 => Dead,
        < 0xE0 => Tail(at, 1, value & 0x1F),
        < 0xF0 => Tail(at, 2, value & 0xF),
        < 0xF5 => Tail(at, 3, value & 7),
        _ => Dead,
    };

    /// <summary>The state after a further byte of a character.</summary>
    protected int StepTail(int at, int part, byte value)
    {
        int missing = part >= Missing1 ? 1 : part >= Missing2 ? 2 : 3;
        int bits = part & (missing == 1 ? Missing1 - 1 : missing == 2 ? Missing2 - 1 : Missing3 - 1);
        if (value is < 0x80 or > 0xBF || !IsShortest(missing, bits, value))
        {
            return Dead;
        }

        bits = (bits << 6) | (value & 0x3F);
        return missing == 1 ? Character(at, bits) : Tail(at, missing - 1, bits);
    }

    /// <summary>The state after a whole character.</summary>
    protected int Character(int at, int character)
    {
        int next = Pattern.Step(at, character);
        return next < 0 ? Dead : next << PartBits;
    }

    // The second byte: no overlong forms, no surrogates, nothing above U+10FFFF.
    private static bool IsShortest(int missing, int bits, byte value) => (missing, bits) switch
    {
        (2, 0) => value >= 0xA0,
        (2, 0xD) => value < 0xA0,
        (3, 0) => value >= 0x90,
        (3, 4) => value < 0x90,
        _ => true,
    };

    private int Tail(int at, int missing, int bits)
    {
        int first = bits << (6 * missing);
        int last = first | ((1 << (6 * missing)) - 1);
        (int least, int most) = (missing, bits) switch
        {
            (2, < 0x10) => (0x800, 0xFFFF),
            (3, _) => (0x10000, 0x10FFFF),
            _ => (0x80, 0x10FFFF),
        };
        first = Math.Max(first, least);
        last = Math.Min(last, most);
        return first <= last && Pattern.HasStep(at, first, last)
            ? Part(at, (missing == 1 ? Missing1 : missing == 2 ? Missing2 : Missing3) | bits)
            : Dead;
    }
}
