using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// Puts the tool calls of one choice one after the other. Clients take a call for whole when the next one begins, so what belongs to a
/// later call waits until the arguments of the one before it are complete, or the choice ends.
/// </summary>
/// <param name="calls">The calls, which say when they are complete.</param>
/// <param name="close">Writes what is missing of a call that ends.</param>
internal sealed class ToolCallOrder(ToolCallNormalizer calls, Action<RelayedCall, IEventOutput> close)
{
    private readonly Dictionary<int, EventBuffer> _held = [];
    private long _heldBytes;
    private int _open;
    private bool _isFree;

    /// <summary>Where the next event of a call goes: out, or to those that wait.</summary>
    /// <param name="call">Index of the call.</param>
    /// <param name="output">Receives what need not wait any longer.</param>
    public IEventOutput Open(int call, IEventOutput output)
    {
        if (_isFree) return output;
        if (call > _open) Advance(output);
        if (call <= _open) return output;
        if (!_held.TryGetValue(call, out var held)) _held.Add(call, held = new EventBuffer());
        _heldBytes -= held.WrittenCount;
        return held;
    }

    /// <summary>To be called when the event is written.</summary>
    /// <param name="call">As for <see cref="Open"/>.</param>
    /// <param name="output">Receives what need not wait any longer.</param>
    public void Close(int call, IEventOutput output)
    {
        if (_held.TryGetValue(call, out var held)) _heldBytes += held.WrittenCount;
        if (_held.Count == 0) return;
        Advance(output);
        if (_heldBytes <= ProtocolLimits.HeldToolCallBytesMax) return;
        // From here on they pass as they come.
        for (; _open < calls.Count - 1; Next(output))
        {
        }
        _isFree = true;
    }

    /// <summary>The choice ends: every call is closed, in order.</summary>
    public void Release(IEventOutput output)
    {
        for (; !_isFree && _open < calls.Count - 1; Next(output)) CloseOpen(output);
        if (!_isFree)
        {
            if (calls.Count > 0) CloseOpen(output);
            return;
        }
        for (var i = 0; i < calls.Count; i++)
        {
            if (!calls[i].IsClosed) close(calls[i], output);
        }
    }

    private void Advance(IEventOutput output)
    {
        // An empty object that another call follows was all that there is.
        while (_open < calls.Count - 1 && (calls[_open].IsComplete || calls[_open].HasPlaceholder))
        {
            CloseOpen(output);
            Next(output);
        }
    }

    private void CloseOpen(IEventOutput output)
    {
        if (!calls[_open].IsClosed) close(calls[_open], output);
    }

    private void Next(IEventOutput output)
    {
        if (!_held.Remove(++_open, out var held)) return;
        _heldBytes -= held.WrittenCount;
        held.CopyTo(output);
    }
}
