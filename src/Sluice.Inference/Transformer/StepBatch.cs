namespace Sluice.Inference.Transformer;

/// <summary>The tokens of one step: runs of consecutive tokens, each of one sequence. Reused from step to step.</summary>
internal sealed class StepBatch
{
    private readonly List<StepRun> _runs = [];

    /// <summary>In the order in which they were added.</summary>
    public IReadOnlyList<StepRun> Runs => _runs;

    /// <summary>Tokens over all runs.</summary>
    public int TokenCount { get; private set; }

    /// <summary>Runs whose last token wants logits.</summary>
    public int LogitRowCount { get; private set; }

    public void Clear()
    {
        _runs.Clear();
        TokenCount = 0;
        LogitRowCount = 0;
    }

    /// <summary>Adds a run.</summary>
    /// <param name="sequence">The sequence; its cache has room for the run.</param>
    /// <param name="tokens">All tokens of the sequence.</param>
    /// <param name="start">Position of the first token to compute; those before are cached.</param>
    /// <param name="count">Tokens to compute.</param>
    /// <param name="wantsLogits">Whether the last one's logits are wanted.</param>
    public void Add(KvSequence sequence, IReadOnlyList<int> tokens, int start, int count, bool wantsLogits)
    {
        _runs.Add(new StepRun(sequence, tokens, start, count, TokenCount, wantsLogits ? LogitRowCount : -1));
        TokenCount += count;
        LogitRowCount += wantsLogits ? 1 : 0;
    }
}

/// <summary>Consecutive tokens of one sequence.</summary>
/// <param name="Sequence">Where keys and values go.</param>
/// <param name="Tokens">All tokens of the sequence so far.</param>
/// <param name="Start">Position of the first token of the run.</param>
/// <param name="Count">Tokens of the run.</param>
/// <param name="FirstColumn">The run's first column in the batch.</param>
/// <param name="LogitRow">Row of the last token's logits, or -1.</param>
internal readonly record struct StepRun(KvSequence Sequence, IReadOnlyList<int> Tokens, int Start, int Count, int FirstColumn, int LogitRow);
