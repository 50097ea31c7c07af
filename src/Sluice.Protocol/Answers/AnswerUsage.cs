namespace Sluice.Protocol.Answers;

/// <summary>Tokens of one request, over all its choices; the prompt counts once. Each at least 0.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="CachedTokens">Those of the prompt that were not computed again.</param>
/// <param name="CompletionTokens">Tokens generated.</param>
/// <param name="ReasoningTokens">Those generated that were reasoning.</param>
public readonly record struct AnswerUsage(int PromptTokens, int CachedTokens, int CompletionTokens, int ReasoningTokens = 0)
{
    /// <summary>Tokens of the prompt that were written to a cache, which some providers charge for.</summary>
    public int CacheWrittenTokens { get; init; }

    /// <summary>Prompt and completion together.</summary>
    public long TotalTokens => (long)PromptTokens + CompletionTokens;
}
