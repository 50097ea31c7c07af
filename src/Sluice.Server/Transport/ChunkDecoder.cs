namespace Sluice.Server.Transport;

/// <summary>Takes the chunked coding (RFC 9112, 7.1) off bytes where they lie. Chunk extensions and trailers are passed over.</summary>
internal struct ChunkDecoder
{
    // Of extensions and trailers, of which nothing is kept.
    private const int IgnoredBytesMax = 64 << 10;

    private State _state;
    private long _left;
    private int _digits;
    private int _ignored;

    private enum State
    {
        Size,
        Extension,
        SizeEnd,
        Data,
        DataReturn,
        DataEnd,
        TrailerStart,
        Trailer,
        TrailersEnd,
        Ended,
    }

    /// <summary>Whether the last chunk and its trailers have come.</summary>
    public readonly bool HasEnded => _state == State.Ended;

    /// <summary>Moves what is content to the front.</summary>
    /// <param name="bytes">As received; cut anywhere.</param>
    /// <param name="used">How many of them belong to the body; fewer than all where something follows its end.</param>
    /// <returns>Bytes of content, from the first on.</returns>
    /// <exception cref="IOException">It is no chunked coding.</exception>
    public int Decode(Span<byte> bytes, out int used)
    {
        var written = 0;
        var i = 0;
        while (i < bytes.Length && _state != State.Ended)
        {
            if (_state == State.Data)
            {
                var count = (int)long.Min(_left, bytes.Length - i);
                if (written != i) bytes.Slice(i, count).CopyTo(bytes[written..]);
                written += count;
                i += count;
                if ((_left -= count) == 0) _state = State.DataReturn;
                continue;
            }
            Step(bytes[i++]);
        }
        used = i;
        return written;
    }

    private void Step(byte value)
    {
        switch (_state)
        {
            case State.Size:
                if (char.IsAsciiHexDigit((char)value))
                {
                    // 15 digits are more than any body has, and fit.
                    if (++_digits > 15) throw Invalid();
                    _left = (_left << 4) | (uint)HexValue(value);
                    return;
                }
                if (_digits == 0) throw Invalid();
                if (value == '\r') _state = State.SizeEnd;
                else if (value == '\n') EndSize();
                else if (value is (byte)';' or (byte)' ' or (byte)'\t') _state = State.Extension;
                else throw Invalid();
                return;
            case State.Extension:
                Ignore();
                if (value == '\n') EndSize();
                return;
            case State.SizeEnd:
                if (value != '\n') throw Invalid();
                EndSize();
                return;
            case State.DataReturn:
                _state = value == '\r' ? State.DataEnd : value == '\n' ? State.Size : throw Invalid();
                return;
            case State.DataEnd:
                _state = value == '\n' ? State.Size : throw Invalid();
                return;
            case State.TrailerStart:
                _state = value == '\n' ? State.Ended : value == '\r' ? State.TrailersEnd : State.Trailer;
                return;
            case State.Trailer:
                Ignore();
                if (value == '\n') _state = State.TrailerStart;
                return;
            default:
                _state = value == '\n' ? State.Ended : throw Invalid();
                return;
        }
    }

    private void EndSize()
    {
        _state = _left == 0 ? State.TrailerStart : State.Data;
        _digits = 0;
    }

    private void Ignore()
    {
        if (++_ignored > IgnoredBytesMax) throw Invalid();
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    private static IOException Invalid() => new("The body is not in chunks, as its head says.");
}
