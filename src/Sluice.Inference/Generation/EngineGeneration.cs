namespace Sluice.Inference.Generation;

/// <summary>A generation that an engine has accepted. <see cref="Cancel"/> may be called from any thread; all else belongs to the engine's.</summary>
public sealed class EngineGeneration
{
    private readonly InferenceEngine _engine;
    private volatile bool _cancelled;

    internal EngineGeneration(InferenceEngine engine, GenerationRequest request, IGenerationSink sink, int contextLength)
    {
        _engine = engine;
        Request = request;
        Sink = sink;
        int tokenLimit = Math.Min(request.MaxTokens, contextLength - request.PromptTokens.Count);
        Choices = new ChoiceState[request.ChoiceCount];
        for (int i = 0; i < Choices.Length; i++)
        {
            Choices[i] = new ChoiceState(this, i, tokenLimit);
        }
    }

    internal GenerationRequest Request { get; }

    internal IGenerationSink Sink { get; }

    internal ChoiceState[] Choices { get; }

    /// <summary>Whether the first choice has read the prompt, so that the others find it in the cache.</summary>
    internal bool IsPromptRead { get; set; }

    internal int StartedCount { get; set; }

    internal int FinishedCount { get; set; }

    /// <summary>Tokens of the prompt that the first choice found in the cache when it first came to them.</summary>
    internal int CachedPromptTokens { get; set; }

    internal bool IsCancelled => _cancelled;

    /// <summary>Whether a terminal call has been made to the sink.</summary>
    internal bool HasEnded { get; set; }

    internal GenerationUsage Usage => new(
        Request.PromptTokens.Count, CachedPromptTokens, Choices.Sum(static choice => choice.GeneratedCount), Choices.Sum(static choice => choice.ReasoningCount));

    /// <summary>
    /// Ends the generation: within one step its slots are free and the sink is told. Does nothing when it has ended already.
    /// </summary>
    public void Cancel()
    {
        _cancelled = true;
        _engine.Wake();
    }
}
