using System.Text;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Reads answers in channels, as gpt-oss writes them: reasoning in <c>analysis</c>, text in <c>final</c> and before calls in <c>commentary</c>, and
/// calls as messages to a function, in whatever place of the header the model names it. A header that is missing is taken for that of a text.
/// </summary>
/// <param name="tools">What may be called; empty without tools.</param>
internal sealed class HarmonyReader(IReadOnlyList<ToolShape> tools) : AnswerReader
{
    private enum State
    {
        Header, Text, Reasoning, CallStart, Arguments, CallEnd,
    }

    private const string Message = "<|message|>";
    private const string Recipient = "to=";
    private const string Functions = "functions.";

    private static readonly string[] s_ends = ["<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>"];
    private static readonly TextTriggers s_borders = new(s_ends);
    private static readonly byte[] s_message = Encoding.UTF8.GetBytes(Message);
    private static readonly byte[] s_gap = "\n\n"u8.ToArray();

    // What a header may begin with, each with what may stand before it.
    private static readonly byte[][] s_headers = [.. ((string[])["<|channel|>", "<|start|>", "<|message|>", "<|constrain|>", "to=", "assistant", "analysis", "commentary", "final"]).Select(Encoding.UTF8.GetBytes)];

    private byte[] _text = new byte[256];
    private int _length;
    private int _position;
    private int _taken;
    private int _trigger;
    private int _headerStart;
    private State _state = State.Header;
    private JsonSpan _span;
    private int _tool = -1;
    private int _awaitedFrom = -1;
    private bool _hasContent;
    private bool _needsGap;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Text(AnswerPart part) => part.IsMade ? s_gap.AsSpan(part.Start, part.Length) : _text.AsSpan(part.Start, part.Length);

    /// <inheritdoc/>
    public override void Read(ReadOnlySpan<byte> utf8, bool isLast)
    {
        Parts.Clear();
        MakeRoom(utf8.Length);
        utf8.CopyTo(_text.AsSpan(_length));
        _length += utf8.Length;
        while (_position < _length)
        {
            byte value = _text[_position++];
            if (_state == State.Header)
            {
                StepHeader();
            }
            else
            {
                StepBody(value);
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
        (tool, isNamed) = (_tool, true);
        since = default;
        if (_awaitedFrom < 0)
        {
            return false;
        }

        since = _text.AsSpan(_awaitedFrom.._length).TrimStart(" \n\r\t"u8);
        _awaitedFrom = -1;
        return _state is State.CallStart or State.Arguments && tool >= 0;
    }

    private void MakeRoom(int count)
    {
        _text.AsSpan(_taken.._length).CopyTo(_text);
        _length -= _taken;
        _position -= _taken;
        _headerStart -= _taken;
        _awaitedFrom = -1;
        _taken = 0;
        if (_length + count > _text.Length)
        {
            Array.Resize(ref _text, 2 * (_length + count));
        }
    }

    private void Emit(AnswerPartKind kind, int end)
    {
        if (end <= _taken)
        {
            return;
        }

        if (kind == AnswerPartKind.Content)
        {
            if (_needsGap && _hasContent)
            {
                Parts.Add(new AnswerPart(AnswerPartKind.Content, 0, s_gap.Length) { IsMade = true });
            }

            (_hasContent, _needsGap) = (true, false);
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
    }

    private void StepHeader()
    {
        ReadOnlySpan<byte> header = _text.AsSpan(_headerStart.._position);
        if (header.EndsWith(s_message))
        {
            BeginBody(Encoding.UTF8.GetString(header[..^s_message.Length]));
            return;
        }

        bool isHeader = BeginsHeader(header.TrimStart(" \n\r\t"u8));
        if (!isHeader || header.Length > ToolCallLimits.HeadBytesMax)
        {
            // There is none: the model has begun to speak.
            Begin(State.Text);
            _position = _taken;
        }
    }

    private static bool BeginsHeader(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return true;
        }

        foreach (byte[] start in s_headers)
        {
            if (text.StartsWith(start) || start.AsSpan().StartsWith(text))
            {
                return true;
            }
        }

        return false;
    }

    private void BeginBody(string header)
    {
        Emit(AnswerPartKind.Markup, _position);
        string channel = "";
        if (header.LastIndexOf("<|channel|>", StringComparison.Ordinal) is >= 0 and var at)
        {
            channel = FirstWord(header[(at + "<|channel|>".Length)..]);
        }
        else if (FirstWord(header) is "analysis" or "commentary" or "final")
        {
            channel = FirstWord(header);
        }

        // A stray `to=assistant` names nobody that is called.
        string recipient = header.LastIndexOf(Recipient, StringComparison.Ordinal) is >= 0 and var to ? FirstWord(header[(to + Recipient.Length)..]) : "";
        _tool = FindTool(recipient);
        Begin(_tool >= 0 ? State.CallStart : channel == "analysis" ? State.Reasoning : State.Text);
        if (_tool >= 0)
        {
            _awaitedFrom = _position;
        }
    }

    private static string FirstWord(string text)
    {
        text = text.TrimStart();
        int end = text.AsSpan().IndexOfAny(" \n\r\t<");
        return end < 0 ? text : text[..end];
    }

    private int FindTool(string recipient)
    {
        string name = recipient.StartsWith(Functions, StringComparison.Ordinal) ? recipient[Functions.Length..] : recipient;
        for (int i = 0; name.Length > 0 && i < tools.Count; i++)
        {
            if (tools[i].Name.AsSpan().SequenceEqual(Encoding.UTF8.GetBytes(name)))
            {
                return i;
            }
        }

        return -1;
    }

    private void Begin(State state)
    {
        _state = state;
        _trigger = 0;
        IsReasoning = state == State.Reasoning;
        _needsGap |= state == State.Text;
    }

    private void StepBody(byte value)
    {
        if (_state == State.Arguments)
        {
            StepArguments(value);
            return;
        }

        _trigger = s_borders.Next(_trigger, value);
        int depth = s_borders.Depth(_trigger);
        if (s_borders.Match(_trigger) is >= 0 and var border)
        {
            End(_position - depth, border);
            return;
        }

        switch (_state)
        {
            case State.Reasoning:
                Emit(AnswerPartKind.Reasoning, _position - depth);
                break;
            case State.Text:
                Emit(AnswerPartKind.Content, _position - depth);
                break;
            case State.CallStart when value == '{':
                Emit(AnswerPartKind.Markup, _position - 1);
                Parts.Add(new AnswerPart(AnswerPartKind.Call, _taken, 0, _tool));
                CallCount++;
                _span = default;
                _span.Step(value);
                _state = State.Arguments;
                Emit(AnswerPartKind.Arguments, _position);
                break;
            case State.CallStart when depth == 0 && value is not ((byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t'):
                // No object of arguments, so that it is a text.
                Begin(State.Text);
                Emit(AnswerPartKind.Content, _position);
                break;
            case State.CallEnd:
                Emit(AnswerPartKind.Markup, _position - depth);
                break;
        }
    }

    private void StepArguments(byte value)
    {
        if (!_span.Step(value))
        {
            EndCall();
            _position--;
            return;
        }

        Emit(AnswerPartKind.Arguments, _position);
        if (_span.Depth == 0)
        {
            EndCall();
        }
    }

    private void EndCall()
    {
        Parts.Add(new AnswerPart(AnswerPartKind.CallEnd, _taken, 0));
        EndedCallCount++;
        Begin(State.CallEnd);
    }

    // What begins at start ends the body, or begins another header already.
    private void End(int start, int border)
    {
        Emit(_state switch { State.Reasoning => AnswerPartKind.Reasoning, State.Text => AnswerPartKind.Content, _ => AnswerPartKind.Markup }, start);
        Begin(State.Header);
        _needsGap = false;
        bool isHeader = s_ends[border] is "<|start|>" or "<|channel|>";
        if (isHeader)
        {
            _headerStart = start;
            _position = start + s_ends[border].Length;
            return;
        }

        Emit(AnswerPartKind.Markup, _position);
        _headerStart = _position;
    }

    private void Finish()
    {
        switch (_state)
        {
            case State.Arguments:
                HasCutCall = true;
                Parts.Add(new AnswerPart(AnswerPartKind.CallEnd, _taken, 0));
                EndedCallCount++;
                Begin(State.CallEnd);
                break;
            case State.Text:
                Emit(AnswerPartKind.Content, _length);
                break;
            case State.Reasoning:
                Emit(AnswerPartKind.Reasoning, _length);
                break;
        }

        Emit(AnswerPartKind.Markup, _length);
    }
}
