using System.Buffers;

namespace Sluice.Inference.ToolCalls;

/// <summary>Where a JSON value ends, byte by byte. Checks no more than that needs; a byte that no JSON has outside of strings ends it too.</summary>
internal struct JsonSpan
{
    private static readonly SearchValues<byte> s_outsideStrings = SearchValues.Create("{}[]\",:+-.0123456789eEtrufalsn \t\r\n"u8);

    private bool _isInString;
    private bool _isEscaped;

    /// <summary>Objects and arrays that are open.</summary>
    public int Depth { get; private set; }

    /// <summary>Whether a string is open.</summary>
    public readonly bool IsInString => _isInString;

    /// <summary>Takes up a byte.</summary>
    /// <returns>False for a byte that can't belong to the value.</returns>
    public bool Step(byte value)
    {
        if (_isInString)
        {
            if (_isEscaped) _isEscaped = false;
            else if (value == '\\') _isEscaped = true;
            else if (value == '"') _isInString = false;
            return true;
        }

        switch (value)
        {
            case (byte)'"':
                _isInString = true;
                return true;
            case (byte)'{' or (byte)'[':
                Depth++;
                return true;
            case (byte)'}' or (byte)']':
                Depth--;
                return Depth >= 0;
            default:
                return s_outsideStrings.Contains(value);
        }
    }
}
