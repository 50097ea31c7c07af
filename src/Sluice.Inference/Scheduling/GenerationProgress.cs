namespace Sluice.Inference.Scheduling;

/// <summary>
/// How far a generation has come: with the request, all that another engine needs to go on at the next token as if nothing had happened. Plain
/// values, to be kept anywhere and for any time; immutable.
/// </summary>
/// <param name="ModelIdentity"><see cref="Transformer.ModelDescription.Identity"/> of the model that made it.</param>
/// <param name="PromptDigest">Of the token ids of all prompts.</param>
/// <param name="Choices">One for each choice, in order.</param>
public sealed record GenerationProgress(string ModelIdentity, ulong PromptDigest, IReadOnlyList<ChoiceProgress> Choices)
{
    /// <summary>See <see cref="GenerationUsage.CachedPromptTokens"/>. What a later stretch finds of its own doing doesn't count.</summary>
    public int CachedPromptTokens => Choices.Sum(static choice => choice.CachedPromptTokens);

    /// <summary>Tokens of the prompts that were found or computed.</summary>
    public int ReachedPromptTokens => Choices.Sum(static choice => choice.ReachedPromptTokens);
}

/// <summary>How far one choice has come.</summary>
public sealed record ChoiceProgress
{
    /// <summary>Ids of the generated tokens, one that ended the choice included.</summary>
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>Of all that the sink was told of this choice.</summary>
    public required ulong OutputDigest { get; init; }

    /// <summary>Why the choice has ended; null while it goes on.</summary>
    public FinishReason? Finish { get; init; }

    /// <summary>Whether the probabilities of its first token decided that the answer calls a tool.</summary>
    public bool IsCallForced { get; init; }

    /// <summary>Tokens of its prompt that were found or computed, where it is the one that reads the prompt; else 0.</summary>
    public int ReachedPromptTokens { get; init; }

    /// <summary>Tokens of its prompt whose cached keys and values were found, where it reads the prompt; else 0.</summary>
    public int CachedPromptTokens { get; init; }

    /// <summary>Tokens of its prompt that the sink was told of, because of <see cref="GenerationRequest.Echo"/>.</summary>
    public int EchoedCount { get; init; }

    /// <summary>
    /// The last tokens, whose text is held back still, with their log probabilities where these were asked for. The bytes of their texts are
    /// looked up anew, and need not be kept.
    /// </summary>
    public IReadOnlyList<TokenLogprob> Held { get; init; } = [];
}

/// <summary>A generation can't be gone on with: the model, the prompt or the text that the tokens give is not what it was.</summary>
public sealed class GenerationDivergedException(string message) : Exception(message);
