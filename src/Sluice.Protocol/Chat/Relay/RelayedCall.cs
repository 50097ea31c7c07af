using System.Buffers;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>One tool call of an upstream's answer, as far as its fragments have come.</summary>
/// <param name="index">From 0 without gaps: what clients are given.</param>
internal sealed class RelayedCall(int index)
{
    // A repetition of longer arguments is not looked for.
    private const int ComparedBytesMax = 64 << 10;

    private readonly ArrayBufferWriter<byte> _arguments = new();
    private JsonExtent _extent;
    private bool _isTooLong;

    public int Index => index;

    /// <summary>As the upstream states it; null where it has stated none yet.</summary>
    public string? UpstreamId { get; set; }

    /// <summary>What clients are given; null until the head goes out.</summary>
    public string? Id { get; set; }

    /// <summary>As far as it is known. Empty until the head goes out.</summary>
    public string Name { get; set; } = "";

    /// <summary>Whether the input is a text instead of JSON.</summary>
    public bool IsCustom { get; set; }

    /// <summary>Whether id and name have gone out.</summary>
    public bool IsBegun { get; set; }

    /// <summary>Whether nothing more is expected, and what was missing has been written.</summary>
    public bool IsClosed { get; set; }

    /// <summary>Whether <c>{}</c> has come as arguments and waits: real ones may follow.</summary>
    public bool HasPlaceholder { get; set; }

    /// <summary>Arguments that came before the name, escaped.</summary>
    public ArrayBufferWriter<byte> Held { get; } = new();

    /// <summary>Whether arguments have come, beside a placeholder.</summary>
    public bool HasArguments => _arguments.WrittenCount > 0 || _isTooLong;

    /// <summary>Whether all arguments have come. Of an input that is no JSON nobody can tell, and it is taken for whole.</summary>
    public bool IsComplete => IsCustom || _extent.IsComplete;

    /// <summary>Whether these are all of the arguments once more.</summary>
    /// <param name="escaped">What is between the quotation marks of a JSON string.</param>
    public bool IsRepetition(ReadOnlySpan<byte> escaped) => _extent.IsComplete && !_isTooLong && escaped.StartsWith("{"u8) && _arguments.WrittenSpan.SequenceEqual(escaped);

    /// <summary>More of the arguments.</summary>
    /// <param name="escaped">What is between the quotation marks of a well-formed JSON string.</param>
    public void Add(ReadOnlySpan<byte> escaped)
    {
        _extent.Add(escaped);
        if (_isTooLong || _arguments.WrittenCount + escaped.Length > ComparedBytesMax) _isTooLong = true;
        else _arguments.Write(escaped);
    }
}
