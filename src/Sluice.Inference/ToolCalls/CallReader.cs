using System.Text;

namespace Sluice.Inference.ToolCalls;

/// <summary>What one byte of a call is.</summary>
internal enum CallStep
{
    /// <summary>Not yet known; belongs to what is held back.</summary>
    Held,

    /// <summary>The first byte of the arguments of <see cref="CallReader.Tool"/>; what was held is syntax.</summary>
    Open,

    /// <summary>The last byte of a call without arguments.</summary>
    OpenEmpty,

    /// <summary>Closes the name of a call whose arguments stand in what was held.</summary>
    OpenLate,

    /// <summary>Part of the arguments.</summary>
    Arguments,

    /// <summary>The last byte of the arguments.</summary>
    ArgumentsEnd,

    /// <summary>Can't belong to the arguments, which end before it.</summary>
    Broken,

    /// <summary>Syntax, with all that was held.</summary>
    Markup,

    /// <summary>Syntax; the calls end with it.</summary>
    MarkupEnd,

    /// <summary>The calls have ended before what was held.</summary>
    Leave,

    /// <summary>This is no call.</summary>
    Malformed,
}

/// <summary>
/// Reads calls byte by byte, from behind what introduces them: objects, an array of objects, or names with arguments. A call opens only when
/// its name is that of a tool and its arguments begin, so that nothing has to be taken back. Constant work for each byte.
/// </summary>
internal sealed class CallReader(ToolCallDialect dialect, IReadOnlyList<byte[]> tools)
{
    private enum State
    {
        Begin, Item, Key, InKey, Colon, Value, InName, Skip, Early, Next, Name, Mark, Id, Start, Arguments, TailNext, TailRest, After, Closer,
    }

    private readonly byte[] _closer = Encoding.UTF8.GetBytes(dialect.Closer ?? "");
    private readonly byte[] _text = new byte[ToolCallLimits.NameBytesMax];
    private State _state;
    private JsonSpan _span;
    private int _length;
    private int _count;
    private bool _isTagged;
    private bool _isList;

    /// <summary>The tool that is called; -1 while its name isn't complete.</summary>
    public int Tool { get; private set; }

    /// <summary>Whether the name is known and what comes next are the arguments, with the syntax before them.</summary>
    public bool AwaitsArguments => Tool >= 0 && _state is State.Next or State.Start;

    /// <summary>Whether the call is a name with arguments and no object.</summary>
    public bool IsNamed { get; private set; }

    /// <summary>Whether a call is open.</summary>
    public bool IsOpen => _state == State.Arguments;

    /// <summary>Where the arguments of <see cref="CallStep.OpenLate"/> are, counted in bytes since <see cref="Begin"/>.</summary>
    public (int Start, int End) EarlyArguments { get; private set; }

    /// <summary>Begins anew.</summary>
    /// <param name="isTagged">Whether something has introduced the calls.</param>
    public void Begin(bool isTagged)
    {
        _isTagged = isTagged;
        _isList = false;
        _count = 0;
        BeginCall(State.Begin);
    }

    public CallStep Step(byte value)
    {
        _count++;
        switch (_state)
        {
            case State.Begin or State.Item:
                return StepBegin(value);
            case State.Key:
                if (IsSpace(value)) return CallStep.Held;
                return value switch { (byte)'"' => Go(State.InKey), (byte)'}' => CloseEmpty(), _ => CallStep.Malformed };
            case State.InKey:
                if (value == '"') return Keep(State.Colon);
                return value == '\\' ? CallStep.Malformed : Collect(value, ToolCallLimits.KeyBytesMax);
            case State.Colon:
                return IsSpace(value) ? CallStep.Held : value == ':' ? Keep(State.Value) : CallStep.Malformed;
            case State.Value:
                return IsSpace(value) ? CallStep.Held : StepValue(value);
            case State.InName:
                return StepName(value);
            case State.Skip:
                if (_span is { Depth: 0, IsInString: false } && value is (byte)',' or (byte)'}') return StepNext(value);
                return _span.Step(value) ? CallStep.Held : CallStep.Malformed;
            case State.Early:
                return StepEarly(value);
            case State.Next:
                return IsSpace(value) ? CallStep.Held : StepNext(value);
            case State.Arguments:
                return StepArguments(value);
            case State.TailNext or State.TailRest:
                return StepTail(value);
            case State.After or State.Closer:
                return StepAfter(value);
            default:
                return StepNamed(value);
        }
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t';

    private static bool IsNameByte(byte value) =>
        value is (>= (byte)'a' and <= (byte)'z') or (>= (byte)'A' and <= (byte)'Z') or (>= (byte)'0' and <= (byte)'9') or (byte)'_' or (byte)'-';

    private void BeginCall(State state)
    {
        _state = state;
        _length = 0;
        Tool = -1;
        IsNamed = false;
        EarlyArguments = default;
    }

    // To a state that collects a text.
    private CallStep Go(State state)
    {
        _length = 0;
        return Keep(state);
    }

    private CallStep Keep(State state)
    {
        _state = state;
        return CallStep.Held;
    }

    private CallStep Collect(byte value, int lengthMax)
    {
        if (_length == lengthMax) return CallStep.Malformed;
        _text[_length++] = value;
        return CallStep.Held;
    }

    private ReadOnlySpan<byte> Text => _text.AsSpan(0, _length);

    private CallStep StepBegin(byte value)
    {
        if (IsSpace(value)) return CallStep.Held;
        switch (value)
        {
            case (byte)'{':
                return Keep(State.Key);
            case (byte)'[' when _isTagged && _state == State.Begin:
                _isList = true;
                return Keep(State.Item);
            case (byte)']' when _state == State.Item:
                _isList = false;
                _state = State.After;
                return CallStep.Markup;
            default:
                if (!dialect.IsNamed || !_isTagged || _state != State.Begin || !IsNameByte(value)) return CallStep.Malformed;
                IsNamed = true;
                _state = State.Name;
                return Collect(value, ToolCallLimits.NameBytesMax);
        }
    }

    private CallStep StepValue(byte value)
    {
        if (Text.SequenceEqual("name"u8)) return value == '"' ? Go(State.InName) : CallStep.Malformed;
        _span = default;
        _span.Step(value);
        if (Text.SequenceEqual("arguments"u8) || Text.SequenceEqual("parameters"u8))
        {
            if (value != '{' || EarlyArguments != default) return CallStep.Malformed;
            if (Tool >= 0)
            {
                _state = State.Arguments;
                return CallStep.Open;
            }

            EarlyArguments = (_count - 1, 0);
            return Keep(State.Early);
        }

        return Keep(State.Skip);
    }

    private CallStep StepName(byte value)
    {
        if (value != '"') return value == '\\' ? CallStep.Malformed : Collect(value, ToolCallLimits.NameBytesMax);
        if (Tool >= 0 || !FindTool()) return CallStep.Malformed;
        if (EarlyArguments == default) return Keep(State.Next);
        _state = State.TailNext;
        return CallStep.OpenLate;
    }

    private CallStep StepEarly(byte value)
    {
        if (!_span.Step(value)) return CallStep.Malformed;
        if (_span.Depth > 0) return CallStep.Held;
        EarlyArguments = (EarlyArguments.Start, _count);
        return Keep(State.Next);
    }

    private CallStep StepNext(byte value) => value switch
    {
        (byte)',' => Keep(State.Key),
        (byte)'}' => CloseEmpty(),
        _ => CallStep.Malformed,
    };

    private CallStep CloseEmpty()
    {
        if (Tool < 0) return CallStep.Malformed;
        _state = State.After;
        return CallStep.OpenEmpty;
    }

    // name[ARGS]{…} and name[CALL_ID]id[ARGS]{…}
    private CallStep StepNamed(byte value)
    {
        switch (_state)
        {
            case State.Name:
                if (IsNameByte(value)) return Collect(value, ToolCallLimits.NameBytesMax);
                if (value is not ((byte)'[' or (byte)'{') || !FindTool()) return CallStep.Malformed;
                if (value == '{') return OpenArguments(value);
                Go(State.Mark);
                return Collect(value, ToolCallLimits.NameBytesMax);
            case State.Mark:
                Collect(value, ToolCallLimits.NameBytesMax);
                if (Text.SequenceEqual("[ARGS]"u8)) return Keep(State.Start);
                if (Text.SequenceEqual("[CALL_ID]"u8)) return Go(State.Id);
                return "[ARGS]"u8.StartsWith(Text) || "[CALL_ID]"u8.StartsWith(Text) ? CallStep.Held : CallStep.Malformed;
            case State.Id:
                if (value != '[') return Collect(value, ToolCallLimits.NameBytesMax);
                Go(State.Mark);
                return Collect(value, ToolCallLimits.NameBytesMax);
            default:
                if (IsSpace(value)) return CallStep.Held;
                return value == '{' ? OpenArguments(value) : CallStep.Malformed;
        }
    }

    private CallStep OpenArguments(byte value)
    {
        _span = default;
        _span.Step(value);
        _state = State.Arguments;
        return CallStep.Open;
    }

    private CallStep StepArguments(byte value)
    {
        if (!_span.Step(value))
        {
            _state = State.After;
            return CallStep.Broken;
        }

        if (_span.Depth > 0) return CallStep.Arguments;
        _state = IsNamed ? State.After : State.TailNext;
        return CallStep.ArgumentsEnd;
    }

    // From behind the arguments to the end of the call's object. A brace that is missing there is not waited for.
    private CallStep StepTail(byte value)
    {
        if (_state == State.TailNext)
        {
            if (IsSpace(value)) return CallStep.Held;
            switch (value)
            {
                case (byte)'}':
                    _state = State.After;
                    return CallStep.Markup;
                case (byte)',':
                    _span = default;
                    _span.Step((byte)'{');
                    _state = State.TailRest;
                    return CallStep.Markup;
                default:
                    _state = State.After;
                    return StepAfter(value);
            }
        }

        bool isJson = _span.Step(value);
        if (isJson && _span.Depth > 0) return CallStep.Markup;
        _state = State.After;
        return isJson ? CallStep.Markup : StepAfter(value);
    }

    private CallStep StepAfter(byte value)
    {
        if (_state == State.Closer)
        {
            if (value != _closer[_length]) return CallStep.Leave;
            return ++_length == _closer.Length ? CallStep.MarkupEnd : CallStep.Held;
        }

        if (IsSpace(value)) return CallStep.Held;
        switch (value)
        {
            case (byte)',' when _isList:
                BeginCall(State.Item);
                return CallStep.Markup;
            case (byte)']' when _isList:
                _isList = false;
                return CallStep.Markup;
            case (byte)';' when dialect.StartsBare:
                BeginCall(State.Begin);
                return CallStep.Markup;
            case (byte)'{' when !_isList && !IsNamed:
                BeginCall(State.Key);
                return CallStep.Held;
            default:
                if (!_isTagged || _closer.Length == 0 || value != _closer[0]) return CallStep.Leave;
                Go(State.Closer);
                _length = 1;
                return _closer.Length == 1 ? CallStep.MarkupEnd : CallStep.Held;
        }
    }

    private bool FindTool()
    {
        for (int i = 0; i < tools.Count; i++)
        {
            if (Text.SequenceEqual(tools[i]))
            {
                Tool = i;
                return true;
            }
        }

        return false;
    }
}
