using System.Buffers;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Answers;

/// <summary>Makes of a stream's events the one object that a request without a stream is answered with. For one thread at a time.</summary>
public abstract class AnswerFold
{
    /// <summary>How the stream failed; null while it has not. Nothing is folded after it.</summary>
    public abstract ApiError? Error { get; }

    /// <summary>Folds more of the stream.</summary>
    /// <param name="sseEvents">Any number of whole events.</param>
    public abstract void Add(ReadOnlySpan<byte> sseEvents);

    /// <summary>The stream has come to its regular end. What is missing then is an <see cref="Error"/>.</summary>
    public abstract void End();

    /// <summary>Writes the object. After <see cref="End"/>, and only without an <see cref="Error"/>.</summary>
    public abstract void WriteTo(IBufferWriter<byte> output);

    /// <summary>Writes what has come so far as an object.</summary>
    /// <param name="output">Receives the object.</param>
    /// <param name="head">For a stream without events.</param>
    /// <param name="sluiceMembers">Members for the object <c>sluice</c>, without its braces; at least one.</param>
    public abstract void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers);

    /// <summary>The same for a dialect whose objects say where an answer stands.</summary>
    /// <param name="output">Receives the object.</param>
    /// <param name="head">For a stream without events.</param>
    /// <param name="sluiceMembers">As above.</param>
    /// <param name="state">The hub's word for where it stands.</param>
    /// <param name="failure">Why it failed; null where it has not.</param>
    public virtual void WriteSoFar(IBufferWriter<byte> output, AnswerHead head, ReadOnlySpan<byte> sluiceMembers, string state, ApiError? failure) =>
        WriteSoFar(output, head, sluiceMembers);
}
