using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Sluice.Protocol.Answers;

/// <summary>
/// Takes the text out of <c>{"input": "…"}</c> as it is generated: the input of a custom tool's call. What isn't of that form is given as it is,
/// so that nothing is lost. Constant work for each byte. Serves one call; owned by one thread.
/// </summary>
public sealed class CustomInputReader
{
    /// <summary>Name of the only argument of a function that stands for a custom tool.</summary>
    public const string Argument = "input";

    private enum State
    {
        Head, Text, Escape, Hex, Ended, Raw,
    }

    private const string HeadText = $"{{\"{Argument}\":\"";
    private readonly ArrayBufferWriter<byte> _head = new(32);
    private readonly ArrayBufferWriter<byte> _text = new(64);
    private State _state;
    private int _headLength;
    private int _unit;
    private int _digitCount;
    private char _highSurrogate;

    /// <summary>The arguments of a function that stand for the input of a custom tool.</summary>
    public static string ToArguments(string input) =>
        $"{{\"{Argument}\": \"{JsonEncodedText.Encode(input, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"}}";

    /// <summary>The text in more of the arguments.</summary>
    /// <param name="utf8Json">Whole characters.</param>
    /// <returns>Whole characters, perhaps none; valid until the next call.</returns>
    public ReadOnlySpan<byte> Read(ReadOnlySpan<byte> utf8Json)
    {
        _text.ResetWrittenCount();
        foreach (var value in utf8Json) Step(value);
        return _text.WrittenSpan;
    }

    private void Step(byte value)
    {
        switch (_state)
        {
            case State.Head:
                StepHead(value);
                break;
            case State.Text when value == '\\':
                _state = State.Escape;
                break;
            case State.Text when value == '"':
                ReplaceSurrogate();
                _state = State.Ended;
                break;
            case State.Text:
                ReplaceSurrogate();
                _text.Write([value]);
                break;
            case State.Escape:
                StepEscape(value);
                break;
            case State.Hex:
                StepHex(value);
                break;
            case State.Raw:
                _text.Write([value]);
                break;
            default:
                break;
        }
    }

    private void StepHead(byte value)
    {
        _head.Write([value]);
        if (value == HeadText[_headLength])
        {
            _state = ++_headLength == HeadText.Length ? State.Text : State.Head;
            return;
        }
        // White space stands between the parts, and an object without members has no input.
        var isBetween = _headLength <= 1 || _headLength >= HeadText.Length - 2;
        if (isBetween && (value is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')) return;
        if (_headLength == 1 && value == '}')
        {
            _state = State.Ended;
            return;
        }
        _state = State.Raw;
        _text.Write(_head.WrittenSpan);
    }

    private void StepEscape(byte value)
    {
        if (value == 'u')
        {
            (_state, _unit, _digitCount) = (State.Hex, 0, 0);
            return;
        }
        ReplaceSurrogate();
        _state = State.Text;
        _text.Write([value switch
        {
            (byte)'b' => (byte)'\b',
            (byte)'f' => (byte)'\f',
            (byte)'n' => (byte)'\n',
            (byte)'r' => (byte)'\r',
            (byte)'t' => (byte)'\t',
            _ => value,
        }]);
    }

    private void StepHex(byte value)
    {
        _unit = (_unit << 4) | HexDigit(value);
        if (++_digitCount < 4) return;
        _state = State.Text;
        var unit = (char)_unit;
        if (_highSurrogate != 0 && char.IsLowSurrogate(unit))
        {
            Write(new Rune(_highSurrogate, unit));
            _highSurrogate = '\0';
            return;
        }
        ReplaceSurrogate();
        if (char.IsHighSurrogate(unit)) _highSurrogate = unit;
        else Write(Rune.TryCreate(unit, out var character) ? character : Rune.ReplacementChar);
    }

    private static int HexDigit(byte value) => value switch
    {
        >= (byte)'0' and <= (byte)'9' => value - '0',
        >= (byte)'a' and <= (byte)'f' => value - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => value - 'A' + 10,
        _ => 0,
    };

    // Half of a pair whose other half didn't come.
    private void ReplaceSurrogate()
    {
        if (_highSurrogate == 0) return;
        _highSurrogate = '\0';
        Write(Rune.ReplacementChar);
    }

    private void Write(Rune character)
    {
        var bytes = _text.GetSpan(4);
        _text.Advance(character.EncodeToUtf8(bytes));
    }
}
