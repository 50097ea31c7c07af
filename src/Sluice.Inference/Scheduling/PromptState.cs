using Sluice.Inference.Prompting;

namespace Sluice.Inference.Scheduling;

/// <summary>One prompt of a generation, which its choices share. Owned by the engine's thread.</summary>
/// <param name="tokens">Ids.</param>
/// <param name="echo">Its text where it is delivered, or null.</param>
/// <param name="firstChoice">Index of the choice that reads it.</param>
internal sealed class PromptState(IReadOnlyList<int> tokens, PromptText? echo, int firstChoice)
{
    public IReadOnlyList<int> Tokens => tokens;

    public PromptText? Echo => echo;

    public int FirstChoice => firstChoice;

    /// <summary>Whether the first choice has read the prompt, so that the others find it in the cache.</summary>
    public bool IsRead { get; set; }

    /// <summary>Tokens that the first choice found in the cache when it first came to them.</summary>
    public int CachedTokens { get; set; }
}
