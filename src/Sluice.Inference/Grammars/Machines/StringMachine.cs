namespace Sluice.Inference.Grammars.Machines;

/// <summary>
/// A JSON string with its quotes: well-formed UTF-8 or escapes, whose surrogates come in pairs, counted in code points.
/// </summary>
internal sealed class StringMachine : ByteMachine
{
    private const int ShapeCount = 32;
    private static readonly sbyte[] s_steps = Steps();
    private readonly int _min;
    private readonly int _max;

    /// <param name="min">Fewest code points.</param>
    /// <param name="max">Most code points; null is any number.</param>
    public StringMachine(int min = 0, int? max = null)
    {
        _min = min;
        _max = max ?? int.MaxValue;
    }

    // Where the bytes so far end within the text of one character.
    private enum Shape
    {
        Inside, Start, End, Escape,
        Hex1, Hex2, Hex3, HexAfterD, HighHex1, HighHex2, HighEnd, LowU, LowD, LowHex3, LowHex2, LowHex1, HexAny,
        Tail1, Tail2, Tail3, AfterE0, AfterED, AfterF0, AfterF4,
    }

    public override int Start => (int)Shape.Start;

    public override int Step(int state, byte value)
    {
        (int count, int shape) = (state / ShapeCount, state % ShapeCount);
        int next = s_steps[(shape * 256) + value];
        if (next < 0)
        {
            return Dead;
        }

        if (shape == (int)Shape.Inside)
        {
            return next == (int)Shape.End
                ? count >= _min ? (int)Shape.End : Dead
                : count >= _max ? Dead : next == (int)Shape.Inside ? Encode(count + 1, next) : Encode(count, next);
        }

        return next == (int)Shape.Inside && shape != (int)Shape.Start ? Encode(count + 1, next) : Encode(count, next);
    }

    public override bool IsAccepting(int state) => state == (int)Shape.End;

    public override bool CanStep(int state) => state != (int)Shape.End;

    public override int NextByte(int state)
    {
        (int count, int shape) = (state / ShapeCount, state % ShapeCount);
        return shape switch
        {
            (int)Shape.Start => '"',
            (int)Shape.Inside when count >= _max => '"',
            (int)Shape.HighEnd => '\\',
            (int)Shape.LowU => 'u',
            (int)Shape.End => NoByte,
            _ => ManyBytes,
        };
    }

    public override int Canonicalize(int state, int byteCount)
    {
        (int count, int shape) = (state / ShapeCount, state % ShapeCount);
        if (count + byteCount + 1 < _min)
        {
            return shape;
        }

        return count >= _min && count < _max - byteCount - 1 ? Encode(_min, shape) : state;
    }

    // Without a maximum only the minimum matters.
    private int Encode(int count, int shape) => (Math.Min(count, _max == int.MaxValue ? _min : _max) * ShapeCount) + shape;

    private static sbyte[] Steps()
    {
        var steps = new sbyte[ShapeCount * 256];
        Array.Fill(steps, (sbyte)-1);
        Set(Shape.Start, '"', '"', Shape.Inside);
        Set(Shape.Inside, ' ', 0x7F, Shape.Inside);
        Set(Shape.Inside, '"', '"', Shape.End);
        Set(Shape.Inside, '\\', '\\', Shape.Escape);
        Set(Shape.Inside, 0xC2, 0xDF, Shape.Tail1);
        Set(Shape.Inside, 0xE0, 0xEF, Shape.Tail2);
        Set(Shape.Inside, 0xE0, 0xE0, Shape.AfterE0);
        Set(Shape.Inside, 0xED, 0xED, Shape.AfterED);
        Set(Shape.Inside, 0xF0, 0xF0, Shape.AfterF0);
        Set(Shape.Inside, 0xF1, 0xF3, Shape.Tail3);
        Set(Shape.Inside, 0xF4, 0xF4, Shape.AfterF4);
        Set(Shape.Tail1, 0x80, 0xBF, Shape.Inside);
        Set(Shape.Tail2, 0x80, 0xBF, Shape.Tail1);
        Set(Shape.Tail3, 0x80, 0xBF, Shape.Tail2);
        Set(Shape.AfterE0, 0xA0, 0xBF, Shape.Tail1);
        Set(Shape.AfterED, 0x80, 0x9F, Shape.Tail1);
        Set(Shape.AfterF0, 0x90, 0xBF, Shape.Tail2);
        Set(Shape.AfterF4, 0x80, 0x8F, Shape.Tail2);
        foreach (char escape in "\"\\/bfnrt")
        {
            Set(Shape.Escape, escape, escape, Shape.Inside);
        }

        Set(Shape.Escape, 'u', 'u', Shape.HexAny);
        Hex(Shape.HexAny, Shape.Hex3);
        Set(Shape.HexAny, 'd', 'd', Shape.HexAfterD);
        Set(Shape.HexAny, 'D', 'D', Shape.HexAfterD);
        Set(Shape.HexAfterD, '0', '7', Shape.Hex2);
        Set(Shape.HexAfterD, '8', '9', Shape.HighHex2);
        Set(Shape.HexAfterD, 'a', 'b', Shape.HighHex2);
        Set(Shape.HexAfterD, 'A', 'B', Shape.HighHex2);
        Hex(Shape.Hex3, Shape.Hex2);
        Hex(Shape.Hex2, Shape.Hex1);
        Hex(Shape.Hex1, Shape.Inside);
        Hex(Shape.HighHex2, Shape.HighHex1);
        Hex(Shape.HighHex1, Shape.HighEnd);
        Set(Shape.HighEnd, '\\', '\\', Shape.LowU);
        Set(Shape.LowU, 'u', 'u', Shape.LowD);
        Set(Shape.LowD, 'd', 'd', Shape.LowHex3);
        Set(Shape.LowD, 'D', 'D', Shape.LowHex3);
        Set(Shape.LowHex3, 'c', 'f', Shape.LowHex2);
        Set(Shape.LowHex3, 'C', 'F', Shape.LowHex2);
        Hex(Shape.LowHex2, Shape.LowHex1);
        Hex(Shape.LowHex1, Shape.Inside);
        return steps;

        void Set(Shape from, int first, int last, Shape to)
        {
            for (int value = first; value <= last; value++)
            {
                steps[((int)from * 256) + value] = (sbyte)to;
            }
        }

        void Hex(Shape from, Shape to)
        {
            Set(from, '0', '9', to);
            Set(from, 'a', 'f', to);
            Set(from, 'A', 'F', to);
        }
    }
}
