using System.Buffers;
using System.Text;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Cuts a text that comes in pieces before the first stop sequence in it. What might begin one is held back until more has come. For one text,
/// and for one thread at a time.
/// </summary>
internal sealed class StopTexts
{
    private readonly string[] _texts;
    private readonly byte[][] _stops;
    private readonly ArrayBufferWriter<byte> _held = new();
    private readonly ArrayBufferWriter<byte> _free = new();

    /// <param name="texts">At least one, none of them empty.</param>
    public StopTexts(IReadOnlyList<string> texts)
    {
        _texts = [.. texts];
        _stops = Array.ConvertAll(_texts, Encoding.UTF8.GetBytes);
    }

    /// <summary>The sequence that has ended the text; null before.</summary>
    public string? Found { get; private set; }

    /// <summary>Takes more of the text.</summary>
    /// <param name="utf8">Whole code points.</param>
    /// <returns>What of it is no part of a stop sequence, in whole code points; valid until the next call.</returns>
    public ReadOnlySpan<byte> Add(ReadOnlySpan<byte> utf8)
    {
        if (Found is not null) return default;
        _held.Write(utf8);
        var held = _held.WrittenSpan;
        var end = -1;
        for (var i = 0; i < _stops.Length; i++)
        {
            var at = held.IndexOf(_stops[i]);
            if (at >= 0 && (end < 0 || at < end)) (end, Found) = (at, _texts[i]);
        }
        return Release(Found is null ? held.Length - BegunLength(held) : end);
    }

    /// <summary>The text has ended: what was held back is no stop sequence. Another text may follow.</summary>
    public ReadOnlySpan<byte> End() => Found is null ? Release(_held.WrittenCount) : default;

    private ReadOnlySpan<byte> Release(int length)
    {
        _free.ResetWrittenCount();
        _free.Write(_held.WrittenSpan[..length]);
        var rest = _held.WrittenSpan[length..].ToArray();
        _held.ResetWrittenCount();
        _held.Write(rest);
        return _free.WrittenSpan;
    }

    // The longest end of the text that a stop sequence begins with.
    private int BegunLength(ReadOnlySpan<byte> text)
    {
        var longest = 0;
        foreach (var stop in _stops)
        {
            for (var length = int.Min(stop.Length - 1, text.Length); length > longest; length--)
            {
                if (!text.EndsWith(stop.AsSpan(0, length))) continue;
                longest = length;
                break;
            }
        }
        return longest;
    }
}
