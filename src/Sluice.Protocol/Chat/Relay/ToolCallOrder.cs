using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// Puts the tool calls of one choice one after the other. Clients take a call for whole when the next one begins, so what belongs to a
/// later call waits until the arguments of the one before it are complete, or the choice ends.
/// </summary>
/// <param name="calls">The calls, which say when they are complete.</param>
internal sealed class ToolCallOrder(ToolCallNormalizer calls)
{
    private readonly SortedDictionary<int, EventBuffer> _held = [];
    private int _open;

    /// <summary>Where the next event of a call goes: out, or to those that wait.</summary>
    /// <param name="call">Index of the call.</param>
    /// <param name="output">Receives what need not wait any longer.</param>
    public IEventOutput Open(int call, IEventOutput output)
    {
        if (call > _open) Advance(output);
        if (call <= _open) return output;
        if (!_held.TryGetValue(call, out var held)) _held.Add(call, held = new EventBuffer());
        return held;
    }

    /// <summary>To be called when the event is written.</summary>
    public void Close(IEventOutput output)
    {
        if (_held.Count == 0) return;
        Advance(output);
        if (_held.Values.Sum(static held => held.WrittenCount) > ProtocolLimits.HeldToolCallBytesMax) Release(output);
    }

    /// <summary>Lets everything out, call by call, and holds nothing any more.</summary>
    public void Release(IEventOutput output)
    {
        foreach (var held in _held.Values) held.CopyTo(output);
        _held.Clear();
        _open = int.MaxValue;
    }

    private void Advance(IEventOutput output)
    {
        while (_open < calls.Count - 1 && calls.IsComplete(_open))
        {
            if (_held.Remove(++_open, out var held)) held.CopyTo(output);
        }
    }
}
