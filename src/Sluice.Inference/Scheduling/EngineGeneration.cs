namespace Sluice.Inference.Scheduling;

/// <summary>A generation that an engine has accepted. <see cref="Cancel"/>, <see cref="Suspend"/> and <see cref="TrySnapshot"/> may be called from any thread; all else belongs to the engine's.</summary>
public sealed class EngineGeneration
{
    private readonly InferenceEngine _engine;
    private volatile bool _cancelled;
    private volatile bool _suspended;
    private volatile bool _refused;

    internal EngineGeneration(InferenceEngine engine, GenerationRequest request, IGenerationSink sink, int contextLength)
    {
        _engine = engine;
        Request = request;
        Sink = sink;
        PromptDigest = RollingDigest.Of(request.Prompts);
        Prompts = [.. request.Prompts.Select((tokens, i) => new PromptState(tokens, request.Echo?[i], i * request.ChoiceCount))];
        Choices = new ChoiceState[Prompts.Length * request.ChoiceCount];
        for (int i = 0; i < Choices.Length; i++)
        {
            PromptState prompt = Prompts[i / request.ChoiceCount];
            Choices[i] = new ChoiceState(this, prompt, i, Math.Min(request.MaxTokens, contextLength - prompt.Tokens.Count));
        }
    }

    internal GenerationRequest Request { get; }

    internal IGenerationSink Sink { get; }

    internal ulong PromptDigest { get; }

    internal PromptState[] Prompts { get; }

    /// <summary>Those of the first prompt, then those of the second one.</summary>
    internal ChoiceState[] Choices { get; }

    /// <summary>What its caller holds and waits for; set when the engine's thread accepts it.</summary>
    internal CallerShare Share { get; set; } = null!;

    /// <summary>Age: the order in which the engine's thread accepted it.</summary>
    internal long Number { get; set; }

    /// <summary>
    /// Whether another caller's generation took its place in the queue. Written by <see cref="GenerationQueue"/>, never after a start.
    /// </summary>
    internal bool IsRefused
    {
        get => _refused;
        set => _refused = value;
    }

    internal int StartedCount { get; set; }

    internal int FinishedCount { get; set; }

    /// <summary>Held while a choice changes, so that other threads find it whole. Sinks are called under it.</summary>
    internal Lock Gate { get; } = new();

    internal bool IsCancelled => _cancelled;

    internal bool IsSuspended => _suspended;

    internal bool IsStopped => _cancelled || _suspended;

    internal GenerationProgress Progress => new(_engine.Model.Identity, PromptDigest, [.. Choices.Select(static choice => choice.Progress)]);

    /// <summary>Whether a terminal call has been made to the sink.</summary>
    internal bool HasEnded { get; set; }

    internal GenerationUsage Usage => new(
        Prompts.Sum(static prompt => prompt.Tokens.Count), Prompts.Sum(static prompt => prompt.CachedTokens),
        Choices.Sum(static choice => choice.GeneratedCount), Choices.Sum(static choice => choice.ReasoningCount));

    /// <summary>The choices that continue a prompt; the first one reads it.</summary>
    internal ReadOnlySpan<ChoiceState> ChoicesOf(PromptState prompt) => Choices.AsSpan(prompt.FirstChoice, Request.ChoiceCount);

    /// <summary>
    /// Ends the generation: within one step its slots are free and the sink is told. Does nothing when it has ended already.
    /// </summary>
    public void Cancel()
    {
        _cancelled = true;
        _engine.Wake();
    }

    /// <summary>
    /// Ends the generation so that it can be gone on with: within one step its slots and blocks are free, and the sink is given the progress.
    /// Does nothing when it has ended already, and gives way to <see cref="Cancel"/>.
    /// </summary>
    public void Suspend()
    {
        _suspended = true;
        _engine.Wake();
    }

    /// <summary>How far the generation has come, while it goes on.</summary>
    /// <param name="readMark">
    /// Called while the sink is told nothing: what it counts of the sink's doings belongs to the progress. Must not block, for the engine may wait.
    /// </param>
    /// <returns>The progress and what was counted; null when the generation has ended.</returns>
    public (GenerationProgress Progress, long Mark)? TrySnapshot(Func<long> readMark)
    {
        ArgumentNullException.ThrowIfNull(readMark);
        lock (Gate)
        {
            return HasEnded ? null : (Progress, readMark());
        }
    }
}
