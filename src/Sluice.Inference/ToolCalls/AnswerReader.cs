namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Turns the text of one answer into parts as it is generated: content, reasoning, calls. Every byte becomes part of exactly one of them, in
/// order; what was given out stays as it is, and what turns out to be no call is content. Owned by one thread.
/// </summary>
internal abstract class AnswerReader
{
    /// <summary>Whether what comes next is reasoning.</summary>
    public bool IsReasoning { get; private protected set; }

    /// <summary>Calls that have begun.</summary>
    public int CallCount { get; private protected set; }

    /// <summary>Calls whose arguments have ended.</summary>
    public int EndedCallCount { get; private protected set; }

    /// <summary>Whether the answer ended within a call's arguments.</summary>
    public bool HasCutCall { get; private protected set; }

    /// <summary>The parts that the last <see cref="Read"/> completed.</summary>
    public List<AnswerPart> Parts { get; } = [];

    /// <summary>Text of a part; valid until the next <see cref="Read"/>.</summary>
    public abstract ReadOnlySpan<byte> Text(AnswerPart part);

    /// <summary>Takes up more of the answer.</summary>
    /// <param name="utf8">May be empty.</param>
    /// <param name="isLast">Whether this is the end, so that nothing is held back.</param>
    public abstract void Read(ReadOnlySpan<byte> utf8, bool isLast);

    /// <summary>
    /// True once for each call whose name has become known while its arguments are still to come; asked after <see cref="Read"/>.
    /// </summary>
    /// <param name="tool">Index of the tool.</param>
    /// <param name="isNamed">Whether the arguments come alone, without the syntax of an object around them.</param>
    /// <param name="since">What has come after the name already.</param>
    public abstract bool TryTakeAwaited(out int tool, out bool isNamed, out ReadOnlySpan<byte> since);

    /// <summary>Adds a part whose text is made, to the one before it where that is of its kind.</summary>
    private protected void AddMade(AnswerPart piece)
    {
        if (Parts.Count > 0 && Parts[^1] is { IsMade: true } last && last.Kind == piece.Kind && last.Start + last.Length == piece.Start)
        {
            Parts[^1] = last with { Length = last.Length + piece.Length };
        }
        else
        {
            Parts.Add(piece with { IsMade = true });
        }
    }
}
