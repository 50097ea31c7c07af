using System.Buffers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>A call whose block is open, or complete and waiting for one before it.</summary>
/// <param name="index">Of its block.</param>
/// <param name="id">What the result refers to.</param>
/// <param name="name">Of the tool.</param>
/// <param name="whole">Its input, should no piece of it come.</param>
/// <param name="isCustom">Whether its input is text for the client.</param>
internal sealed class OpenCall(long index, string id, string name, byte[] whole, bool isCustom)
{
    private ArrayBufferWriter<byte>? _kept;

    public long Index => index;

    public string Id => id;

    public string Name => name;

    public byte[] Whole => whole;

    public CallKind Kind => isCustom ? CallKind.Custom : CallKind.Function;

    /// <summary>Takes the text out of the input of a custom tool; null for others.</summary>
    public CustomInputReader? Custom { get; } = isCustom ? new CustomInputReader() : null;

    public bool HasBegun { get; set; }

    public bool HasInput { get; set; }

    public bool IsComplete { get; set; }

    /// <summary>Keeps input for later; false where it is too much.</summary>
    public bool Keep(ReadOnlySpan<byte> json)
    {
        _kept ??= new ArrayBufferWriter<byte>();
        if (_kept.WrittenCount + json.Length > ProtocolLimits.HeldToolCallBytesMax) return false;
        JsonText.WriteRaw(_kept, json);
        return true;
    }

    public byte[]? TakeKept()
    {
        var kept = _kept?.WrittenSpan.ToArray();
        _kept = null;
        return kept;
    }
}

/// <summary>Calls in the order in which they began. Blocks may be open beside one another, but everybody is told of one call at a time.</summary>
internal sealed class OpenCalls
{
    private readonly List<OpenCall> _calls = [];

    /// <summary>The one that is told of; null for none.</summary>
    public OpenCall? First => _calls.Count > 0 ? _calls[0] : null;

    public OpenCall? Find(long index) => _calls.Find(call => call.Index == index);

    // A number that comes again is another block.
    public void Add(OpenCall call) => _calls.Add(call);

    public void Remove(OpenCall call) => _calls.Remove(call);
}
