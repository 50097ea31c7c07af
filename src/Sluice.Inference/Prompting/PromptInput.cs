namespace Sluice.Inference.Prompting;

/// <summary>A prompt as a client gives it: a text, or token ids.</summary>
public sealed record PromptInput
{
    /// <summary>Of a text.</summary>
    public PromptInput(string text) => Text = text;

    /// <summary>Of token ids.</summary>
    public PromptInput(IReadOnlyList<int> tokens) => Tokens = tokens;

    /// <summary>Null where token ids were given.</summary>
    public string? Text { get; }

    /// <summary>Null where a text was given.</summary>
    public IReadOnlyList<int>? Tokens { get; }
}
