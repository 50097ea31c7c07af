using System.Text;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Prompting;

/// <summary>Prompts without a chat template: text as it is, token ids as they are, and texts with a gap. Safe to use from any thread.</summary>
/// <param name="tokenizer">The model's.</param>
internal sealed class RawPromptEncoder(Tokenizer tokenizer)
{
    /// <summary>Tokenises a text. Special tokens are recognised in it.</summary>
    /// <param name="text">Where it is empty, the prompt is the token that a text begins with.</param>
    public RawPrompt Encode(string text)
    {
        var tokens = new List<int>();
        tokenizer.Encode(text, parseSpecial: true, [], tokens);
        int added = Begin(tokens) ? 1 : 0;
        if (tokens.Count == 0 && (tokenizer.BeginOfSequenceToken ?? tokenizer.EndOfSequenceToken) is { } first)
        {
            tokens.Add(first);
            added = 1;
        }

        return new RawPrompt(tokens, Align(text, tokens, added));
    }

    /// <summary>Takes token ids.</summary>
    /// <exception cref="ArgumentException">An id is not in the vocabulary.</exception>
    public RawPrompt Encode(IReadOnlyList<int> tokens)
    {
        var text = new List<byte>(4 * tokens.Count);
        int[] ends = new int[tokens.Count];
        for (int i = 0; i < ends.Length; i++)
        {
            if ((uint)tokens[i] >= (uint)tokenizer.VocabularySize)
            {
                throw new ArgumentException(
                    $"Token {tokens[i]} is not in the model's vocabulary, which has tokens from 0 to {tokenizer.VocabularySize - 1}.", nameof(tokens));
            }

            text.AddRange(Print(tokens[i]).Span);
            ends[i] = text.Count;
        }

        return new RawPrompt(tokens, new PromptText(text.ToArray(), ends));
    }

    /// <summary>Asks for the text of a gap. Nothing in the texts around it is a special token.</summary>
    /// <param name="prefix">The text before the gap, or its token ids.</param>
    /// <param name="suffix">The text behind the gap.</param>
    /// <param name="marks">The model's tokens for it.</param>
    /// <returns>The prompt; its text is that of the prefix, and the other tokens are not in it.</returns>
    public RawPrompt EncodeGap(PromptInput prefix, string suffix, FillInMiddle marks)
    {
        var before = prefix.Tokens is { } ids ? [.. ids] : new List<int>();
        if (prefix.Text is { } text)
        {
            tokenizer.Encode(text, parseSpecial: false, [], before);
        }

        var around = new List<int> { marks.IsSuffixFirst ? marks.Suffix : marks.Prefix };
        Begin(around);
        if (marks.IsSuffixFirst)
        {
            tokenizer.Encode(suffix, parseSpecial: false, [], around);
            around.Add(marks.Prefix);
        }

        int first = around.Count;
        around.AddRange(before);
        if (!marks.IsSuffixFirst)
        {
            around.Add(marks.Suffix);
            tokenizer.Encode(suffix, parseSpecial: false, [], around);
        }

        if (marks.Middle is { } middle)
        {
            around.Add(middle);
        }

        byte[] utf8 = prefix.Text is { } given ? Utf8(given) : Encode(before).Text.Utf8.ToArray();
        int[] ends = new int[around.Count];
        Array.Fill(ends, utf8.Length, first, ends.Length - first);
        return new RawPrompt(around, new PromptText(utf8, ends));
    }

    // Whether the token that begins a text was added.
    private bool Begin(List<int> tokens)
    {
        bool adds = tokenizer.AddsBeginOfSequence && tokenizer.BeginOfSequenceToken is { } begin && (tokens.Count == 0 || tokens[0] != begin);
        if (adds)
        {
            tokens.Insert(0, tokenizer.BeginOfSequenceToken!.Value);
        }

        return adds;
    }

    // The text is as it was given, although a tokenizer may add a space in front and drop white space behind a special token. Whether it
    // has added one shows only at the end.
    private PromptText Align(string text, List<int> tokens, int added)
    {
        byte[] utf8 = Utf8(text);
        int[] ends = new int[tokens.Count];
        if (!TryAlign(utf8, tokens, added, ends, hasSpaceAdded: true))
        {
            TryAlign(utf8, tokens, added, ends, hasSpaceAdded: false);
        }

        // White space behind the last one is part of it.
        if (ends.Length > added)
        {
            ends[^1] = utf8.Length;
        }

        return new PromptText(utf8, ends);
    }

    private bool TryAlign(byte[] utf8, List<int> tokens, int added, int[] ends, bool hasSpaceAdded)
    {
        bool isAligned = true;
        int at = 0;
        for (int i = added; i < ends.Length; i++)
        {
            ReadOnlySpan<byte> print = Print(tokens[i]).Span;
            bool isBeginning = i == added || tokenizer.IsControl(tokens[i - 1]);
            int end = Find(utf8, at, hasSpaceAdded && isBeginning && print is [(byte)' ', ..] ? print[1..] : print, isBeginning);
            if (end < 0)
            {
                end = Find(utf8, at, print, isBeginning);
            }

            // A character that the vocabulary can't write, for one, prints otherwise: what can't be found has the length that it prints.
            isAligned &= end >= 0;
            ends[i] = at = end < 0 ? Math.Min(at + print.Length, utf8.Length) : end;
        }

        return isAligned;
    }

    // Where a token ends that is the next one of a text; -1 where it isn't.
    private static int Find(ReadOnlySpan<byte> utf8, int at, ReadOnlySpan<byte> print, bool isBeginning)
    {
        for (int start = at; start <= utf8.Length; start++)
        {
            if (utf8[start..].StartsWith(print))
            {
                return start + print.Length;
            }

            if (!isBeginning || start == utf8.Length || utf8[start] is not ((byte)' ' or (>= (byte)'\t' and <= (byte)'\r')))
            {
                return -1;
            }
        }

        return -1;
    }

    private ReadOnlyMemory<byte> Print(int token) =>
        tokenizer.IsControl(token) ? Encoding.UTF8.GetBytes(tokenizer.GetPiece(token)) : tokenizer.GetBytes(token);

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
