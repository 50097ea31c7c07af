using System.Text;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Calls whose arguments stand in tags of their own. A text is given out as it comes; a value of another type when its end is there, because what
/// doesn't parse is a text.
/// </summary>
internal sealed class TaggedCallTranscriber : CallTranscriber
{
    private enum State
    {
        Call, Name, Key, InKey, ValueStart, Value, After,
    }

    private readonly CallTags _tags;
    private readonly int _callOpener;
    private readonly byte[] _nameEnd;
    private readonly byte[] _keyCloser;
    private readonly byte[] _valueCloser;
    private readonly byte[][] _before;
    private readonly byte[][] _within;
    private readonly byte[][] _after;
    private readonly byte[][] _valueOpener;
    private readonly List<byte> _text = [];
    private readonly List<byte> _head = [];
    private State _state;
    private ValueKinds _kinds;
    private bool _isText;
    private bool _isFirst;
    private bool _isValueStart;

    /// <param name="tools">What may be called.</param>
    /// <param name="tags">Of the family.</param>
    /// <param name="callOpener">Which of the dialect's openers is the call's own, for models that leave the other one out; -1 for none.</param>
    public TaggedCallTranscriber(IReadOnlyList<ToolShape> tools, CallTags tags, int callOpener)
        : base(tools)
    {
        _tags = tags;
        _callOpener = callOpener;
        _nameEnd = Bytes(tags.NameEnd);
        _keyCloser = Bytes(tags.KeyCloser);
        _valueCloser = Bytes(tags.ValueCloser);
        _valueOpener = [Bytes(tags.ValueOpener)];
        _before = [Bytes(tags.CallOpener)];
        _within = [Bytes(tags.KeyOpener), Bytes(tags.CallCloser)];
        _after = tags.Closer.Length == 0 ? [] : [Bytes(tags.CallOpener), Bytes(tags.Closer)];

        static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
    }

    public override bool AwaitsArguments => Tool >= 0 && !IsOpen && _state == State.Key;

    public override TranscriptStep Step(byte value)
    {
        switch (_state)
        {
            case State.Call:
                return Match(_before, value) switch { 0 => Go(State.Name), Broken => TranscriptStep.Malformed, _ => TranscriptStep.Held };
            case State.Name:
                return StepName(value);
            case State.Key:
                return Match(_within, value) switch
                {
                    0 => Go(State.InKey),
                    1 => EndCall(),
                    Broken => TranscriptStep.Malformed,
                    _ => TranscriptStep.Held,
                };
            case State.InKey:
                return StepKey(value);
            case State.ValueStart:
                return Match(_valueOpener, value) switch { 0 => BeginValue(), Broken => TranscriptStep.Malformed, _ => TranscriptStep.Held };
            case State.Value:
                return StepValue(value);
            default:
                return Match(_after, value) switch
                {
                    0 => Go(State.Name),
                    1 => TranscriptStep.End,
                    Broken => TranscriptStep.Leave,
                    _ => TranscriptStep.Held,
                };
        }
    }

    private const int Broken = -2;

    private protected override void Restart(int opener)
    {
        _text.Clear();
        _head.Clear();
        _state = opener == _callOpener || _tags.CallOpener.Length == 0 ? State.Name : State.Call;
    }

    private protected override void CloseOpenValue()
    {
        if (_state == State.Value)
        {
            EndValue(_text.Count);
        }
        else if (_state == State.ValueStart)
        {
            Write("null"u8);
        }
    }

    private protected override void FlushOpenValue()
    {
        if (_state != State.Value)
        {
            return;
        }

        if (_isText)
        {
            WriteEscaped([.. _text]);
        }
        else if (_text.Count > 0)
        {
            Write("\""u8);
            WriteEscaped([.. _text]);
        }

        _text.Clear();
    }

    // Which of some tags is complete, with white space before it: -1 while one may come, Broken when none can.
    private int Match(byte[][] tags, byte value)
    {
        if (_head.Count == 0 && IsSpace(value))
        {
            return -1;
        }

        _head.Add(value);
        bool mayCome = false;
        for (int i = 0; i < tags.Length; i++)
        {
            if (!tags[i].AsSpan().StartsWith(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_head)))
            {
                continue;
            }

            if (tags[i].Length == _head.Count)
            {
                _head.Clear();
                return i;
            }

            mayCome = true;
        }

        if (!mayCome)
        {
            _head.Clear();
        }

        return mayCome ? -1 : Broken;
    }

    private ReadOnlySpan<byte> Text => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_text);

    private TranscriptStep Go(State state)
    {
        if (state == State.Name)
        {
            Tool = -1;
        }

        _state = state;
        _text.Clear();
        return TranscriptStep.Held;
    }

    private TranscriptStep StepName(byte value)
    {
        if (_nameEnd.Length == 0 && _text.Count > 0 && (IsSpace(value) || value == '<'))
        {
            // The tag that follows has begun.
            if (!FindTool(Text))
            {
                return TranscriptStep.Malformed;
            }

            Go(State.Key);
            return Step(value);
        }

        if (_nameEnd.Length == 0 && _text.Count == 0 && IsSpace(value))
        {
            return TranscriptStep.Held;
        }

        _text.Add(value);
        if (_nameEnd.Length > 0 && Text.EndsWith(_nameEnd))
        {
            return FindTool(Trim(Text[..^_nameEnd.Length])) ? Begin() : TranscriptStep.Malformed;
        }

        return _text.Count > ToolCallLimits.NameBytesMax + _nameEnd.Length ? TranscriptStep.Malformed : TranscriptStep.Held;

        TranscriptStep Begin()
        {
            Go(State.Key);
            return TranscriptStep.Held;
        }
    }

    private TranscriptStep StepKey(byte value)
    {
        _text.Add(value);
        if (!Text.EndsWith(_keyCloser))
        {
            return _text.Count > ToolCallLimits.ParameterBytesMax ? TranscriptStep.Malformed : TranscriptStep.Held;
        }

        ReadOnlySpan<byte> key = Trim(Text[..^_keyCloser.Length]);
        if (key.IsEmpty)
        {
            return TranscriptStep.Malformed;
        }

        if (!IsOpen)
        {
            Open();
            _isFirst = true;
        }

        _kinds = Shape.KindsOf(key);
        Write(_isFirst ? "\""u8 : ", \""u8);
        WriteEscaped(key);
        Write("\": "u8);
        _isFirst = false;
        if (_valueOpener[0].Length > 0)
        {
            Go(State.ValueStart);
            return TranscriptStep.Taken;
        }

        return BeginValue();
    }

    private TranscriptStep BeginValue()
    {
        Go(State.Value);
        _isText = _kinds == ValueKinds.Text;
        _isValueStart = true;
        if (_isText)
        {
            Write("\""u8);
        }

        return TranscriptStep.Taken;
    }

    private TranscriptStep StepValue(byte value)
    {
        _text.Add(value);
        if (_isValueStart && _tags.HasLines && _text.Count == 1 && value == '\n')
        {
            _text.Clear();
            _isValueStart = false;
            return TranscriptStep.Taken;
        }

        _isValueStart = false;
        if (Text.EndsWith(_valueCloser))
        {
            EndValue(_text.Count - _valueCloser.Length);
            _state = State.Key;
            _head.Clear();
            return TranscriptStep.Taken;
        }

        if (!_isText && _text.Count > ToolCallLimits.ValueBytesMax)
        {
            // Nothing that long is held for the sake of its type.
            Write("\""u8);
            _isText = true;
        }

        if (_isText)
        {
            int held = HeldLength();
            WriteEscaped(Text[..^held]);
            _text.RemoveRange(0, _text.Count - held);
        }

        return TranscriptStep.Taken;
    }

    // Bytes at the end that may begin the tag that ends the value, with the break of its line.
    private int HeldLength()
    {
        int longest = Math.Min(_text.Count, _valueCloser.Length);
        for (int length = longest; length >= 0; length--)
        {
            ReadOnlySpan<byte> end = Text[^length..];
            if (!_valueCloser.AsSpan().StartsWith(end))
            {
                continue;
            }

            bool isAfterBreak = _tags.HasLines && length < _text.Count && _text[_text.Count - length - 1] == '\n';
            return length + (isAfterBreak ? 1 : 0);
        }

        return 0;
    }

    private void EndValue(int length)
    {
        ReadOnlySpan<byte> value = Text[..length];
        if (_tags.HasLines && value.EndsWith("\n"u8))
        {
            value = value[..^1];
        }

        if (_isText)
        {
            WriteEscaped(value);
            Write("\""u8);
        }
        else
        {
            WriteValue(Trim(value), _kinds, value);
        }

        _text.Clear();
        _state = State.Key;
    }

    private TranscriptStep EndCall()
    {
        if (!IsOpen)
        {
            Open();
        }

        Close();
        _state = State.After;
        _text.Clear();
        return _after.Length == 0 ? TranscriptStep.End : TranscriptStep.Taken;
    }

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text) => text.Trim(" \n\r\t"u8);
}
