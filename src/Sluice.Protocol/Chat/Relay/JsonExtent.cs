namespace Sluice.Protocol.Chat.Relay;

/// <summary>Sees where a JSON text ends that comes in pieces, itself escaped in a JSON string. It checks nothing else.</summary>
internal struct JsonExtent
{
    private int _depth;
    private bool _isInString;
    private bool _isEscaped;

    /// <summary>Whether the value has come to its end.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Ends it, where it is known otherwise.</summary>
    public void Complete() => IsComplete = true;

    /// <summary>Takes the next piece.</summary>
    /// <param name="escaped">What is between the quotation marks of a well-formed JSON string.</param>
    public void Add(ReadOnlySpan<byte> escaped)
    {
        for (var i = 0; i < escaped.Length && !IsComplete; i++)
        {
            if (escaped[i] != (byte)'\\')
            {
                Step((char)escaped[i]);
                continue;
            }
            var next = (char)escaped[++i];
            if (next == 'u')
            {
                Step((char)Convert.ToUInt16(System.Text.Encoding.ASCII.GetString(escaped.Slice(i + 1, 4)), 16));
                i += 4;
            }
            else
            {
                // The others are white space or control characters.
                Step(next is '"' or '\\' or '/' ? next : ' ');
            }
        }
    }

    private void Step(char character)
    {
        if (_isInString)
        {
            var isEnd = character == '"' && !_isEscaped;
            _isEscaped = character == '\\' && !_isEscaped;
            if (!isEnd) return;
            _isInString = false;
            IsComplete = _depth == 0;
            return;
        }
        switch (character)
        {
            case '"':
                _isInString = true;
                break;
            case '{' or '[':
                _depth++;
                break;
            case '}' or ']':
                IsComplete = --_depth <= 0;
                break;
            case ' ' or ',' or ':':
                break;
            default:
                // A number or a word by itself is as long as it is; nobody's arguments are one.
                IsComplete = _depth == 0;
                break;
        }
    }
}
