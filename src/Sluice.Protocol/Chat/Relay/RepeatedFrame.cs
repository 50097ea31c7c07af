using System.Buffers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// A frame of which only the text differs from the ones before it, as nearly all of a stream do: it is known by what stands before and behind
/// the text, and need not be parsed. For one thread at a time.
/// </summary>
internal sealed class RepeatedFrame
{
    // A stream whose frames differ in more than the text, by an obfuscation for one, isn't worth more.
    private const int TemplatesMax = 4;

    private static readonly SearchValues<byte> s_notPlain = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(value => (byte)value), (byte)'"', (byte)'\\']);

    private int _templateCount;
    private byte[] _before = [];
    private byte[] _behind = [];
    private byte[] _writtenBefore = [];
    private byte[] _writtenBehind = [];

    /// <summary>Whether another frame may still be taken for an example.</summary>
    public bool IsWanted => _templateCount < TemplatesMax;

    /// <summary>Writes the event if the frame is like the example.</summary>
    /// <param name="data">The frame, well-formed UTF-8.</param>
    /// <param name="output">Receives one event or nothing.</param>
    /// <returns>Bytes of the text; 0 when the frame is another.</returns>
    public int TryWrite(ReadOnlySpan<byte> data, IBufferWriter<byte> output)
    {
        var length = data.Length - _before.Length - _behind.Length;
        if (_before.Length == 0 || length <= 0 || !data.StartsWith(_before) || !data.EndsWith(_behind)) return 0;
        var text = data.Slice(_before.Length, length);
        // What is escaped is parsed: its well-formedness takes more than a look.
        if (text.ContainsAny(s_notPlain)) return 0;
        JsonText.WriteRaw(output, _writtenBefore);
        JsonText.WriteRaw(output, text);
        JsonText.WriteRaw(output, _writtenBehind);
        return length;
    }

    /// <summary>Takes an example.</summary>
    /// <param name="data">The frame.</param>
    /// <param name="text">Its text, without quotation marks: a part of it.</param>
    /// <param name="textStart">Where that stands.</param>
    /// <param name="choices">Offset of the choices, which were written as they are.</param>
    /// <param name="written">The event that it became.</param>
    public void Learn(ReadOnlySpan<byte> data, ReadOnlySpan<byte> text, int textStart, ReadOnlySpan<byte> choices, ReadOnlySpan<byte> written)
    {
        _templateCount++;
        var choicesStart = written.IndexOf(choices);
        data.Overlaps(choices, out var inData);
        if (choicesStart < 0) return;
        var writtenStart = choicesStart + textStart - inData;
        _before = data[..textStart].ToArray();
        _behind = data[(textStart + text.Length)..].ToArray();
        _writtenBefore = written[..writtenStart].ToArray();
        _writtenBehind = written[(writtenStart + text.Length)..].ToArray();
    }
}
