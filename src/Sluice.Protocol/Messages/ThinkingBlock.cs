using System.Buffers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>The thinking block that is open, as the JSON that its server wants back. Beyond every bound nothing is kept of an answer's.</summary>
internal sealed class ThinkingBlock
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly ArrayBufferWriter<byte> _signature = new();
    private bool _isOpen;
    private long _bytes;

    /// <param name="signature">Its beginning, escaped, without quotation marks; as in every method here.</param>
    public void Begin(ReadOnlySpan<byte> signature)
    {
        _text.ResetWrittenCount();
        _signature.ResetWrittenCount();
        _isOpen = true;
        AddSignature(signature);
    }

    public void AddText(ReadOnlySpan<byte> text)
    {
        if (_isOpen && HasRoomFor(text)) JsonText.WriteRaw(_text, text);
    }

    public void AddSignature(ReadOnlySpan<byte> signature)
    {
        if (_isOpen && HasRoomFor(signature)) JsonText.WriteRaw(_signature, signature);
    }

    /// <summary>Ends the block; false where none is open, or it is too long to be kept.</summary>
    public bool TryEnd(out ReadOnlyMemory<byte> block)
    {
        block = default;
        if (!_isOpen) return false;
        _isOpen = false;
        if (_bytes > ProtocolLimits.ThinkingBytesMax) return false;
        block = (byte[])[.. "{\"type\":\"thinking\",\"thinking\":\""u8, .. _text.WrittenSpan, .. "\",\"signature\":\""u8, .. _signature.WrittenSpan, .. "\"}"u8];
        return true;
    }

    /// <summary>Whether there is room for more of the answer's.</summary>
    public bool HasRoomFor(ReadOnlySpan<byte> more)
    {
        _bytes += more.Length;
        return _bytes <= ProtocolLimits.ThinkingBytesMax;
    }
}
