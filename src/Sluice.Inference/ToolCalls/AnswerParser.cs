namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Turns the text of one answer into parts as it is generated: content, reasoning, calls. Every byte becomes part of exactly one of them, in
/// order; what was given out stays as it is, and what turns out to be no call is content. Constant work for each byte, and nothing is
/// allocated after warming up. Owned by one thread.
/// </summary>
internal sealed class AnswerParser
{
    private const string ThinkOpener = "<think>";
    private static readonly TextTriggers s_thinkCloser = new(["</think>"]);

    private readonly CallReader? _call;
    private readonly TextTriggers _openers;
    private readonly int _callOpenerCount;
    private readonly bool _startsBare;
    private readonly bool _knowsReasoning;
    private readonly List<AnswerPart> _parts = [];
    private byte[] _text = new byte[256];
    private int _length; // Bytes of _text.
    private int _position; // Next byte to look at.
    private int _taken; // Bytes that are parts already; those from here to _position are held back.
    private int _trigger;
    private int _space; // White space directly before what may be a trigger.
    private int _replayFrom; // Where to go on when a region is no call: behind what introduced it.
    private int _regionStart;
    private int _awaitedFrom = -1;
    private bool _isInRegion;
    private bool _isBlank = true; // Nothing but white space since the beginning, the reasoning or a call.
    private bool _isStart = true; // No content or call yet, but perhaps reasoning.
    private bool _hasReasoned;
    private bool _dropsSpace; // White space here belongs to the tag before it.
    private bool _isAwaitedKnown;

    /// <param name="dialect">How calls are written; null where there are no tools.</param>
    /// <param name="tools">Names, in UTF-8.</param>
    /// <param name="knowsReasoning">Whether an answer may begin with reasoning in tags.</param>
    public AnswerParser(ToolCallDialect? dialect, IReadOnlyList<byte[]> tools, bool knowsReasoning)
    {
        string[] callOpeners = [.. dialect?.Openers ?? []];
        _callOpenerCount = callOpeners.Length;
        _openers = new TextTriggers(knowsReasoning ? [.. callOpeners, ThinkOpener] : callOpeners);
        _call = dialect == null ? null : new CallReader(dialect, tools);
        _startsBare = dialect?.StartsBare == true;
        _knowsReasoning = knowsReasoning;
    }

    /// <summary>Whether what comes next is reasoning.</summary>
    public bool IsReasoning { get; private set; }

    /// <summary>Calls that have begun.</summary>
    public int CallCount { get; private set; }

    /// <summary>Calls whose arguments have ended.</summary>
    public int EndedCallCount { get; private set; }

    /// <summary>Whether the answer ended within a call's arguments.</summary>
    public bool HasCutCall { get; private set; }

    /// <summary>The parts that the last <see cref="Read"/> completed.</summary>
    public List<AnswerPart> Parts => _parts;

    /// <summary>Text of a part; valid until the next <see cref="Read"/>.</summary>
    public ReadOnlySpan<byte> Text(AnswerPart part) => _text.AsSpan(part.Start, part.Length);

    /// <summary>Takes up more of the answer.</summary>
    /// <param name="utf8">May be empty.</param>
    /// <param name="isLast">Whether this is the end, so that nothing is held back.</param>
    public void Read(ReadOnlySpan<byte> utf8, bool isLast)
    {
        _parts.Clear();
        MakeRoom(utf8.Length);
        utf8.CopyTo(_text.AsSpan(_length));
        _length += utf8.Length;
        while (_position < _length)
        {
            byte value = _text[_position++];
            if (_isInRegion)
            {
                StepRegion(value);
            }
            else
            {
                StepText(value);
            }
        }

        if (isLast)
        {
            Finish();
        }
    }

    /// <summary>
    /// True once for each call whose name has become known while its arguments are still to come; asked after <see cref="Read"/>.
    /// </summary>
    /// <param name="tool">Index of the tool.</param>
    /// <param name="isNamed">Whether the arguments come alone, without the syntax of an object around them.</param>
    /// <param name="since">What has come after the name already.</param>
    public bool TryTakeAwaited(out int tool, out bool isNamed, out ReadOnlySpan<byte> since)
    {
        tool = _call?.Tool ?? -1;
        isNamed = _call?.IsNamed == true;
        since = default;
        if (_awaitedFrom < 0)
        {
            return false;
        }

        since = _text.AsSpan(_awaitedFrom.._length);
        _awaitedFrom = -1;
        return _isInRegion && tool >= 0;
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t';

    private void MakeRoom(int count)
    {
        if (_taken == _length)
        {
            Shift();
        }

        if (_length + count > _text.Length)
        {
            // What is held is bounded, so that this costs a constant share of the bytes that came since.
            Shift();
            if (_length + count > _text.Length / 2)
            {
                Array.Resize(ref _text, Math.Max(_text.Length, _length + count) * 2);
            }
        }
    }

    private void Shift()
    {
        _text.AsSpan(_taken.._length).CopyTo(_text);
        _length -= _taken;
        _position -= _taken;
        _replayFrom -= _taken;
        _regionStart -= _taken;
        _awaitedFrom = -1;
        _taken = 0;
    }

    private void Emit(AnswerPartKind kind, int end)
    {
        if (end <= _taken)
        {
            return;
        }

        if (_parts.Count > 0 && _parts[^1] is var last && last.Kind == kind && last.Start + last.Length == _taken)
        {
            _parts[^1] = last with { Length = end - last.Start };
        }
        else
        {
            _parts.Add(new AnswerPart(kind, _taken, end - _taken));
        }

        _taken = end;
        _isStart &= kind != AnswerPartKind.Content;
    }

    private void StepText(byte value)
    {
        TextTriggers triggers = IsReasoning ? s_thinkCloser : _openers;
        int before = triggers.Depth(_trigger);
        _trigger = triggers.Next(_trigger, value);
        int depth = triggers.Depth(_trigger);
        if (triggers.Match(_trigger) is >= 0 and var match)
        {
            if (TryOpen(match, _position - depth))
            {
                return;
            }

            (_trigger, depth) = (0, 0);
        }

        bool isSpace = IsSpace(value);
        bool isBroken = before > 0 && depth <= before; // What looked like a trigger was none.
        if (_isBlank && before == 0 && isSpace && _dropsSpace)
        {
            Emit(AnswerPartKind.Markup, _position);
            return;
        }

        if (_isBlank && before == 0 && _startsBare && _isStart && !IsReasoning && value == '{')
        {
            BeginRegion(_position, isTagged: false);
            _position--;
            return;
        }

        _isBlank &= !isBroken && (isSpace || depth > 0);
        _space = isBroken ? 0 : _space;
        _space = depth > 0 ? _space : isSpace ? _space + 1 : 0;
        if (!IsReasoning && _callOpenerCount == 0 && !_isBlank)
        {
            // No call can follow, so that white space need not wait for one.
            _space = 0;
        }

        if (_space > ToolCallLimits.SpaceBytesMax)
        {
            _space = 0;
        }

        Emit(IsReasoning ? AnswerPartKind.Reasoning : AnswerPartKind.Content, _position - depth - _space);
    }

    // What ends at _position and begins at start introduces something, with the white space before it.
    private bool TryOpen(int match, int start)
    {
        int spaceStart = start - _space;
        if (IsReasoning)
        {
            Emit(AnswerPartKind.Reasoning, spaceStart);
            EndBlock();
            IsReasoning = false;
            return true;
        }

        if (match < _callOpenerCount)
        {
            Emit(AnswerPartKind.Content, spaceStart);
            BeginRegion(_position, isTagged: true);
            return true;
        }

        if (!_knowsReasoning || !_isStart || !_isBlank || _hasReasoned)
        {
            return false;
        }

        EndBlock();
        _hasReasoned = true;
        IsReasoning = true;
        return true;
    }

    // A tag; white space after it belongs to it.
    private void EndBlock()
    {
        Emit(AnswerPartKind.Markup, _position);
        (_trigger, _space, _isBlank) = (0, 0, true);
        _dropsSpace = true;
    }

    private void BeginRegion(int replayFrom, bool isTagged)
    {
        _isInRegion = true;
        _replayFrom = replayFrom;
        _regionStart = isTagged ? _position : _position - 1;
        (_trigger, _space) = (0, 0);
        _call!.Begin(isTagged);
    }

    private void StepRegion(byte value)
    {
        CallStep step = _call!.Step(value);
        if (step == CallStep.Held && _position - _taken > ToolCallLimits.HeadBytesMax)
        {
            step = CallStep.Malformed;
        }

        switch (step)
        {
            case CallStep.Held:
                if (_awaitedFrom < 0 && _call.AwaitsArguments && !_isAwaitedKnown)
                {
                    _awaitedFrom = _position;
                    _isAwaitedKnown = true;
                }

                break;
            case CallStep.Open:
                Emit(AnswerPartKind.Markup, _position - 1);
                Open();
                Emit(AnswerPartKind.Arguments, _position);
                break;
            case CallStep.OpenEmpty:
                Emit(AnswerPartKind.Markup, _position);
                Open();
                End();
                break;
            case CallStep.OpenLate:
                Emit(AnswerPartKind.Markup, _regionStart + _call.EarlyArguments.Start);
                Open();
                Emit(AnswerPartKind.Arguments, _regionStart + _call.EarlyArguments.End);
                End();
                Emit(AnswerPartKind.Markup, _position);
                break;
            case CallStep.Arguments:
                Emit(AnswerPartKind.Arguments, _position);
                break;
            case CallStep.ArgumentsEnd:
                Emit(AnswerPartKind.Arguments, _position);
                End();
                break;
            case CallStep.Broken:
                End();
                LeaveRegion(_position - 1);
                break;
            case CallStep.Markup:
                Emit(AnswerPartKind.Markup, _position);
                break;
            case CallStep.MarkupEnd:
                Emit(AnswerPartKind.Markup, _position);
                LeaveRegion(_position);
                break;
            case CallStep.Leave:
                LeaveRegion(_taken);
                break;
            default:
                RefuseRegion();
                break;
        }
    }

    private void Open()
    {
        _parts.Add(new AnswerPart(AnswerPartKind.Call, _taken, 0, _call!.Tool));
        CallCount++;
        _isStart = false;
        _replayFrom = -1;
        _isAwaitedKnown = false;
    }

    private void End()
    {
        _parts.Add(new AnswerPart(AnswerPartKind.CallEnd, _taken, 0));
        EndedCallCount++;
    }

    private void LeaveRegion(int position)
    {
        _isInRegion = false;
        _isAwaitedKnown = false;
        _position = position;
        (_trigger, _space, _isBlank) = (0, 0, true);
    }

    // What introduced it is content; behind it something else may begin.
    private void RefuseRegion()
    {
        int from = _replayFrom > _taken ? _replayFrom : _taken + 1;
        Emit(AnswerPartKind.Content, from);
        LeaveRegion(from);
        _isBlank = false;
    }

    private void Finish()
    {
        if (_isInRegion)
        {
            if (_call!.IsOpen)
            {
                HasCutCall = true;
                End();
                LeaveRegion(_position);
            }
            else
            {
                LeaveRegion(_length);
            }
        }

        bool isSpace = _text.AsSpan(_taken.._length).IndexOfAnyExcept(" \n\r\t"u8) < 0;
        bool isAfterBlock = _isBlank && isSpace && (EndedCallCount > 0 || _dropsSpace);
        Emit(isAfterBlock ? AnswerPartKind.Markup : IsReasoning ? AnswerPartKind.Reasoning : AnswerPartKind.Content, _length);
    }
}
