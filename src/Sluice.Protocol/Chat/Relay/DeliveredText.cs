using System.Buffers;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>One text of a choice, <c>content</c> for one, as far as a client has been given it.</summary>
/// <param name="name">The member of the delta.</param>
internal sealed class DeliveredText(string name)
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public string Name => name;

    /// <summary>UTF-8, unescaped.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    /// <summary>How much of it another answer has repeated, in bytes.</summary>
    public int Repeated { get; set; }

    /// <summary>What is still to be repeated.</summary>
    public ReadOnlySpan<byte> Rest => Bytes[Repeated..];

    public void Append(ReadOnlySpan<byte> utf8) => _bytes.Write(utf8);
}
