namespace Sluice.Inference.ToolCalls;

/// <summary>What a family of models writes around its reasoning.</summary>
/// <param name="Opener">Begins it.</param>
/// <param name="Closer">Ends it.</param>
internal sealed record ReasoningTags(string Opener, string Closer)
{
    /// <summary>Most families.</summary>
    public static ReasoningTags Think { get; } = new("<think>", "</think>");

    private static readonly ReasoningTags[] s_all = [Think, new("[THINK]", "[/THINK]"), new("<|channel>thought", "<channel|>"), new("<seed:think>", "</seed:think>")];

    /// <summary>Those that a chat template shows; null for none.</summary>
    public static ReasoningTags? Find(string template) =>
        Array.Find(s_all, tags => template.Contains(tags.Opener, StringComparison.Ordinal) && template.Contains(tags.Closer, StringComparison.Ordinal));
}
