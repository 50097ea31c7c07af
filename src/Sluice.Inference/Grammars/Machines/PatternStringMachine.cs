using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>
/// A JSON string whose text matches a pattern. Each character has one spelling: itself in UTF-8, or where JSON wants an escape the shortest.
/// </summary>
internal sealed class PatternStringMachine(PatternDfa pattern) : ByteMachine
{
    // A state is the pattern's above what there is of a character: 0, one of the marks below, or a number of tail bytes that are missing,
    // as the highest bit of 16, over the bits so far. Sequences of 3 and 4 bytes can't be confused, for the latter have more bits set.
    private const int PartBits = 17;
    private const int OpeningPart = 1;
    private const int ClosedPart = 2;
    private const int EscapePart = 3;
    private const int UnicodePart = 4; // \u; \u0 and \u00 follow
    private const int Low0Part = 7; // \u000
    private const int Low1Part = 8; // \u001
    private const int Missing1 = 1 << 16;
    private const int Missing2 = 1 << 15;
    private const int Missing3 = 1 << 14;
    private const string ShortEscapes = "\"\"\\\\b\bf\fn\nr\rt\t";

    public override int Start => OpeningPart;

    public override bool IsAccepting(int state) => state == ClosedPart;

    public override bool CanStep(int state) => state != ClosedPart;

    public override int Step(int state, byte value)
    {
        (int at, int part) = (state >> PartBits, state & ((1 << PartBits) - 1));
        return part switch
        {
            0 => StepWhole(at, value),
            OpeningPart => value == '"' ? 0 : Dead,
            ClosedPart => Dead,
            EscapePart => StepEscape(at, value),
            UnicodePart or UnicodePart + 1 => value == '0' ? Part(at, part + 1) : Dead,
            UnicodePart + 2 => value == '0' && HasControl(at, 0) ? Part(at, Low0Part)
                : value == '1' && HasControl(at, 0x10) ? Part(at, Low1Part) : Dead,
            Low0Part or Low1Part => StepLow(at, part == Low0Part ? 0 : 0x10, value),
            _ => StepTail(at, part, value),
        };
    }

    private static int Part(int at, int part) => (at << PartBits) | part;

    private int StepWhole(int at, byte value)
    {
        switch (value)
        {
            case (byte)'"':
                return pattern.IsAccepting(at) ? ClosedPart : Dead;
            case (byte)'\\':
                return pattern.HasStep(at, 0, 0x1F) || pattern.HasStep(at, '"', '"') || pattern.HasStep(at, '\\', '\\') ? Part(at, EscapePart) : Dead;
            case < 0x20:
                return Dead;
            case < 0x80:
                return Character(at, value);
            case < 0xC2:
                return Dead;
            case < 0xE0:
                return Tail(at, 1, value & 0x1F);
            case < 0xF0:
                return Tail(at, 2, value & 0xF);
            case < 0xF5:
                return Tail(at, 3, value & 7);
            default:
                return Dead;
        }
    }

    private int StepTail(int at, int part, byte value)
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
        return first <= last && pattern.HasStep(at, first, last)
            ? Part(at, (missing == 1 ? Missing1 : missing == 2 ? Missing2 : Missing3) | bits)
            : Dead;
    }

    private int StepEscape(int at, byte value)
    {
        if (value == 'u')
        {
            return HasControl(at, 0) || HasControl(at, 0x10) ? Part(at, UnicodePart) : Dead;
        }

        for (int i = 0; i < ShortEscapes.Length; i += 2)
        {
            if (ShortEscapes[i] == value)
            {
                return Character(at, ShortEscapes[i + 1]);
            }
        }

        return Dead;
    }

    private int StepLow(int at, int high, byte value)
    {
        int digit = value switch
        {
            >= (byte)'0' and <= (byte)'9' => value - '0',
            >= (byte)'a' and <= (byte)'f' => value - 'a' + 10,
            >= (byte)'A' and <= (byte)'F' => value - 'A' + 10,
            _ => -1,
        };
        return digit < 0 || IsShort(high | digit) ? Dead : Character(at, high | digit);
    }

    private int Character(int at, int character)
    {
        int next = pattern.Step(at, character);
        return next < 0 ? Dead : next << PartBits;
    }

    private bool HasControl(int at, int high)
    {
        for (int control = high; control < high + 16; control++)
        {
            if (!IsShort(control) && pattern.Step(at, control) >= 0)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsShort(int control) => control is '\b' or '\f' or '\n' or '\r' or '\t';
}
