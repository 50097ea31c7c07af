namespace Sluice.Inference.ToolCalls;

/// <summary>A conversation, ready to be answered.</summary>
/// <param name="Tokens">The prompt.</param>
/// <param name="Answer">How the answer is to be read; null where it is only text.</param>
public sealed record ChatPrompt(IReadOnlyList<int> Tokens, AnswerPlan? Answer);
