using System.Globalization;
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

    /// <summary>It only repeated itself and was ended: to clients <see cref="Length"/>, with a mark.</summary>
    Repetition,
}

/// <summary>How a choice ended.</summary>
/// <param name="End">Why.</param>
public readonly record struct AnswerFinish(AnswerEnd End)
{
    /// <summary>The stop sequence that ended it; null where none did, or nobody knows which.</summary>
    public string? StopText { get; init; }

    /// <summary>Whether the hub concluded it from the answer, because the upstream gave no reason.</summary>
    public bool IsDerived { get; init; }

    /// <summary>The budget that ended it: <see cref="AnswerEnd.Length"/> to clients, with a mark. Null where none did.</summary>
    public BudgetMark? Budget { get; init; }

    /// <summary>What the upstream says of a refusal: a JSON object on one line; nothing where it says nothing.</summary>
    public ReadOnlyMemory<byte> Details { get; init; }

    /// <summary>An end without details.</summary>
    public static implicit operator AnswerFinish(AnswerEnd end) => new(end);
}

/// <summary>Whose budget ended an answer.</summary>
/// <param name="Scope"><c>key</c>, <c>project</c> or <c>hub</c>.</param>
/// <param name="ResetsAt">Unix time in seconds at which there is a new one; null for never.</param>
public sealed record BudgetMark(string Scope, long? ResetsAt)
{
    /// <summary>Members of <c>sluice</c>: JSON without braces.</summary>
    public string ToMembers() => string.Create(
        CultureInfo.InvariantCulture, $"\"limit\":\"budget\",\"scope\":\"{Scope}\",\"resets_at\":{(ResetsAt is { } at ? at : "null")}");
}

/// <summary>Reasoning in the form that its producer wants back, signature and all. Nobody else can read it.</summary>
/// <param name="Origin">Who made it: dialect, server and model. Nobody else gets it back.</param>
/// <param name="Json">The producer's own JSON, unchanged.</param>
public readonly record struct ReasoningBlob(string Origin, ReadOnlyMemory<byte> Json);

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

    /// <summary>The upstream's own name for the model, which the answer is to bear. Before <see cref="Begin"/>.</summary>
    public virtual void SetModel(string model)
    {
    }

    /// <summary>Takes up an answer that another writer has begun. Only where <see cref="AnswerDialect.WritesFromPast"/>.</summary>
    /// <param name="past">All its events so far.</param>
    public virtual void Restore(EventBuffer past)
    {
    }

    /// <summary>
    /// Text that stands in front of what is written: of a prompt that is not delivered, or of an earlier life. Writes nothing; a dialect that
    /// states where in a text its tokens are counts it.
    /// </summary>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="utf8">Whole code points.</param>
    public virtual void Pass(int choice, ReadOnlySpan<byte> utf8)
    {
    }

    /// <summary>More text.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="utf8">Whole code points; what is not well-formed becomes U+FFFD.</param>
    /// <param name="logprobs">The tokens that ended in this text, where log probabilities were asked for.</param>
    public abstract void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs);

    /// <summary>More of a refusal. Dialects without a place for one write it as text.</summary>
    public virtual void Refusal(IEventOutput output, int choice, ReadOnlySpan<byte> utf8) => Text(output, choice, utf8, default);

    /// <summary>More reasoning, before the text.</summary>
    public abstract void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8);

    /// <summary>
    /// A piece of reasoning is complete, and its producer wants it back in this form. Without visible reasoning before it, it has none.
    /// </summary>
    public abstract void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob);

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

    /// <summary>
    /// A call of an earlier life begins, and then its input comes: after <see cref="Restore"/>, in their order, and the last of them may be the
    /// one that is open still. Writes nothing; a dialect whose events don't have the input piece by piece keeps it.
    /// </summary>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="id">As for <see cref="Call"/>.</param>
    /// <param name="name">Of the tool.</param>
    public virtual void PassCall(int choice, string id, string name)
    {
    }

    /// <summary>Input of the last call of an earlier life. Writes nothing.</summary>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="utf8">As for <see cref="Input"/>.</param>
    public virtual void PassInput(int choice, ReadOnlySpan<byte> utf8)
    {
    }

    /// <summary>A choice has finished.</summary>
    public abstract void Finish(IEventOutput output, int choice, AnswerFinish finish);

    /// <summary>All choices have finished. Writes usage where it is part of the events, and the events that close an answer.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="usage">Tokens.</param>
    /// <param name="isEstimated">Whether that is a guess.</param>
    public abstract void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated);
}
