using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Answers;

/// <summary>Why a model stopped.</summary>
public enum AnswerEnd
{
    /// <summary>It said everything.</summary>
    Stop,

    /// <summary>It has used its tokens up.</summary>
    Length,

    /// <summary>It waits for the results of its calls.</summary>
    ToolCalls,

    /// <summary>A filter cut it off.</summary>
    ContentFilter,
}

/// <summary>What a tool's input is.</summary>
public enum CallKind
{
    /// <summary>JSON, by a schema.</summary>
    Function,

    /// <summary>Any text.</summary>
    Custom,
}

/// <summary>
/// Turns what a model says, piece by piece and in no dialect's words, into events of one dialect. Each method ends the events that it
/// writes. Text without log probabilities allocates nothing. For one answer, and for one thread at a time.
/// </summary>
public abstract class DeltaWriter
{
    /// <summary>The answer begins. Before anything else, unless the beginning was written in an earlier life.</summary>
    /// <param name="output">Receives the events, as in every method here.</param>
    /// <param name="isText">False where the answer begins with something else than text; it may still have some later.</param>
    public abstract void Begin(IEventOutput output, bool isText);

    /// <summary>More text.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="utf8">Whole code points; what is not well-formed becomes U+FFFD.</param>
    /// <param name="logprobs">The tokens that ended in this text, where log probabilities were asked for.</param>
    public abstract void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs);

    /// <summary>More reasoning, before the text.</summary>
    public abstract void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8);

    /// <summary>A call begins; the one before it is complete.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="call">From 0 without gaps, for each choice.</param>
    /// <param name="kind">What its input is.</param>
    /// <param name="id">What the result will refer to.</param>
    /// <param name="name">Of the tool.</param>
    public abstract void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name);

    /// <summary>More of the input of a call: JSON of a function, text of a custom tool. Whole code points.</summary>
    public abstract void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8);

    /// <summary>A choice has finished.</summary>
    public abstract void Finish(IEventOutput output, int choice, AnswerEnd end);

    /// <summary>All choices have finished. Writes nothing where usage is no part of the events.</summary>
    public abstract void Usage(IEventOutput output, in AnswerUsage usage);
}
