using System.Buffers;
using System.Text;

namespace Sluice.Protocol.ServerSentEvents;

/// <summary>
/// Finds events in bytes that come in pieces. Allocates per event only where its type or id differs from the last one's.
/// For one thread at a time.
/// </summary>
/// <param name="lineBytesMax">Bytes of a line without its end, at least 1.</param>
/// <param name="eventBytesMax">Bytes of an event's lines, comments counted, without their ends, at least 1.</param>
// https://html.spec.whatwg.org/multipage/server-sent-events.html, "Parsing an event stream" and "Interpreting an event stream".
internal sealed class ServerSentEventParser(int lineBytesMax, int eventBytesMax)
{
    private const string DefaultType = "message";

    // The part of a line that came in earlier pieces.
    private readonly ArrayBufferWriter<byte> _line = new();
    private readonly ArrayBufferWriter<byte> _data = new();
    private long _eventBytes;
    private bool _endedInCarriageReturn;
    private bool _isFirstLine = true;
    private string? _type;
    private string _lastType = DefaultType;
    private string? _id;

    /// <summary>Reads up to the end of the next event.</summary>
    /// <param name="bytes">What has come and was not consumed yet.</param>
    /// <param name="consumed">How much of it belongs to what was read; all of it when there is no whole event.</param>
    /// <param name="item">The event; its data is valid until the next call.</param>
    /// <exception cref="InvalidDataException">A line or an event is longer than its bound.</exception>
    public bool TryRead(ReadOnlySpan<byte> bytes, out int consumed, out ServerSentEvent item)
    {
        consumed = 0;
        while (consumed < bytes.Length)
        {
            // Spec: "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A
            // LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR) character."
            // A line ends at its CR already, so that its event need not wait; an LF right after it is skipped.
            if (_endedInCarriageReturn)
            {
                _endedInCarriageReturn = false;
                if (bytes[consumed] == (byte)'\n')
                {
                    consumed++;
                    continue;
                }
            }

            var rest = bytes[consumed..];
            var length = rest.IndexOfAny((byte)'\r', (byte)'\n');
            if (length < 0)
            {
                Count(rest.Length);
                _line.Write(rest);
                consumed = bytes.Length;
                break;
            }

            Count(length);
            consumed += length + 1;
            _endedInCarriageReturn = rest[length] == (byte)'\r';
            if (EndLine(rest[..length]))
            {
                item = TakeEvent();
                return true;
            }
        }

        item = default;
        return false;
    }

    private void Count(int bytes)
    {
        _eventBytes += bytes;
        if ((long)_line.WrittenCount + bytes > lineBytesMax)
        {
            throw new InvalidDataException($"A line of the event stream is longer than {lineBytesMax} bytes.");
        }

        if (_eventBytes > eventBytesMax)
        {
            throw new InvalidDataException($"An event of the event stream is longer than {eventBytesMax} bytes.");
        }
    }

    /// <summary>Interprets a line of which <paramref name="end"/> is what came last.</summary>
    /// <returns>Whether it ended an event that is to be dispatched.</returns>
    private bool EndLine(ReadOnlySpan<byte> end)
    {
        if (_line.WrittenCount == 0) return Interpret(end);
        _line.Write(end);
        var isEvent = Interpret(_line.WrittenSpan);
        _line.ResetWrittenCount();
        return isEvent;
    }

    private bool Interpret(ReadOnlySpan<byte> line)
    {
        // Spec: "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
        if (_isFirstLine && line.StartsWith("\uFEFF"u8)) line = line["\uFEFF"u8.Length..];
        _isFirstLine = false;
        if (line.IsEmpty)
        {
            // Spec: "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and return."
            if (_data.WrittenCount > 0) return true;
            _type = null;
            _eventBytes = 0;
            return false;
        }

        // Spec: "Collect the characters on the line before the first U+003A COLON character (:), and let field be that string." A comment
        // is the line whose field is empty.
        var colon = line.IndexOf((byte)':');
        var field = colon < 0 ? line : line[..colon];
        var value = colon < 0 ? default : line[(colon + 1)..];

        // Spec: "If value starts with a U+0020 SPACE character, remove it from value."
        if (value.StartsWith(" "u8)) value = value[1..];
        if (field.SequenceEqual("data"u8))
        {
            _data.Write(value);
            _data.Write("\n"u8);
        }
        else if (field.SequenceEqual("event"u8))
        {
            _type = value.IsEmpty ? null : Reuse(_lastType, value);
        }
        else if (field.SequenceEqual("id"u8) && !value.Contains((byte)0))
        {
            // Spec: "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field value."
            _id = value.IsEmpty ? null : Reuse(_id, value);
        }

        return false;
    }

    private ServerSentEvent TakeEvent()
    {
        // Spec: "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the last character from the data
        // buffer."
        var item = new ServerSentEvent(_type ?? DefaultType, _data.WrittenMemory[..^1], _id);
        if (_type is not null) _lastType = _type;
        _type = null;
        _eventBytes = 0;
        _data.ResetWrittenCount();
        return item;
    }

    private static string Reuse(string? last, ReadOnlySpan<byte> value) =>
        last is not null && Ascii.Equals(value, last) ? last : Encoding.UTF8.GetString(value);
}
