using System.Text;
using System.Text.Json;

namespace Sluice.Inference.ToolCalls;

/// <summary>What one byte of a transcribed call is.</summary>
internal enum TranscriptStep
{
    /// <summary>Not yet known; belongs to what is held back.</summary>
    Held,

    /// <summary>Syntax, with all that was held; <see cref="CallTranscriber.Pieces"/> has what it stands for.</summary>
    Taken,

    /// <summary>The same; the calls end with it.</summary>
    End,

    /// <summary>The calls have ended before what was held.</summary>
    Leave,

    /// <summary>This is no call, or no longer one.</summary>
    Malformed,
}

/// <summary>
/// Reads calls that are written in another form than JSON, byte by byte from behind what introduces them, and writes their arguments as JSON as
/// they come. Constant work for each byte. Owned by one thread.
/// </summary>
/// <param name="tools">What may be called.</param>
internal abstract class CallTranscriber(IReadOnlyList<ToolShape> tools)
{
    private byte[] _output = new byte[256];
    private int _length;

    /// <summary>The tool that is called; -1 while its name isn't complete.</summary>
    public int Tool { get; private protected set; } = -1;

    /// <summary>Whether the name is known and what comes next are the arguments.</summary>
    public virtual bool AwaitsArguments => false;

    /// <summary>Whether a call is open.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>What has become known since it was taken last: calls, arguments in <see cref="Output"/>, ends of calls.</summary>
    public List<AnswerPart> Pieces { get; } = [];

    /// <summary>JSON of the arguments.</summary>
    public byte[] Output => _output;

    /// <summary>Forgets the output, whose pieces have been taken.</summary>
    public void Clear() => _length = 0;

    /// <summary>Begins.</summary>
    /// <param name="opener">Which of the dialect's openers it was.</param>
    public void Begin(int opener)
    {
        (Tool, IsOpen) = (-1, false);
        Pieces.Clear();
        Restart(opener);
    }

    /// <summary>Takes up a byte.</summary>
    public abstract TranscriptStep Step(byte value);

    /// <summary>What follows can't belong to the call that is open: it ends before it.</summary>
    public void Break()
    {
        if (!IsOpen)
        {
            return;
        }

        CloseOpenValue();
        Close();
    }

    /// <summary>The answer has ended. What is open stays as it is.</summary>
    public void Cut()
    {
        if (!IsOpen)
        {
            return;
        }

        FlushOpenValue();
        Pieces.Add(new AnswerPart(AnswerPartKind.CallEnd, 0, 0));
        IsOpen = false;
    }

    private protected abstract void Restart(int opener);

    /// <summary>Ends the value and the containers that are open.</summary>
    private protected abstract void CloseOpenValue();

    /// <summary>Writes what is held back of the value that is open.</summary>
    private protected abstract void FlushOpenValue();

    /// <summary>Whether the arguments get the braces of their object here; else they come with them.</summary>
    private protected virtual bool WritesBraces => true;

    private protected ToolShape Shape => tools[Tool];

    private protected static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t';

    private protected bool FindTool(ReadOnlySpan<byte> name)
    {
        for (int i = 0; i < tools.Count; i++)
        {
            if (name.SequenceEqual(tools[i].Name))
            {
                Tool = i;
                return true;
            }
        }

        return false;
    }

    /// <summary>The call begins, with the brace of its arguments.</summary>
    private protected void Open()
    {
        Pieces.Add(new AnswerPart(AnswerPartKind.Call, 0, 0, Tool));
        IsOpen = true;
        if (WritesBraces)
        {
            Write("{"u8);
        }
    }

    /// <summary>The arguments end, and the call.</summary>
    private protected void Close()
    {
        if (WritesBraces)
        {
            Write("}"u8);
        }

        Pieces.Add(new AnswerPart(AnswerPartKind.CallEnd, 0, 0));
        IsOpen = false;
    }

    /// <summary>Writes JSON of the arguments.</summary>
    private protected void Write(ReadOnlySpan<byte> json)
    {
        if (_length + json.Length > _output.Length)
        {
            Array.Resize(ref _output, 2 * (_length + json.Length));
        }

        json.CopyTo(_output.AsSpan(_length));
        Pieces.Add(new AnswerPart(AnswerPartKind.Arguments, _length, json.Length));
        _length += json.Length;
    }

    /// <summary>Writes text within a JSON string.</summary>
    private protected void WriteEscaped(ReadOnlySpan<byte> text)
    {
        foreach (byte value in text)
        {
            WriteEscaped(value);
        }
    }

    /// <summary>Writes a byte of text within a JSON string.</summary>
    private protected void WriteEscaped(byte value)
    {
        switch (value)
        {
            case (byte)'"':
                Write("\\\""u8);
                break;
            case (byte)'\\':
                Write("\\\\"u8);
                break;
            case (byte)'\n':
                Write("\\n"u8);
                break;
            case (byte)'\r':
                Write("\\r"u8);
                break;
            case (byte)'\t':
                Write("\\t"u8);
                break;
            case < 0x20:
                Write(Encoding.ASCII.GetBytes($"\\u{value:x4}"));
                break;
            default:
                Write([value]);
                break;
        }
    }

    /// <summary>Writes a text that may be JSON of some kinds, and is a string where it is not.</summary>
    /// <param name="text">Without white space around it.</param>
    /// <param name="kinds">What it may be.</param>
    /// <param name="whole">The same as a string, with its white space.</param>
    private protected void WriteValue(ReadOnlySpan<byte> text, ValueKinds kinds, ReadOnlySpan<byte> whole)
    {
        // Models that write much Python write its words here too.
        ReadOnlySpan<byte> json = text.SequenceEqual("True"u8) ? "true"u8 : text.SequenceEqual("False"u8) ? "false"u8 : text.SequenceEqual("None"u8) ? "null"u8 : text;
        if (IsJson(json, kinds))
        {
            Write(json);
            return;
        }

        Write("\""u8);
        WriteEscaped(whole);
        Write("\""u8);
    }

    private static bool IsJson(ReadOnlySpan<byte> text, ValueKinds kinds)
    {
        if (text.IsEmpty)
        {
            return false;
        }

        try
        {
            var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = 64 });
            using var document = JsonDocument.ParseValue(ref reader);
            return !reader.Read() && kinds.HasFlag(ToolShape.KindOfValue(document.RootElement));
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
