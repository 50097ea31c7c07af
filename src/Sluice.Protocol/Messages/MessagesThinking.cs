using System.Buffers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>The thinking blocks of an answer, as JSON that can be given back. Nothing is kept of an answer that thinks beyond every bound.</summary>
internal sealed class MessagesThinking
{
    private readonly ArrayBufferWriter<byte> _blocks = new();
    private readonly ArrayBufferWriter<byte> _signature = new();
    private bool _isOpen;
    private bool _isTooLong;

    /// <summary>The blocks that have ended, with commas between them.</summary>
    public ReadOnlySpan<byte> Blocks => _isTooLong || _isOpen ? default : _blocks.WrittenSpan;

    /// <param name="text">The beginning of the text, escaped, without quotation marks.</param>
    /// <param name="signature">The same of the signature.</param>
    public void Begin(ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature)
    {
        BeginBlock();
        JsonText.WriteRaw(_blocks, "{\"type\":\"thinking\",\"thinking\":\""u8);
        _signature.ResetWrittenCount();
        _isOpen = true;
        AddText(text);
        AddSignature(signature);
    }

    public void AddText(ReadOnlySpan<byte> text)
    {
        if (_isOpen && HasRoom(text)) JsonText.WriteRaw(_blocks, text);
    }

    public void AddSignature(ReadOnlySpan<byte> signature)
    {
        if (_isOpen && HasRoom(signature)) JsonText.WriteRaw(_signature, signature);
    }

    public void End()
    {
        JsonText.WriteRaw(_blocks, "\",\"signature\":\""u8);
        JsonText.WriteRaw(_blocks, _signature.WrittenSpan);
        JsonText.WriteRaw(_blocks, "\"}"u8);
        _isOpen = false;
    }

    /// <param name="content">Of a block that nobody but the API can read; escaped, without quotation marks.</param>
    public void AddRedacted(ReadOnlySpan<byte> content)
    {
        if (!HasRoom(content)) return;
        BeginBlock();
        JsonText.WriteRaw(_blocks, "{\"type\":\"redacted_thinking\",\"data\":\""u8);
        JsonText.WriteRaw(_blocks, content);
        JsonText.WriteRaw(_blocks, "\"}"u8);
    }

    private void BeginBlock()
    {
        if (_blocks.WrittenCount > 0) JsonText.WriteRaw(_blocks, ","u8);
    }

    private bool HasRoom(ReadOnlySpan<byte> more)
    {
        _isTooLong |= _blocks.WrittenCount + _signature.WrittenCount + more.Length > ProtocolLimits.ThinkingBytesMax;
        return !_isTooLong;
    }
}
