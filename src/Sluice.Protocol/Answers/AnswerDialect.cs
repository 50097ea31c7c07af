using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Answers;

/// <summary>
/// Everything that differs between two doors: how requests are read, how answers are written, folded, numbered and ended, and what they
/// are called. The log of an answer holds the events of the dialect that asked. Stateless; one instance each.
/// </summary>
public abstract class AnswerDialect
{
    /// <summary>Names the dialect in stores; never changes.</summary>
    public abstract string Name { get; }

    /// <summary>What a request asks for, by OpenTelemetry's list of operations of generative AI.</summary>
    public virtual string Operation => "chat";

    /// <summary>Begins the ids of its answers.</summary>
    public abstract string IdPrefix { get; }

    /// <summary>Where answers are asked for; each is found below it by its id. Without a slash at the end.</summary>
    public abstract string Path { get; }

    /// <summary>The <c>object</c> that a whole answer is.</summary>
    public abstract string ObjectKind { get; }

    /// <summary>Whether answers are kept, so that they can be resumed and looked at.</summary>
    public virtual bool IsKept => true;

    /// <summary>The <c>object</c> that tells of a deletion.</summary>
    public abstract string DeletedKind { get; }

    /// <summary>A header of every reply that names the request, beside the hub's own; null for none.</summary>
    public virtual string? RequestIdHeader => null;

    /// <summary>The media type of a stream.</summary>
    public virtual string StreamContentType => "text/event-stream; charset=utf-8";

    /// <summary>Whether a body is taken for JSON whatever its request calls it: documented commands of some programs call it nothing.</summary>
    public virtual bool TakesAnyContentType => false;

    /// <summary>Headers of a request that go to an upstream of the same dialect, and to no other.</summary>
    public virtual IReadOnlyList<string> PassedHeaders => [];

    /// <summary>Reads what the hub must know of a request.</summary>
    /// <param name="body">The whole body; not kept.</param>
    /// <param name="outline">What the hub must know.</param>
    /// <param name="error">A 400: it is not JSON, not an object, or names no model.</param>
    public abstract bool TryReadOutline(
        ReadOnlySpan<byte> body, [NotNullWhen(true)] out RequestOutline? outline, [NotNullWhen(false)] out ApiError? error);

    /// <summary>
    /// Writes the request in the neutral form, which is a chat request with members of the hub's own under <c>sluice</c>. Pure: equal
    /// requests give equal bytes, because caches of prompts depend on that.
    /// </summary>
    /// <param name="body">A body that <see cref="TryReadOutline"/> has accepted.</param>
    /// <param name="form">Who reads it.</param>
    /// <param name="output">Receives the body; of no use after an error.</param>
    /// <returns>A 400 that names what can't be said in that form; null where there is nothing.</returns>
    public abstract ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output);

    /// <summary>Another name for a model that nobody knows by the one asked for; null where the dialect's clients add nothing to names.</summary>
    /// <param name="model">As the client wrote it.</param>
    public virtual string? FindPlainName(string model) => null;

    /// <summary>The request as one of the older completions, where it is a text that goes on; null for a conversation.</summary>
    /// <param name="body">A body that <see cref="TryReadOutline"/> has accepted.</param>
    public virtual ReadOnlyMemory<byte>? FindText(ReadOnlyMemory<byte> body) => null;

    /// <summary>Shortens a request that is longer than the model's context, where it allows that itself. Pure.</summary>
    /// <param name="body">A body that <see cref="TryReadOutline"/> has accepted.</param>
    /// <param name="error">Why the whole of it was refused.</param>
    /// <returns>A request that may still be too long; null where it has to be refused.</returns>
    public virtual ReadOnlyMemory<byte>? Shorten(ReadOnlyMemory<byte> body, ApiError error) => null;

    /// <summary>Passes the events of an upstream on that speaks this dialect too.</summary>
    public abstract AnswerRelay CreateRelay(RelayOptions answer);

    /// <summary>Events that a client has which names <paramref name="startingAfter"/> as the last one.</summary>
    public virtual long PositionAfter(long startingAfter) => startingAfter;

    /// <summary>The status that tells of an error at this door.</summary>
    public virtual int StatusOf(ApiError error)
    {
        ArgumentNullException.ThrowIfNull(error);
        return error.Status;
    }

    /// <summary>Writes the body of a reply that is an error.</summary>
    public virtual void WriteErrorBody(IBufferWriter<byte> output, ApiError error, string requestId)
    {
        ArgumentNullException.ThrowIfNull(error);
        error.WriteTo(output);
    }

    /// <summary>Collects the events of one answer into the object that a request without a stream gets.</summary>
    public abstract AnswerFold CreateFold();

    /// <summary>The same for a reply that begins now and says how long it took.</summary>
    /// <param name="time">Clock of the reply.</param>
    public virtual AnswerFold CreateFold(TimeProvider time) => CreateFold();

    /// <summary>Whether an event depends on those before it, so that a writer that continues an answer must know them.</summary>
    public virtual bool WritesFromPast => false;

    /// <summary>Turns what a model says into events.</summary>
    public abstract DeltaWriter CreateWriter(AnswerHead head);

    /// <summary>Brings the end of an answer that was cancelled, or cut by a budget, into the form of a regular one.</summary>
    /// <param name="head">What was asked.</param>
    /// <param name="delivered">Events that are still kept, up to the last one.</param>
    /// <param name="isWhole">Whether the first event is among them.</param>
    /// <param name="finished">Choices that are known to have finished, by index.</param>
    /// <param name="usage">What was used.</param>
    /// <param name="isEstimated">Whether that is a guess.</param>
    /// <param name="output">Receives the events.</param>
    /// <returns>False when the events are of a shape that no end can be made for.</returns>
    public abstract bool TryWriteStop(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output);

    /// <summary>
    /// What the events of an answer that broke off say, for another attempt to say it again and go on. Dialects whose events are compared
    /// have none.
    /// </summary>
    /// <param name="events">All of them, from the first on.</param>
    /// <returns>Null where it can't be gone on with: a tool is called, or the answer has refused.</returns>
    public virtual DeliveredDeltas? ReadDelivered(EventBuffer events) => null;

    /// <summary>
    /// Writes an event as a reader of a stream gets it: one that holds an answer as a whole is taken apart. One event stays one, for cursors
    /// count them.
    /// </summary>
    /// <param name="answerEvent">Of a log.</param>
    /// <param name="output">Receives one event.</param>
    public abstract void WriteStreamed(ReadOnlySpan<byte> answerEvent, IEventOutput output);

    /// <summary>Writes what follows the last event of an answer that is whole.</summary>
    public abstract void WriteEnd(IBufferWriter<byte> output);

    /// <summary>Writes the end of a stream that failed, in place of everything that a regular end has.</summary>
    public abstract void WriteFailure(IBufferWriter<byte> output, StreamFailure failure);

    /// <summary>Writes a comment that keeps the connection from looking idle. Not an event.</summary>
    /// <param name="output">Receives the comment.</param>
    /// <param name="hasIds">Whether events have ids.</param>
    public abstract void WriteHeartbeat(IBufferWriter<byte> output, bool hasIds);

    /// <summary>
    /// Writes an event that keeps a client waiting which doesn't count comments, after a long silence. It is not part of the answer. Most
    /// dialects have none.
    /// </summary>
    /// <param name="output">Receives the event.</param>
    /// <param name="eventCount">Events that the client has, at least 1.</param>
    public virtual void WriteKeepAlive(IBufferWriter<byte> output, long eventCount)
    {
    }

    /// <summary>Writes events with their ids, <c>{streamId}:{number}</c>.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="streamId">Without line breaks.</param>
    /// <param name="passedCount">Events of the stream before these: the first is the next number.</param>
    /// <param name="events">Of the stream.</param>
    public abstract void WriteNumbered(IBufferWriter<byte> output, ReadOnlySpan<byte> streamId, long passedCount, EventBuffer events);
}
