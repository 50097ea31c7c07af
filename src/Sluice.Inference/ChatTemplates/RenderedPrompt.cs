using Sluice.Inference.Tokenization;

namespace Sluice.Inference.ChatTemplates;

/// <summary>What a template made of a conversation.</summary>
/// <param name="Text">The whole prompt.</param>
/// <param name="InputSpans">
/// Ranges of <paramref name="Text"/> that came from the user: sorted, not empty, neither overlapping nor touching. A special
/// token's text inside them is only text.
/// </param>
public sealed record RenderedPrompt(string Text, IReadOnlyList<TextSpan> InputSpans);
