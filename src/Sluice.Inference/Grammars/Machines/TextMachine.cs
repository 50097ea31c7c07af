namespace Sluice.Inference.Grammars.Machines;

/// <summary>Well-formed UTF-8 in which a text doesn't occur, or occurs at the end only.</summary>
internal sealed class TextMachine : ByteMachine
{
    // A state is how much of the end has been seen, above what is missing of a character.
    private const int TailBits = 3;
    private const int AfterE0 = 4;
    private const int AfterED = 5;
    private const int AfterF0 = 6;
    private const int AfterF4 = 7;
    private readonly byte[] _end;
    private readonly int[] _borders; // Length of the longest proper border of each prefix (Knuth, Morris and Pratt).
    private readonly bool _includesEnd;

    public TextMachine(byte[] end, bool includesEnd)
    {
        ArgumentOutOfRangeException.ThrowIfZero(end.Length);
        _end = end;
        _includesEnd = includesEnd;
        _borders = new int[end.Length + 1];
        for (int i = 1, border = 0; i < end.Length; i++)
        {
            while (border > 0 && end[i] != end[border])
            {
                border = _borders[border];
            }

            border += end[i] == end[border] ? 1 : 0;
            _borders[i + 1] = border;
        }
    }

    public override int Start => 0;

    public override int Step(int state, byte value)
    {
        int seen = state >> TailBits;
        int tail = seen == _end.Length ? Dead : StepCharacter(state & ((1 << TailBits) - 1), value);
        if (tail < 0)
        {
            return Dead;
        }

        while (seen > 0 && _end[seen] != value)
        {
            seen = _borders[seen];
        }

        seen += _end[seen] == value ? 1 : 0;
        return seen == _end.Length && !_includesEnd ? Dead : (seen << TailBits) | tail;
    }

    public override bool IsAccepting(int state) =>
        _includesEnd ? state >> TailBits == _end.Length : (state & ((1 << TailBits) - 1)) == 0;

    public override bool CanStep(int state) => state >> TailBits != _end.Length;

    private static int StepCharacter(int tail, byte value) => tail switch
    {
        0 => value switch
        {
            < 0x80 => 0,
            < 0xC2 => Dead,
            < 0xE0 => 1,
            0xE0 => AfterE0,
            0xED => AfterED,
            < 0xF0 => 2,
            0xF0 => AfterF0,
            < 0xF4 => 3,
            0xF4 => AfterF4,
            _ => Dead,
        },
        AfterE0 => value is >= 0xA0 and <= 0xBF ? 1 : Dead,
        AfterED => value is >= 0x80 and <= 0x9F ? 1 : Dead,
        AfterF0 => value is >= 0x90 and <= 0xBF ? 2 : Dead,
        AfterF4 => value is >= 0x80 and <= 0x8F ? 2 : Dead,
        _ => value is >= 0x80 and <= 0xBF ? tail - 1 : Dead,
    };
}
