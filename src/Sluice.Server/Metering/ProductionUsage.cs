using Sluice.Protocol.Answers;

namespace Sluice.Server.Metering;

/// <summary>The part of an answer between two suspensions, by what is known of the answer before and after it.</summary>
internal static class ProductionUsage
{
    /// <summary>
    /// Tokens that came on top. A prompt that is computed anew is no more than it was, and of its cached tokens there may be fewer, so that no
    /// class goes below 0.
    /// </summary>
    public static AnswerUsage Subtract(in AnswerUsage total, in AnswerUsage before) => new(
        int.Max(0, total.PromptTokens - before.PromptTokens), int.Max(0, total.CachedTokens - before.CachedTokens),
        int.Max(0, total.CompletionTokens - before.CompletionTokens), int.Max(0, total.ReasoningTokens - before.ReasoningTokens))
    {
        CacheWrittenTokens = int.Max(0, total.CacheWrittenTokens - before.CacheWrittenTokens),
    };
}
