using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Unigram as SentencePiece has it: of all ways to write a text in tokens, the one with the highest sum of scores. Text is normalised before by
/// a table in the file; spaces become U+2581, one is put before the text, and runs of them may be one.
/// </summary>
internal sealed class UnigramTokenizer : Tokenizer
{
    // What an unknown character scores below the worst token.
    private const float UnknownPenalty = 10;

    private readonly Vocabulary _vocabulary;
    private readonly EscapedVocabulary _pieces;
    private readonly CharacterMap _map;
    private readonly float[] _scores;
    private readonly float _unknownScore;
    private readonly int _pieceBytesMax;
    private readonly bool _addsSpacePrefix;
    private readonly bool _mergesSpaces;

    private UnigramTokenizer(Vocabulary vocabulary, TokenFrame frame, float[] scores, CharacterMap map, bool addsSpacePrefix, bool mergesSpaces)
        : base(vocabulary, vocabulary.CreateSpecialTokens(null), frame)
    {
        _vocabulary = vocabulary;
        _pieces = new EscapedVocabulary(vocabulary);
        (_scores, _map, _addsSpacePrefix, _mergesSpaces) = (scores, map, addsSpacePrefix, mergesSpaces);
        var least = float.MaxValue;
        for (var token = 0; token < vocabulary.Count; token++)
        {
            _pieceBytesMax = Math.Max(_pieceBytesMax, vocabulary.Piece(token).Length);
            if (vocabulary.Type(token) == TokenType.Normal) least = Math.Min(least, scores[token]);
        }

        _unknownScore = least - UnknownPenalty;
    }

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static UnigramTokenizer Read(GgufMetadata metadata)
    {
        var vocabulary = Vocabulary.ReadEncoder(metadata, (null, 1, 2));
        return new UnigramTokenizer(
            vocabulary,
            TokenFrame.Read(metadata, addsBegin: false, addsEnd: true),
            vocabulary.ReadScores(metadata),
            CharacterMap.Read(metadata),
            metadata.GetBoolean("tokenizer.ggml.add_space_prefix", true),
            metadata.GetBoolean("tokenizer.ggml.remove_extra_whitespaces", false));
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> GetBytes(int token) => _pieces.Bytes(token);

    private protected override void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens)
    {
        var characters = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        var normal = Normalize(characters.AsSpan(0, Encoding.UTF8.GetBytes(text, characters)));

        // Per byte: the best sum of scores of what ends there, its last token and where that starts.
        var best = new (double Score, int Token, int Start)[normal.Length + 1];
        Array.Fill(best, (double.NegativeInfinity, -1, 0));
        best[0].Score = 0;
        for (var start = 0; start < normal.Length; start++)
        {
            if (start > 0 && (normal[start] & 0xC0) == 0x80) continue;
            var characterEnd = start + 1;
            while (characterEnd < normal.Length && (normal[characterEnd] & 0xC0) == 0x80) characterEnd++;
            var isKnown = false;
            for (var end = characterEnd; end <= Math.Min(normal.Length, start + _pieceBytesMax); end++)
            {
                if (end < normal.Length && (normal[end] & 0xC0) == 0x80) continue;
                if (_pieces.Find(normal.AsSpan(start..end)) is not (>= 0 and var token)) continue;
                isKnown |= end == characterEnd;
                Offer(start, end, token, _vocabulary.Type(token) == TokenType.UserDefined ? 0 : _scores[token]);
            }

            if (!isKnown) Offer(start, characterEnd, _vocabulary.UnknownToken ?? -1, _unknownScore);
        }

        var first = tokens.Count;
        for (var end = normal.Length; end > 0; end = best[end].Start)
        {
            // Neighbouring unknown characters are one token.
            var isRepeated = best[end].Token == _vocabulary.UnknownToken && tokens.Count > first && tokens[^1] == best[end].Token;
            if (best[end].Token >= 0 && !isRepeated) tokens.Add(best[end].Token);
        }

        tokens.Reverse(first, tokens.Count - first);

        void Offer(int start, int end, int token, float score)
        {
            var sum = best[start].Score + score;
            if (sum > best[end].Score) best[end] = (sum, token, start);
        }
    }

    private byte[] Normalize(ReadOnlySpan<byte> utf8)
    {
        var normal = new List<byte>(utf8.Length + 16);
        var isPrefixed = false;
        var isInWord = false;
        while (!utf8.IsEmpty)
        {
            var replacement = _map.Next(utf8, out var length);
            foreach (var b in replacement)
            {
                if (b != ' ')
                {
                    if (!isInWord && ((_addsSpacePrefix && !isPrefixed) || _mergesSpaces))
                    {
                        normal.AddRange(EscapedVocabulary.Space);
                        isPrefixed = true;
                    }

                    isInWord = true;
                    normal.Add(b);
                }
                else
                {
                    isInWord = false;
                    if (!_mergesSpaces) normal.AddRange(EscapedVocabulary.Space);
                }
            }

            utf8 = utf8[length..];
        }

        return [.. normal];
    }
}
