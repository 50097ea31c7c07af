namespace Sluice.Inference.Transformer;

/// <summary>The tokens of one step: runs of consecutive tokens, each of one sequence. Reused from step to step.</summary>
internal sealed class StepBatch
{
    private readonly List<StepRun> _runs = [];

    /// <summary>In the order in which they were added.</summary>
    public IReadOnlyList<StepRun> Runs => _runs;

    /// <summary>Tokens over all runs.</summary>
    public int TokenCount { get; private set; }

    /// <summary>Tokens over all runs whose logits are wanted.</summary>
    public int LogitRowCount { get; private set; }

    public void Clear()
    {
        _runs.Clear();
        TokenCount = 0;
        LogitRowCount = 0;
    }

    /// <summary>Adds a run of known tokens.</summary>
    /// <param name="sequence">The sequence; its cache has room for the run.</param>
    /// <param name="tokens">All tokens of the sequence.</param>
    /// <param name="start">Position of the first token to compute; those before are cached.</param>
    /// <param name="count">Tokens to compute.</param>
    /// <param name="wantsLogits">Whether the last one's logits are wanted.</param>
    public void Add(KvSequence sequence, IReadOnlyList<int> tokens, int start, int count, bool wantsLogits) =>
        Add(sequence, tokens, start, count, wantsLogits ? 1 : 0);

    /// <summary>Adds a run of known tokens.</summary>
    /// <param name="sequence">The sequence; its cache has room for the run.</param>
    /// <param name="tokens">All tokens of the sequence.</param>
    /// <param name="start">Position of the first token to compute; those before are cached.</param>
    /// <param name="count">Tokens to compute.</param>
    /// <param name="logitCount">So many of the last ones have their logits wanted; 0 to <paramref name="count"/>.</param>
    public void Add(KvSequence sequence, IReadOnlyList<int> tokens, int start, int count, int logitCount) =>
        Add(new StepRun(sequence, tokens, [], start, count, TokenCount, LogitRowCount, logitCount));

    /// <summary>Adds the last known token of a sequence and guesses at those behind it. The logits of all of them are wanted.</summary>
    /// <param name="sequence">The sequence; its cache has room for all of them.</param>
    /// <param name="tokens">All tokens of the sequence; all but the last one are cached.</param>
    /// <param name="drafts">The guesses, in order.</param>
    /// <param name="draftCount">How many of them to compute.</param>
    public void AddDrafted(KvSequence sequence, IReadOnlyList<int> tokens, IReadOnlyList<int> drafts, int draftCount) =>
        Add(new StepRun(sequence, tokens, drafts, tokens.Count - 1, draftCount + 1, TokenCount, LogitRowCount, draftCount + 1));

    private void Add(StepRun run)
    {
        _runs.Add(run);
        TokenCount += run.Count;
        LogitRowCount += run.LogitCount;
    }
}

/// <summary>Consecutive tokens of one sequence.</summary>
/// <param name="Sequence">Where keys and values go.</param>
/// <param name="Tokens">All tokens of the sequence so far.</param>
/// <param name="Drafts">Guesses at those behind them.</param>
/// <param name="Start">Position of the first token of the run.</param>
/// <param name="Count">Tokens of the run.</param>
/// <param name="FirstColumn">The run's first column in the batch.</param>
/// <param name="FirstLogitRow">Row of the first logits that the run has.</param>
/// <param name="LogitCount">So many of its last tokens have logits.</param>
internal readonly record struct StepRun(
    KvSequence Sequence, IReadOnlyList<int> Tokens, IReadOnlyList<int> Drafts, int Start, int Count, int FirstColumn, int FirstLogitRow, int LogitCount)
{
    /// <summary>The token at a position of the sequence, a guess behind the last known one.</summary>
    public int TokenAt(int position) => position < Tokens.Count ? Tokens[position] : Drafts[position - Tokens.Count];
}
