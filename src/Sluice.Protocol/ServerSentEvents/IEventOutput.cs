using System.Buffers;

namespace Sluice.Protocol.ServerSentEvents;

/// <summary>Receives the events of an answer: the bytes of each, then its end. A log is one, and so is an <see cref="EventBuffer"/>.</summary>
public interface IEventOutput : IBufferWriter<byte>
{
    /// <summary>What was written since the last call is one event.</summary>
    void EndEvent();
}
