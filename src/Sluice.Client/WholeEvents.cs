using System.Buffers;

namespace Sluice.Client;

/// <summary>Lets whole events of a stream through and counts them; what a cut leaves of one is thrown away, for it comes again.</summary>
internal sealed class WholeEvents
{
    private readonly ArrayBufferWriter<byte> _block = new();
    private int _lineStart;
    private bool _hasFields;
    private End _found;

    private enum End
    {
        None,
        Chunk,
        Done,
        Failure,
    }

    /// <summary>Chunks that went through.</summary>
    public long Count { get; private set; }

    /// <summary>Whether <c>[DONE]</c> went through.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Whether the hub has said that the stream failed.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Forgets the event that has begun.</summary>
    public void Discard()
    {
        _block.ResetWrittenCount();
        (_lineStart, _hasFields, _found) = (0, false, End.None);
    }

    /// <summary>Adds bytes, of which the whole events go on.</summary>
    public void Add(ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        while (bytes.IndexOf((byte)'\n') is >= 0 and var end)
        {
            _block.Write(bytes[..(end + 1)]);
            bytes = bytes[(end + 1)..];
            EndLine(output);
        }
        _block.Write(bytes);
    }

    private void EndLine(IBufferWriter<byte> output)
    {
        var line = _block.WrittenSpan[_lineStart..].TrimEnd("\r\n"u8);
        var isComment = line.StartsWith(":"u8);
        _lineStart = _block.WrittenCount;
        if (!isComment && line.Length > 0)
        {
            _hasFields = true;
            if (_found == End.None && line.StartsWith("data:"u8)) _found = Find(line["data:".Length..].TrimStart((byte)' '));
            return;
        }
        // A comment between events is life that whoever reads may be waiting for.
        if (isComment && _hasFields) return;
        output.Write(_block.WrittenSpan);
        if (_found == End.Chunk) Count++;
        IsDone |= _found == End.Done;
        HasFailed |= _found == End.Failure;
        Discard();
    }

    private static End Find(ReadOnlySpan<byte> value) => value.SequenceEqual("[DONE]"u8) ? End.Done : value.StartsWith("{\"error\""u8) ? End.Failure : End.Chunk;
}
