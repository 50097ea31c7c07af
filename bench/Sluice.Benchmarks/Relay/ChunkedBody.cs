using System.Globalization;

namespace Sluice.Benchmarks.Relay;

/// <summary>Takes the framing off a chunked HTTP body, and counts a piece of text in what is left. One answer at a time. Allocates nothing.</summary>
/// <param name="marker">Counted also where it is cut by the framing.</param>
internal sealed class ChunkedBody(byte[] marker)
{
    // Heads of relays are a few hundred bytes; of a line only what stands in it matters, not where it was cut.
    private readonly byte[] _line = new byte[8 << 10];
    private int _lineLength;
    private bool _isHead = true;
    private bool _isTrailer;
    private int _left;
    private int _matched;

    /// <summary>How often the text has come.</summary>
    public int Count { get; private set; }

    public bool IsEnd { get; private set; }

    public void Reset()
    {
        (_isHead, _isTrailer, IsEnd) = (true, false, false);
        (_lineLength, _left, _matched, Count) = (0, 0, 0, 0);
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !IsEnd)
        {
            if (_left > 0)
            {
                var data = bytes[..int.Min(_left, bytes.Length)];
                CountIn(data);
                _left -= data.Length;
                bytes = bytes[data.Length..];
                continue;
            }
            var end = bytes.IndexOf((byte)'\n');
            var part = end < 0 ? bytes : bytes[..end];
            part.CopyTo(_line.AsSpan(_lineLength));
            _lineLength += part.Length;
            if (end < 0) return;
            bytes = bytes[(end + 1)..];
            TakeLine(_line.AsSpan(0, _lineLength).TrimEnd((byte)'\r'));
            _lineLength = 0;
        }
    }

    private void TakeLine(ReadOnlySpan<byte> line)
    {
        if (_isHead) _isHead = line.Length > 0;
        else if (_isTrailer) IsEnd = line.Length == 0;
        else if (line.Length > 0)
        {
            _left = int.Parse(line, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            _isTrailer = _left == 0;
        }
    }

    private void CountIn(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            if (_matched == 0)
            {
                var at = data.IndexOf(marker);
                if (at >= 0)
                {
                    Count++;
                    data = data[(at + marker.Length)..];
                    continue;
                }
                // Only an end that could go on is looked at byte by byte.
                data = data[int.Max(0, data.Length - marker.Length + 1)..];
            }
            foreach (var value in data)
            {
                if (value == marker[_matched]) _matched++;
                else _matched = value == marker[0] ? 1 : 0;
                if (_matched < marker.Length) continue;
                Count++;
                _matched = 0;
            }
            return;
        }
    }
}
