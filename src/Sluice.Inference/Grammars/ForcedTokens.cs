using System.Buffers;
using System.Text;

namespace Sluice.Inference.Grammars;

/// <summary>
/// The tokens of text that can't but follow. They are the tokenizer's own for that text; the last one is left to be sampled, for it may be the
/// beginning of a longer one, unless the answer ends there. Owned by one thread.
/// </summary>
internal sealed class ForcedTokens(TokenTrie trie)
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly List<int> _tokens = [];

    /// <summary>The tokens to append now; valid until the next call. None when the text is not more than what is left to be sampled.</summary>
    public IReadOnlyList<int> Find(GrammarMatcher matcher)
    {
        _tokens.Clear();
        _text.ResetWrittenCount();
        bool isEnd = matcher.WriteForced(_text);
        int length = WholeLength(_text.WrittenSpan);
        if (length == 0)
        {
            return _tokens;
        }

        ReadOnlySpan<byte> text = _text.WrittenSpan[..length];
        trie.Tokenizer.Encode(Encoding.UTF8.GetString(text), parseSpecial: false, [], _tokens);
        if (!Spell(text))
        {
            // A tokenizer that puts a space before every text.
            SplitGreedily(text);
        }

        if (_tokens.Count > 0 && (!isEnd || length < _text.WrittenCount))
        {
            _tokens.RemoveAt(_tokens.Count - 1);
        }

        return _tokens;
    }

    // Bytes of the whole characters at the beginning: none after a token that ends within one.
    private static int WholeLength(ReadOnlySpan<byte> text)
    {
        int length = 0;
        while (length < text.Length && Rune.DecodeFromUtf8(text[length..], out _, out int consumed) == OperationStatus.Done)
        {
            length += consumed;
        }

        return length;
    }

    private bool Spell(ReadOnlySpan<byte> text)
    {
        foreach (int token in _tokens)
        {
            ReadOnlySpan<byte> bytes = trie.Tokenizer.GetBytes(token).Span;
            if (!text.StartsWith(bytes) || trie.Tokenizer.IsEndOfGeneration(token))
            {
                return false;
            }

            text = text[bytes.Length..];
        }

        return text.IsEmpty;
    }

    private void SplitGreedily(ReadOnlySpan<byte> text)
    {
        _tokens.Clear();
        while (!text.IsEmpty && trie.FindLongest(text) is >= 0 and var token)
        {
            _tokens.Add(token);
            text = text[trie.Tokenizer.GetBytes(token).Length..];
        }
    }
}
