using System.Buffers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>Writes the events of a stream with their ids, so that a client can say which it has got.</summary>
/// <remarks>
/// The id stands in the block of its data and before it. No block without data ends in a blank line: the decoder of Python's SDK keeps the id, and
/// would take that line for an event that isn't JSON.
/// </remarks>
public static class NumberedEvents
{
    /// <summary>Copies whole events and gives each an id, <c>{streamId}:{number}</c>.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="streamId">Without line breaks.</param>
    /// <param name="passedCount">Events of the stream before these: the first is the next number.</param>
    /// <param name="sseEvents">Each one <c>data: </c> line and a blank line; comments with a blank line of their own may stand between them.</param>
    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, ReadOnlySpan<byte> sseEvents)
    {
        ArgumentNullException.ThrowIfNull(output);
        while (!sseEvents.IsEmpty)
        {
            var end = sseEvents.IndexOf("\n\n"u8);
            if (end < 0) throw new ArgumentException("The last event is not whole.", nameof(sseEvents));
            var block = sseEvents[..(end + 2)];
            sseEvents = sseEvents[(end + 2)..];
            if (block[0] == (byte)':')
            {
                JsonText.WriteRaw(output, block[..^1]);
                continue;
            }
            JsonText.WriteRaw(output, "id: "u8);
            JsonText.WriteRaw(output, streamId);
            JsonText.WriteRaw(output, ":"u8);
            JsonText.WriteInteger(output, ++passedCount);
            JsonText.WriteRaw(output, "\n"u8);
            JsonText.WriteRaw(output, block);
        }
    }
}
