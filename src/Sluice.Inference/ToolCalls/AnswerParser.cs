namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Turns the text of one answer into parts as it is generated: content, reasoning, calls. Every byte becomes part of exactly one of them, in
/// order; what was given out stays as it is, and what turns out to be no call is content. Constant work for each byte, and nothing is
/// allocated after warming up. Owned by one thread.
/// </summary>
internal sealed class AnswerParser : AnswerReader
{
    private readonly CallReader? _call;
    private readonly CallTranscriber? _transcriber;
    private readonly TextTriggers _thoughtCloser;
    private readonly TextTriggers _openers;
    private readonly int _callOpenerCount;
    private readonly bool _startsBare;
    private readonly bool _knowsReasoning;
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
        : this(dialect, [.. tools.Select(static name => new ToolShape(name, null))], knowsReasoning ? ReasoningTags.Think : null)
    {
    }

    /// <param name="dialect">How calls are written; null where there are no tools.</param>
    /// <param name="tools">What may be called.</param>
    /// <param name="reasoning">What an answer may begin with; null for no reasoning.</param>
    public AnswerParser(ToolCallDialect? dialect, IReadOnlyList<ToolShape> tools, ReasoningTags? reasoning)
    {
        string[] callOpeners = [.. dialect?.Openers ?? []];
        _callOpenerCount = callOpeners.Length;
        _openers = new TextTriggers(reasoning != null ? [.. callOpeners, reasoning.Opener] : callOpeners);
        _thoughtCloser = new TextTriggers([(reasoning ?? ReasoningTags.Think).Closer]);
        _transcriber = dialect?.CreateTranscriber(tools);
        _call = dialect == null || _transcriber != null ? null : new CallReader(dialect, [.. tools.Select(static tool => tool.Name)]);
        _startsBare = dialect?.StartsBare == true;
        _knowsReasoning = reasoning != null;
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Text(AnswerPart part) =>
        (part.IsMade ? _transcriber!.Output : _text).AsSpan(part.Start, part.Length);

    /// <inheritdoc/>
    public override void Read(ReadOnlySpan<byte> utf8, bool isLast)
    {
        Parts.Clear();
        _transcriber?.Clear();
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

    /// <inheritdoc/>
    public override bool TryTakeAwaited(out int tool, out bool isNamed, out ReadOnlySpan<byte> since)
    {
        tool = _transcriber?.Tool ?? _call?.Tool ?? -1;
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

        if (Parts.Count > 0 && Parts[^1] is var last && last.Kind == kind && !last.IsMade && last.Start + last.Length == _taken)
        {
            Parts[^1] = last with { Length = end - last.Start };
        }
        else
        {
            Parts.Add(new AnswerPart(kind, _taken, end - _taken));
        }

        _taken = end;
        _isStart &= kind != AnswerPartKind.Content;
    }

    private void StepText(byte value)
    {
        TextTriggers triggers = IsReasoning ? _thoughtCloser : _openers;
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
            BeginRegion(_position, isTagged: true, match);
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

    private void BeginRegion(int replayFrom, bool isTagged, int opener = 0)
    {
        _isInRegion = true;
        _replayFrom = replayFrom;
        _regionStart = isTagged ? _position : _position - 1;
        (_trigger, _space) = (0, 0);
        _call?.Begin(isTagged);
        _transcriber?.Begin(opener);
    }

    private void StepRegion(byte value)
    {
        if (_transcriber != null)
        {
            StepTranscribed(_transcriber, value);
            return;
        }

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

    // What the model wrote is syntax, and the parts that it stands for are made.
    private void StepTranscribed(CallTranscriber transcriber, byte value)
    {
        TranscriptStep step = transcriber.Step(value);
        if (step == TranscriptStep.Held && _position - _taken > ToolCallLimits.HeadBytesMax)
        {
            step = TranscriptStep.Malformed;
        }

        switch (step)
        {
            case TranscriptStep.Held:
                if (_awaitedFrom < 0 && transcriber.AwaitsArguments && !_isAwaitedKnown)
                {
                    _awaitedFrom = _position;
                    _isAwaitedKnown = true;
                }

                break;
            case TranscriptStep.Taken:
                Emit(AnswerPartKind.Markup, _position);
                TakePieces(transcriber);
                break;
            case TranscriptStep.End:
                Emit(AnswerPartKind.Markup, _position);
                TakePieces(transcriber);
                LeaveRegion(_position);
                break;
            case TranscriptStep.Leave:
                TakePieces(transcriber);
                LeaveRegion(_taken);
                break;
            default:
                bool isOpen = transcriber.IsOpen;
                transcriber.Break();
                TakePieces(transcriber);
                if (isOpen || _replayFrom < 0)
                {
                    LeaveRegion(_taken);
                }
                else
                {
                    RefuseRegion();
                }

                break;
        }
    }

    private void TakePieces(CallTranscriber transcriber)
    {
        foreach (AnswerPart piece in transcriber.Pieces)
        {
            switch (piece.Kind)
            {
                case AnswerPartKind.Call:
                    Open(piece.Tool);
                    break;
                case AnswerPartKind.CallEnd:
                    End();
                    break;
                default:
                    AddMade(piece);
                    break;
            }
        }

        transcriber.Pieces.Clear();
    }

    private void Open() => Open(_call!.Tool);

    private void Open(int tool)
    {
        Parts.Add(new AnswerPart(AnswerPartKind.Call, _taken, 0, tool));
        CallCount++;
        _isStart = false;
        _replayFrom = -1;
        _isAwaitedKnown = false;
    }

    private void End()
    {
        Parts.Add(new AnswerPart(AnswerPartKind.CallEnd, _taken, 0));
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
        if (_isInRegion && _transcriber != null)
        {
            HasCutCall |= _transcriber.IsOpen;
            bool wasOpen = _transcriber.IsOpen || _replayFrom < 0;
            _transcriber.Cut();
            TakePieces(_transcriber);
            LeaveRegion(_length);
            if (wasOpen)
            {
                // What was held of a closing tag.
                Emit(AnswerPartKind.Markup, _length);
            }
        }
        else if (_isInRegion)
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
