using System.Buffers;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Testing;

/// <summary>Short ways from bytes to events.</summary>
public static class Events
{
    /// <summary>Each array is one event.</summary>
    public static EventBuffer Of(IEnumerable<byte[]> events)
    {
        var buffer = new EventBuffer();
        foreach (var bytes in events)
        {
            buffer.Write(bytes);
            buffer.EndEvent();
        }
        return buffer;
    }
}
