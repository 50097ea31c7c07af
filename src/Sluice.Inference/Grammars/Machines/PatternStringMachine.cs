using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>
/// A JSON string whose text matches a pattern. Each character has one spelling: itself in UTF-8, or where JSON wants an escape the shortest.
/// </summary>
internal sealed class PatternStringMachine(PatternDfa pattern) : PatternMachine(pattern)
{
    // What there is of a character, where it is neither 0 nor a part of its UTF-8.
    private const int OpeningPart = 1;
    private const int ClosedPart = 2;
    private const int EscapePart = 3;
    private const int UnicodePart = 4; // \u; \u0 and \u00 follow
    private const int Low0Part = 7; // \u000
    private const int Low1Part = 8; // \u001
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

    private int StepWhole(int at, byte value)
    {
        switch (value)
        {
            case (byte)'"':
                return Pattern.IsAccepting(at) ? ClosedPart : Dead;
            case (byte)'\\':
                return Pattern.HasStep(at, 0, 0x1F) || Pattern.HasStep(at, '"', '"') || Pattern.HasStep(at, '\\', '\\') ? Part(at, EscapePart) : Dead;
            case < 0x20:
                return Dead;
            default:
                return StepFirst(at, value);
        }
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

    private bool HasControl(int at, int high)
    {
        for (int control = high; control < high + 16; control++)
        {
            if (!IsShort(control) && Pattern.Step(at, control) >= 0)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsShort(int control) => control is '\b' or '\f' or '\n' or '\r' or '\t';
}
