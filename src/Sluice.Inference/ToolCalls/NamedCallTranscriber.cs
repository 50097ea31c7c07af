using System.Runtime.InteropServices;
using System.Text;

namespace Sluice.Inference.ToolCalls;

/// <summary>The marks of calls that are a name and an object.</summary>
/// <param name="CallOpener">Stands before the name.</param>
/// <param name="Separator">Stands behind it.</param>
/// <param name="CallCloser">Ends the call.</param>
/// <param name="Closer">Ends all calls.</param>
internal sealed record CallMarks(string CallOpener, string Separator, string CallCloser, string Closer)
{
    /// <summary>DeepSeek V3 and R1.</summary>
    public static CallMarks DeepSeek { get; } = new("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>");

    /// <summary>Kimi K2.</summary>
    public static CallMarks Kimi { get; } = new("<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>");
}

/// <summary>
/// Calls that are a name and an object between marks. DeepSeek's older form, with the word <c>function</c> before the mark and a fence around the
/// object, and Kimi's names with a space and a number are read too.
/// </summary>
internal sealed class NamedCallTranscriber : CallTranscriber
{
    private enum State
    {
        Call, Name, Line, Start, Arguments, Tail, After,
    }

    private const string Functions = "functions.";

    private readonly byte[] _callOpener;
    private readonly byte[] _separator;
    private readonly byte[] _callCloser;
    private readonly byte[] _closer;
    private readonly List<byte> _text = [];
    private State _state;
    private JsonSpan _span;

    public NamedCallTranscriber(IReadOnlyList<ToolShape> tools, CallMarks marks)
        : base(tools)
    {
        _callOpener = Encoding.UTF8.GetBytes(marks.CallOpener);
        _separator = Encoding.UTF8.GetBytes(marks.Separator);
        _callCloser = Encoding.UTF8.GetBytes(marks.CallCloser);
        _closer = Encoding.UTF8.GetBytes(marks.Closer);
    }

    public override bool AwaitsArguments => Tool >= 0 && !IsOpen && _state == State.Start;

    public override TranscriptStep Step(byte value)
    {
        switch (_state)
        {
            case State.Call or State.After:
                return StepMark(value);
            case State.Name:
                _text.Add(value);
                if (!Text.EndsWith(_separator))
                {
                    return _text.Count > ToolCallLimits.KeyBytesMax + ToolCallLimits.NameBytesMax + _separator.Length ? TranscriptStep.Malformed : TranscriptStep.Held;
                }

                ReadOnlySpan<byte> name = Text[..^_separator.Length].Trim(" \n\r\t"u8);
                return name.SequenceEqual("function"u8) ? Go(State.Line) : FindTool(Plain(name)) ? Go(State.Start) : TranscriptStep.Malformed;
            case State.Line:
                if (value != '\n')
                {
                    _text.Add(value);
                    return _text.Count > ToolCallLimits.NameBytesMax ? TranscriptStep.Malformed : TranscriptStep.Held;
                }

                return FindTool(Text.Trim(" \r"u8)) ? Go(State.Start) : TranscriptStep.Malformed;
            case State.Start:
                return StepStart(value);
            case State.Arguments:
                return StepArguments(value);
            default:
                _text.Add(value);
                if (!Text.EndsWith(_callCloser))
                {
                    return _text.Count > ToolCallLimits.KeyBytesMax + _callCloser.Length ? TranscriptStep.Leave : TranscriptStep.Held;
                }

                Go(State.After);
                return TranscriptStep.Taken;
        }
    }

    private protected override void Restart(int opener) => Go(State.Call);

    // Of an object that is cut by something else nothing can be closed.
    private protected override void CloseOpenValue() => _text.Clear();

    private protected override void FlushOpenValue() => _text.Clear();

    private protected override bool WritesBraces => false;

    private ReadOnlySpan<byte> Text => CollectionsMarshal.AsSpan(_text);

    private TranscriptStep Go(State state)
    {
        _state = state;
        _text.Clear();
        return TranscriptStep.Held;
    }

    private static ReadOnlySpan<byte> Plain(ReadOnlySpan<byte> name)
    {
        if (name.StartsWith(Encoding.ASCII.GetBytes(Functions)))
        {
            name = name[Functions.Length..];
        }

        int colon = name.LastIndexOf((byte)':');
        return colon > 0 ? name[..colon] : name;
    }

    private TranscriptStep StepMark(byte value)
    {
        if (_text.Count == 0 && IsSpace(value))
        {
            return TranscriptStep.Held;
        }

        _text.Add(value);
        if (Text.SequenceEqual(_callOpener))
        {
            Tool = -1;
            return Go(State.Name);
        }

        if (_state == State.After && Text.SequenceEqual(_closer))
        {
            return TranscriptStep.End;
        }

        return _callOpener.AsSpan().StartsWith(Text) || (_state == State.After && _closer.AsSpan().StartsWith(Text)) ? TranscriptStep.Held
            : _state == State.After ? TranscriptStep.Leave : TranscriptStep.Malformed;
    }

    // White space, and the beginning of a fence.
    private TranscriptStep StepStart(byte value)
    {
        if (value == '{')
        {
            Open();
            Write("{"u8);
            _span = default;
            _span.Step(value);
            _state = State.Arguments;
            return TranscriptStep.Taken;
        }

        if (IsSpace(value))
        {
            return TranscriptStep.Held;
        }

        _text.Add(value);
        return "```json"u8.StartsWith(Text) ? TranscriptStep.Held : TranscriptStep.Malformed;
    }

    private TranscriptStep StepArguments(byte value)
    {
        if (!_span.Step(value))
        {
            return TranscriptStep.Malformed;
        }

        Write([value]);
        if (_span.Depth == 0)
        {
            Close();
            Go(State.Tail);
        }

        return TranscriptStep.Taken;
    }
}
