using System.Text;

namespace Sluice.Benchmarks.Relay;

/// <summary>Takes the framing off a chunked HTTP body, and counts a piece of text in what is left. One answer at a time.</summary>
/// <param name="marker">Counted also where it is cut by the framing.</param>
internal sealed class ChunkedBody(byte[] marker)
{
    private readonly StringBuilder _line = new();
    private bool _isHead = true;
    private bool _isTrailer;
    private int _left;
    private int _matched;

    /// <summary>How often the text has come.</summary>
    public int Count { get; private set; }

    public bool IsEnd { get; private set; }

    public void Reset()
    {
        _line.Clear();
        (_isHead, _isTrailer, IsEnd) = (true, false, false);
        (_left, _matched, Count) = (0, 0, 0);
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
            _line.Append(Encoding.ASCII.GetString(end < 0 ? bytes : bytes[..end]));
            if (end < 0) return;
            bytes = bytes[(end + 1)..];
            TakeLine(_line.ToString().TrimEnd('\r'));
            _line.Clear();
        }
    }

    private void TakeLine(string line)
    {
        if (_isHead) _isHead = line.Length > 0;
        else if (_isTrailer) IsEnd = line.Length == 0;
        else if (line.Length > 0)
        {
            _left = int.Parse(line, System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
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
