namespace Sluice.Inference.Prompting;

/// <summary>A prompt that no template has made.</summary>
/// <param name="Tokens">Ids; at least one.</param>
/// <param name="Text">What the tokens are in the text of the prompt.</param>
public sealed record RawPrompt(IReadOnlyList<int> Tokens, PromptText Text);

/// <summary>The text of a prompt, and where each of its tokens ends in it. Immutable.</summary>
/// <param name="utf8">UTF-8; not well-formed where token ids were given that are not.</param>
/// <param name="ends">
/// For each token the index of the byte behind it, ascending to the length of the text; inside a code point where tokens share one. A
/// token that is not in the text ends where it begins.
/// </param>
public sealed class PromptText(ReadOnlyMemory<byte> utf8, IReadOnlyList<int> ends)
{
    /// <summary>The whole text.</summary>
    public ReadOnlyMemory<byte> Utf8 => utf8;

    /// <summary>Number of tokens.</summary>
    public int TokenCount => ends.Count;

    /// <summary>The bytes of one token; may be part of a code point.</summary>
    public ReadOnlyMemory<byte> BytesOf(int index) => utf8[(index == 0 ? 0 : ends[index - 1])..ends[index]];

    /// <summary>The text that the first tokens complete, up to the last whole code point.</summary>
    /// <param name="tokenCount">0 to <see cref="TokenCount"/>.</param>
    /// <returns>Length in bytes; that of the whole text for all tokens.</returns>
    public int LengthOf(int tokenCount)
    {
        // Code points have at most four bytes: three that continue one.
        const int ContinuationsMax = 3;
        int end = tokenCount == 0 ? 0 : ends[tokenCount - 1];
        if (end == utf8.Length)
        {
            return end;
        }

        ReadOnlySpan<byte> bytes = utf8.Span;
        int border = end;
        while (border > 0 && end - border <= ContinuationsMax && (bytes[border] & 0xC0) == 0x80)
        {
            border--;
        }

        return border;
    }
}
