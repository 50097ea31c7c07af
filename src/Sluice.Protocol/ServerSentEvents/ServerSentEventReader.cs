using System.Buffers;
using System.Runtime.CompilerServices;

namespace Sluice.Protocol.ServerSentEvents;

/// <summary>Reads an event stream in every framing that is legal, with memory bounded by the longest event.</summary>
/// <remarks>
/// Not <c>System.Net.ServerSentEvents</c>: its parser lets the type of an event without data stand for the next event, holds an event
/// that ends in a carriage return until another byte comes, and has no bound to set.
/// </remarks>
public static class ServerSentEventReader
{
    // Room for an event or two: it is held while a stream is waited for, which is most of its time.
    private const int BufferBytes = 1024;

    // For what comes faster than that.
    private const int BurstBytes = 16 * 1024;

    /// <summary>Reads events until the stream ends; each is returned as soon as its blank line has come.</summary>
    /// <param name="stream">UTF-8 bytes, cut anywhere. The caller disposes it.</param>
    /// <param name="lineBytesMax">Bytes of a line without its end; default <see cref="ProtocolLimits.EventLineBytesMax"/>.</param>
    /// <param name="eventBytesMax">Bytes of an event's lines; default <see cref="ProtocolLimits.EventBytesMax"/>.</param>
    /// <param name="cancellationToken">Ends the wait for more bytes.</param>
    /// <exception cref="InvalidDataException">A line or an event is over its bound. Every event before it has been returned.</exception>
    public static async IAsyncEnumerable<ServerSentEvent> ReadAsync(
        Stream stream,
        int lineBytesMax = ProtocolLimits.EventLineBytesMax,
        int eventBytesMax = ProtocolLimits.EventBytesMax,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var parser = new ServerSentEventParser(lineBytesMax, eventBytesMax);
        var size = BufferBytes;
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            // Spec: "Once the end of the file is reached, any pending data must be discarded. (If the file ends in the middle of an event,
            // before the final empty line, the incomplete event is not dispatched.)"
            int read;
            while ((read = await stream.ReadAsync(buffer.AsMemory(0, size), cancellationToken)) > 0)
            {
                var offset = 0;
                while (parser.TryRead(buffer.AsSpan(offset, read - offset), out var consumed, out var item))
                {
                    offset += consumed;
                    yield return item;
                }
                // A read that fills the small buffer has probably left something behind, and one that would have fitted into it has not.
                if (size == BufferBytes ? read < size : read > BufferBytes) continue;
                size = size == BufferBytes ? BurstBytes : BufferBytes;
                var other = ArrayPool<byte>.Shared.Rent(size);
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = other;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
