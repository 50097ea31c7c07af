using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Sluice.Inference.ToolCalls;

/// <summary>How calls look that are written as in a programming language.</summary>
/// <param name="ListOpener">Stands before the first call; empty for none.</param>
/// <param name="ListCloser">Stands behind the last one; empty for none.</param>
/// <param name="CallOpener">Stands before the name.</param>
/// <param name="ArgumentsOpener">Stands behind it.</param>
/// <param name="ArgumentsCloser">Ends the call.</param>
/// <param name="Assign">Stands between the name of an argument and its value.</param>
/// <param name="Quote">Begins and ends a text; empty where both quotation marks do, with escapes.</param>
/// <param name="Closer">Ends all calls.</param>
internal sealed record CallLiterals(
    string ListOpener, string ListCloser, string CallOpener, char ArgumentsOpener, char ArgumentsCloser, char Assign, string Quote, string Closer)
{
    /// <summary>LFM2: calls in Python.</summary>
    public static CallLiterals Python { get; } = new("[", "]", "", '(', ')', '=', "", "<|tool_call_end|>");

    /// <summary>Gemma 4.</summary>
    public static CallLiterals Gemma { get; } = new("", "", "call:", '{', '}', ':', "<|\"|>", "<tool_call|>");

    /// <summary>FunctionGemma.</summary>
    public static CallLiterals FunctionGemma { get; } = Gemma with { Quote = "<escape>", Closer = "<end_function_call>" };
}

/// <summary>Calls that are written as in a programming language, with literals of numbers, texts, lists and mappings. Texts are given out as they come.</summary>
/// <param name="tools">What may be called.</param>
/// <param name="style">Of the family.</param>
internal sealed class LiteralCallTranscriber(IReadOnlyList<ToolShape> tools, CallLiterals style) : CallTranscriber(tools)
{
    private enum State
    {
        List, Call, Name, Key, KeyWord, Assign, Value, Word, Open, Text, Escape, Code, Next, After, Closer,
    }

    // Of literals such as r"…".
    private static readonly SearchValues<byte> s_prefixes = SearchValues.Create("rRbBuUfF"u8);

    private readonly byte[] _quote = Encoding.UTF8.GetBytes(style.Quote);
    private readonly byte[] _callOpener = Encoding.UTF8.GetBytes(style.CallOpener);
    private readonly byte[] _closer = Encoding.UTF8.GetBytes(style.Closer);
    private readonly List<byte> _text = [];
    private readonly List<(char Closer, bool HasItems)> _open = [];
    private byte[] _delimiter = [];
    private State _state;
    private bool _isKey;
    private int _codeLength;

    public override TranscriptStep Step(byte value)
    {
        switch (_state)
        {
            case State.List:
                return IsSpace(value) ? TranscriptStep.Held : value == style.ListOpener[0] ? Go(State.Call) : TranscriptStep.Malformed;
            case State.Call:
                return StepCall(value);
            case State.Name:
                return StepName(value);
            case State.Key:
                return IsSpace(value) ? TranscriptStep.Held : StepKey(value);
            case State.KeyWord:
                return StepKeyWord(value);
            case State.Assign:
                return IsSpace(value) ? TranscriptStep.Held : value == Assign ? Taken(State.Value) : TranscriptStep.Malformed;
            case State.Value:
                return IsSpace(value) ? TranscriptStep.Held : StepValue(value);
            case State.Word:
                return StepWord(value);
            case State.Open:
                return StepOpen(value);
            case State.Text:
                return StepText(value);
            case State.Escape:
                return StepEscape(value);
            case State.Code:
                return StepCode(value);
            case State.Next:
                return IsSpace(value) ? TranscriptStep.Held : StepNext(value);
            case State.After:
                return IsSpace(value) ? TranscriptStep.Held : StepAfter(value);
            default:
                return StepCloser(value);
        }
    }

    private protected override void Restart(int opener)
    {
        _open.Clear();
        Go(style.ListOpener.Length > 0 ? State.List : State.Call);
    }

    private protected override void CloseOpenValue()
    {
        FlushOpenValue();
        bool isText = _state is State.Text or State.Escape or State.Code || (_state == State.Open && IsPython);
        if (isText)
        {
            Write(_isKey ? "\": null"u8 : "\""u8);
        }
        else if (_state is State.Open or State.Assign || (_state == State.Value && !IsList))
        {
            Write(_state == State.Assign ? ": null"u8 : _state == State.Open && _isKey ? "\"\": null"u8 : "null"u8);
        }

        _isKey = false;

        // The first is the call's own brace.
        for (; _open.Count > 1; _open.RemoveAt(_open.Count - 1))
        {
            Write(_open[^1].Closer == '}' ? "}"u8 : "]"u8);
        }
    }

    private protected override void FlushOpenValue()
    {
        if (_state == State.Text)
        {
            WriteEscaped(Text);
        }
        else if (_state == State.Word)
        {
            WriteWord();
        }

        _text.Clear();
    }

    private bool IsPython => _quote.Length == 0;

    // Within a mapping it is a colon everywhere.
    private byte Assign => _open.Count > 1 ? (byte)':' : (byte)style.Assign;

    private ReadOnlySpan<byte> Text => CollectionsMarshal.AsSpan(_text);

    private static bool IsNameByte(byte value) =>
        value is (>= (byte)'a' and <= (byte)'z') or (>= (byte)'A' and <= (byte)'Z') or (>= (byte)'0' and <= (byte)'9') or (byte)'_' or (byte)'-' or >= 0x80;

    private TranscriptStep Go(State state)
    {
        _state = state;
        _text.Clear();
        return TranscriptStep.Held;
    }

    private TranscriptStep Taken(State state)
    {
        if (_state == State.Assign)
        {
            Write(": "u8);
        }

        Go(state);
        return TranscriptStep.Taken;
    }

    private TranscriptStep StepCall(byte value)
    {
        if (_text.Count == 0 && IsSpace(value))
        {
            return TranscriptStep.Held;
        }

        if (_callOpener.Length == 0)
        {
            Go(State.Name);
            return StepName(value);
        }

        _text.Add(value);
        return Text.SequenceEqual(_callOpener) ? Go(State.Name) : _callOpener.AsSpan().StartsWith(Text) ? TranscriptStep.Held : TranscriptStep.Malformed;
    }

    private TranscriptStep StepName(byte value)
    {
        if (IsNameByte(value) && _text.Count < ToolCallLimits.NameBytesMax)
        {
            _text.Add(value);
            return TranscriptStep.Held;
        }

        if (value != style.ArgumentsOpener || !FindTool(Text))
        {
            return TranscriptStep.Malformed;
        }

        Open();
        _open.Clear();
        _open.Add((style.ArgumentsCloser, false));
        return Taken(State.Key);
    }

    private TranscriptStep StepKey(byte value)
    {
        if (value == _open[^1].Closer)
        {
            return CloseContainer();
        }

        if (value == ',')
        {
            return TranscriptStep.Held;
        }

        if (BeginsText(value))
        {
            _isKey = true;
            BeginItem();
            return BeginText(value);
        }

        if (!IsNameByte(value))
        {
            return TranscriptStep.Malformed;
        }

        Go(State.KeyWord);
        _text.Add(value);
        return TranscriptStep.Held;
    }

    private TranscriptStep StepKeyWord(byte value)
    {
        if (IsNameByte(value) || value == '.')
        {
            _text.Add(value);
            return _text.Count > ToolCallLimits.ParameterBytesMax ? TranscriptStep.Malformed : TranscriptStep.Held;
        }

        if (value != Assign && !IsSpace(value))
        {
            return TranscriptStep.Malformed;
        }

        BeginItem();
        Write("\""u8);
        WriteEscaped(Text);
        Write("\""u8);
        Go(State.Assign);
        return value == Assign ? Taken(State.Value) : TranscriptStep.Taken;
    }

    private TranscriptStep StepValue(byte value)
    {
        if (value == _open[^1].Closer && _open[^1].Closer != style.ArgumentsCloser)
        {
            return CloseContainer();
        }

        // A tuple is a list.
        if (value is (byte)'[' or (byte)'(' || value == '{')
        {
            BeginValue();
            _open.Add((value == '[' ? ']' : value == '(' ? ')' : '}', false));
            Write(value == '{' ? "{"u8 : "["u8);
            return Taken(value == '{' ? State.Key : State.Value);
        }

        if (value is (byte)')' or (byte)']' or (byte)'}' or (byte)',' or (byte)':')
        {
            return TranscriptStep.Malformed;
        }

        BeginValue();
        if (BeginsText(value))
        {
            _isKey = false;
            return BeginText(value);
        }

        Go(State.Word);
        _text.Add(value);
        return TranscriptStep.Taken;
    }

    private bool IsList => _open[^1].Closer == ']' || (_open.Count > 1 && _open[^1].Closer == ')');

    private void BeginValue()
    {
        if (IsList)
        {
            BeginItem();
        }
    }

    private void BeginItem()
    {
        if (_open[^1].HasItems)
        {
            Write(", "u8);
        }

        _open[^1] = (_open[^1].Closer, true);
    }

    private TranscriptStep CloseContainer()
    {
        bool isList = IsList;
        _open.RemoveAt(_open.Count - 1);
        if (_open.Count == 0)
        {
            Close();
            return Taken(State.After);
        }

        Write(isList ? "]"u8 : "}"u8);
        return Taken(State.Next);
    }

    // Numbers and words; a word that means nothing is a text.
    private TranscriptStep StepWord(byte value)
    {
        if (IsPython && value is (byte)'\'' or (byte)'"' && _text.Count <= 2 && Text.IndexOfAnyExcept(s_prefixes) < 0)
        {
            return BeginText(value);
        }

        if (value is not ((byte)',' or (byte)')' or (byte)']' or (byte)'}') && !(value == _open[^1].Closer))
        {
            _text.Add(value);
            return _text.Count > ToolCallLimits.ValueBytesMax ? TranscriptStep.Malformed : TranscriptStep.Taken;
        }

        WriteWord();
        _text.Clear();
        _state = State.Next;
        return StepNext(value);
    }

    private void WriteWord()
    {
        ReadOnlySpan<byte> word = Text.Trim(" \n\r\t"u8);
        if (double.TryParse(Encoding.UTF8.GetString(word).Replace("_", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number))
        {
            // As it is where that is JSON, so that long numbers keep their digits.
            WriteNumber(word, number);
            return;
        }

        WriteValue(word, ValueKinds.Boolean | ValueKinds.Null, word);
    }

    private void WriteNumber(ReadOnlySpan<byte> word, double number)
    {
        var reader = new System.Text.Json.Utf8JsonReader(word);
        try
        {
            if (reader.Read() && reader.TokenType == System.Text.Json.JsonTokenType.Number && !reader.Read())
            {
                Write(word);
                return;
            }
        }
        catch (System.Text.Json.JsonException)
        {
            // Such as `.5` and `1_000`.
        }

        Write(Encoding.ASCII.GetBytes(number.ToString("R", CultureInfo.InvariantCulture)));
    }

    private bool BeginsText(byte value) => IsPython ? value is (byte)'\'' or (byte)'"' : value == _quote[0];

    private TranscriptStep BeginText(byte value)
    {
        Go(State.Open);
        _text.Add(value);
        _delimiter = IsPython ? [value] : _quote;
        if (!IsPython)
        {
            return TranscriptStep.Taken;
        }

        Write("\""u8);
        return TranscriptStep.Taken;
    }

    // The rest of what opens a text: two more quotation marks of Python, or the tag.
    private TranscriptStep StepOpen(byte value)
    {
        _text.Add(value);
        if (!IsPython)
        {
            if (!_quote.AsSpan().StartsWith(Text))
            {
                // A word that begins like the tag; no key does.
                if (_isKey)
                {
                    return TranscriptStep.Malformed;
                }

                _state = State.Word;
                _text.RemoveAt(_text.Count - 1);
                return StepWord(value);
            }

            if (_text.Count < _quote.Length)
            {
                return TranscriptStep.Taken;
            }

            Write("\""u8);
            return Taken(State.Text);
        }

        if (value == _delimiter[0])
        {
            if (_text.Count < 3)
            {
                return TranscriptStep.Taken;
            }

            _delimiter = [value, value, value];
            return Taken(State.Text);
        }

        bool isEmpty = _text.Count == 3;
        Go(State.Text);
        if (!isEmpty)
        {
            return StepText(value);
        }

        EndText();
        return Step(value) is var step && step == TranscriptStep.Held ? TranscriptStep.Taken : step;
    }

    private TranscriptStep StepText(byte value)
    {
        if (IsPython && value == '\\')
        {
            WriteEscaped(Text);
            Go(State.Escape);
            return TranscriptStep.Taken;
        }

        _text.Add(value);
        if (Text.EndsWith(_delimiter))
        {
            WriteEscaped(Text[..^_delimiter.Length]);
            EndText();
            return TranscriptStep.Taken;
        }

        int held = Math.Min(_text.Count, _delimiter.Length);
        while (held > 0 && !_delimiter.AsSpan().StartsWith(Text[^held..]))
        {
            held--;
        }

        WriteEscaped(Text[..^held]);
        _text.RemoveRange(0, _text.Count - held);
        return TranscriptStep.Taken;
    }

    private void EndText()
    {
        Write("\""u8);
        Go(_isKey ? State.Assign : State.Next);
        _isKey = false;
    }

    private TranscriptStep StepEscape(byte value)
    {
        Go(State.Text);
        switch (value)
        {
            case (byte)'n':
                Write("\\n"u8);
                break;
            case (byte)'t':
                Write("\\t"u8);
                break;
            case (byte)'r':
                Write("\\r"u8);
                break;
            case (byte)'b':
                Write("\\b"u8);
                break;
            case (byte)'f':
                Write("\\f"u8);
                break;
            case (byte)'\'' or (byte)'"' or (byte)'\\':
                WriteEscaped(value);
                break;
            case (byte)'\n':
                break;
            case (byte)'x' or (byte)'u' or (byte)'U':
                _codeLength = value == 'x' ? 2 : value == 'u' ? 4 : 8;
                Go(State.Code);
                break;
            default:
                // Python keeps what it doesn't know.
                WriteEscaped((byte)'\\');
                return StepText(value);
        }

        return TranscriptStep.Taken;
    }

    private TranscriptStep StepCode(byte value)
    {
        _text.Add(value);
        if (_text.Count < _codeLength)
        {
            return TranscriptStep.Taken;
        }

        if (uint.TryParse(Text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code))
        {
            string json = code > 0xFFFF && Rune.IsValid(code)
                ? string.Concat(char.ConvertFromUtf32((int)code).Select(static unit => $"\\u{(int)unit:x4}"))
                : $"\\u{(code > 0xFFFF ? 0xFFFD : code):x4}";
            Write(Encoding.ASCII.GetBytes(json));
        }
        else
        {
            WriteEscaped(Text);
        }

        Go(State.Text);
        return TranscriptStep.Taken;
    }

    private TranscriptStep StepNext(byte value)
    {
        if (value == ',')
        {
            return Taken(IsList ? State.Value : State.Key);
        }

        return value == _open[^1].Closer ? CloseContainer() : TranscriptStep.Malformed;
    }

    private TranscriptStep StepAfter(byte value)
    {
        if (value == ',' && style.ListOpener.Length > 0)
        {
            return Taken(State.Call);
        }

        if (style.ListCloser.Length > 0 && value == style.ListCloser[0])
        {
            return Taken(State.Closer);
        }

        if (style.ListCloser.Length > 0)
        {
            return TranscriptStep.Leave;
        }

        Go(State.Closer);
        return StepCloser(value);
    }

    private TranscriptStep StepCloser(byte value)
    {
        if (_text.Count == 0 && IsSpace(value))
        {
            return TranscriptStep.Held;
        }

        _text.Add(value);
        return Text.SequenceEqual(_closer) ? TranscriptStep.End : _closer.AsSpan().StartsWith(Text) ? TranscriptStep.Held : TranscriptStep.Leave;
    }
}
