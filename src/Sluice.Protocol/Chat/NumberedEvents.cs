using System.Buffers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

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
    /// <param name="events">Of the stream; comments with a blank line of their own may stand before the lines of one.</param>
    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(events);
        for (var i = 0; i < events.Count; i++)
        {
            var rest = events[i];
            while (rest[0] == (byte)':')
            {
                var comment = rest[..(rest.IndexOf((byte)'\n') + 1)];
                JsonText.WriteRaw(output, comment);
                rest = rest[(comment.Length + 1)..];
            }
            JsonText.WriteRaw(output, "id: "u8);
            JsonText.WriteRaw(output, streamId);
            JsonText.WriteRaw(output, ":"u8);
            JsonText.WriteInteger(output, ++passedCount);
            JsonText.WriteRaw(output, "\n"u8);
            JsonText.WriteRaw(output, rest);
        }
    }
}
