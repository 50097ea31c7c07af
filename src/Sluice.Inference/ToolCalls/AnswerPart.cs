namespace Sluice.Inference.ToolCalls;

/// <summary>What a piece of a generated answer is.</summary>
internal enum AnswerPartKind
{
    /// <summary>Text for the reader.</summary>
    Content,

    /// <summary>Thinking before the answer.</summary>
    Reasoning,

    /// <summary>Tags and the syntax of calls; not delivered.</summary>
    Markup,

    /// <summary>A call begins; no text.</summary>
    Call,

    /// <summary>JSON of the arguments of the call that began last.</summary>
    Arguments,

    /// <summary>The arguments are whole, or were broken off; no text.</summary>
    CallEnd,
}

/// <summary>A piece of an answer.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Start">Offset of its text in what the reader holds.</param>
/// <param name="Length">Bytes of text; 0 for those without.</param>
/// <param name="Tool">Index of the tool that a <see cref="AnswerPartKind.Call"/> names.</param>
internal readonly record struct AnswerPart(AnswerPartKind Kind, int Start, int Length, int Tool = -1)
{
    /// <summary>Whether the text stands for what the model wrote in another form, which is markup.</summary>
    public bool IsMade { get; init; }
}
