using System.Buffers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;

namespace Sluice.Protocol.ServerSentEvents;

/// <summary>
/// Reads an event stream in every framing that is legal, with memory bounded by the longest event. Reading once, for one thread at a
/// time; <see cref="SseParser"/> does the parsing, this type the bounds.
/// </summary>
// https://html.spec.whatwg.org/multipage/server-sent-events.html, "Parsing an event stream" and "Interpreting an event stream".
public static class ServerSentEventReader
{
    /// <summary>Reads events until the stream ends.</summary>
    /// <param name="stream">UTF-8 bytes, cut anywhere. The caller disposes it.</param>
    /// <param name="lineBytesMax">Bytes of a line without its end; default <see cref="ProtocolLimits.EventLineBytesMax"/>.</param>
    /// <param name="eventBytesMax">Bytes between two blank lines; default <see cref="ProtocolLimits.EventBytesMax"/>.</param>
    /// <param name="cancellationToken">Ends the wait for more bytes.</param>
    /// <exception cref="InvalidDataException">A line or an event is longer than its bound. Every event before it has been returned.</exception>
    public static async IAsyncEnumerable<ServerSentEvent> ReadAsync(
        Stream stream,
        int lineBytesMax = ProtocolLimits.EventLineBytesMax,
        int eventBytesMax = ProtocolLimits.EventBytesMax,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentOutOfRangeException.ThrowIfLessThan(lineBytesMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(eventBytesMax, 1);

        // The parser hands out each event before it parses the next one, so one buffer serves them all.
        var data = new ArrayBufferWriter<byte>();
        using var bounded = new BoundedEventStream(stream, lineBytesMax, eventBytesMax);

        // Spec: "Streams must be decoded using the UTF-8 decode algorithm", which "strips one leading UTF-8 Byte Order Mark (BOM), if any".
        // Spec: "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A LINE FEED
        // (LF) character, or a single U+000D CARRIAGE RETURN (CR) character."
        // Spec: "If the line starts with a U+003A COLON character (:) Ignore the line."
        // Spec: "If value starts with a U+0020 SPACE character, remove it from value."
        // Spec: "If the field name is "data": Append the field value to the data buffer, then append a single U+000A LINE FEED (LF) character".
        // Spec: "Once the end of the file is reached, any pending data must be discarded. (If the file ends in the middle of an event, before
        // the final empty line, the incomplete event is not dispatched.)"
        var parser = SseParser.Create(bounded, (_, bytes) =>
        {
            data.ResetWrittenCount();
            data.Write(bytes);
            return true;
        });
        await foreach (var item in parser.EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return new ServerSentEvent(item.EventType, data.WrittenMemory, parser.LastEventId is { Length: > 0 } id ? id : null);
        }
    }
}
