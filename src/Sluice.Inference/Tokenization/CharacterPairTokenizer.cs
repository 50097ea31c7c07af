using System.Buffers;
using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// BPE by ranks as Gemma 4 has it: over characters, with U+2581 for spaces. Text is split at runs of line feeds only; a run that is a token is
/// taken whole, and characters that are no token fall apart into byte tokens.
/// </summary>
internal sealed class CharacterPairTokenizer : Tokenizer
{
    private readonly EscapedVocabulary _vocabulary;

    // Texts that merging passes through but that are no tokens; their symbols follow those of the tokens.
    private readonly BytesTable _extraIds;
    private readonly List<byte[]> _extras = [];
    private readonly MergeTable _merges;

    private CharacterPairTokenizer(Vocabulary vocabulary, int mergeCount)
        // The model was trained with a begin token; files that say otherwise are wrong, and the model answers nonsense without it.
        : base(vocabulary, vocabulary.CreateSpecialTokens(null), new TokenFrame(AddsBegin: true, AddsEnd: false))
    {
        _vocabulary = new EscapedVocabulary(vocabulary);
        _extraIds = new BytesTable(mergeCount);
        _merges = new MergeTable(mergeCount);
    }

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static CharacterPairTokenizer Read(GgufMetadata metadata)
    {
        const string MergesKey = "tokenizer.ggml.merges";
        var texts = metadata.FindUtf8Strings(MergesKey) ?? throw metadata.Error(MergesKey, "an array of strings", "no such key");
        if (texts.Count > TokenizationLimits.MergeCountMax)
        {
            throw metadata.Error(
                MergesKey,
                FormattableString.Invariant($"at most {TokenizationLimits.MergeCountMax} merges"),
                FormattableString.Invariant($"{texts.Count}"));
        }

        var tokenizer = new CharacterPairTokenizer(Vocabulary.Read(metadata, (2, 1, 3)), texts.Count);
        var rank = 0;
        foreach (var text in texts)
        {
            var space = text.Length > 1 ? text[1..].IndexOf((byte)' ') + 1 : 0;
            if (space == 0 || space == text.Length - 1)
            {
                throw metadata.Error(
                    MergesKey,
                    "two texts separated by a space",
                    FormattableString.Invariant($"{GgufErrors.Quote(Encoding.UTF8.GetString(text))} as merge {rank}"));
            }

            var (left, right) = (tokenizer.FindOrAdd(text[..space]), tokenizer.FindOrAdd(text[(space + 1)..]));
            tokenizer._merges.Add(left, right, rank++, tokenizer.FindOrAdd([.. text[..space], .. text[(space + 1)..]]));
        }

        return tokenizer;
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> GetBytes(int token) => _vocabulary.Bytes(token);

    private protected override void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens)
    {
        using var escaped = new EscapedText(text, hasPrefix: false);
        for (int start = 0, end; start < escaped.Count; start = end)
        {
            var isBreak = IsLineFeed(escaped, start);
            for (end = start + 1; end < escaped.Count && IsLineFeed(escaped, end) == isBreak;) end++;
            if (isBreak && _vocabulary.Find(escaped.Bytes(start, end)) is >= 0 and var token)
            {
                tokens.Add(token);
            }
            else
            {
                AppendMerged(escaped, start, end, tokens);
            }
        }
    }

    private static bool IsLineFeed(in EscapedText text, int index) => text.Utf8[text.Starts[index]] == '\n';

    private void AppendMerged(in EscapedText text, int start, int end, List<int> tokens)
    {
        var rented = ArrayPool<int>.Shared.Rent(end - start);
        for (var i = start; i < end; i++)
        {
            // A character that nothing knows is a number beyond all, by which it is found again.
            var symbol = Find(text.Bytes(i, i + 1));
            rented[i - start] = symbol >= 0 ? symbol : FirstUnknown + i;
        }

        foreach (var symbol in rented.AsSpan(0, BytePairMerger.Merge(rented.AsSpan(0, end - start), _merges)))
        {
            if (symbol < VocabularySize)
            {
                tokens.Add(symbol);
            }
            else if (symbol < FirstUnknown)
            {
                _vocabulary.Append(_extras[symbol - VocabularySize], tokens);
            }
            else
            {
                _vocabulary.Append(text.Bytes(symbol - FirstUnknown, symbol - FirstUnknown + 1), tokens);
            }
        }

        ArrayPool<int>.Shared.Return(rented);
    }

    private int FirstUnknown => VocabularySize + _extras.Count;

    private int Find(ReadOnlySpan<byte> text) => _vocabulary.Find(text) is >= 0 and var token ? token : _extraIds.Find(text);

    private int FindOrAdd(ReadOnlySpan<byte> text)
    {
        var symbol = Find(text);
        if (symbol < 0)
        {
            symbol = FirstUnknown;
            _extras.Add(text.ToArray());
            _extraIds.Set(text, symbol);
        }

        return symbol;
    }
}
