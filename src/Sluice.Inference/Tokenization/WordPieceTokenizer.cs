using System.Globalization;
using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// WordPiece as BERT has it: text is cleaned, put in lower case and split at white space, punctuation and Chinese characters; of each word the
/// longest token that it starts with is taken, again and again. A word that does not come out whole is the unknown token. In the file
/// tokens that start a word start with U+2581, and those that continue one are bare.
/// </summary>
internal sealed class WordPieceTokenizer : Tokenizer
{
    // Beyond it a word is unknown, as in BERT's own tokenizer.
    private const int WordCharactersMax = 100;

    private const int HangulFirst = 0xAC00;
    private const int HangulCount = 11_172;

    private readonly EscapedVocabulary _vocabulary;
    private readonly int? _unknown;
    private readonly int _pieceBytesMax;
    private readonly bool _lowersCase;
    private readonly bool _stripsAccents;

    private WordPieceTokenizer(Vocabulary vocabulary, TokenFrame frame, bool lowersCase, bool stripsAccents)
        : base(vocabulary, vocabulary.CreateSpecialTokens(null), frame)
    {
        _vocabulary = new EscapedVocabulary(vocabulary);
        _unknown = vocabulary.UnknownToken;
        (_lowersCase, _stripsAccents) = (lowersCase, stripsAccents);
        for (var token = 0; token < vocabulary.Count; token++) _pieceBytesMax = Math.Max(_pieceBytesMax, vocabulary.Piece(token).Length);
    }

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static WordPieceTokenizer Read(GgufMetadata metadata)
    {
        var lowersCase = metadata.GetBoolean("tokenizer.ggml.normalizer.lowercase", true);
        return new WordPieceTokenizer(
            Vocabulary.ReadEncoder(metadata, (101, 102, 100)),
            TokenFrame.Read(metadata, addsBegin: true, addsEnd: true),
            lowersCase,
            metadata.GetBoolean("tokenizer.ggml.normalizer.strip_accents", lowersCase));
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> GetBytes(int token) => _vocabulary.Bytes(token);

    private protected override void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens)
    {
        var word = new List<byte>(64);
        var characters = 0;
        foreach (var rune in Normalize(text).EnumerateRunes())
        {
            if (IsDropped(rune)) continue;
            var isAlone = IsAlone(rune);
            if (isAlone || Rune.IsWhiteSpace(rune)) EndWord();
            if (Rune.IsWhiteSpace(rune)) continue;
            if (word.Count == 0) word.AddRange(EscapedVocabulary.Space);
            characters++;
            AddRune(word, rune);
            if (isAlone) EndWord();
        }

        EndWord();

        void EndWord()
        {
            if (word.Count > 0) AppendWord(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(word), characters, tokens);
            word.Clear();
            characters = 0;
        }
    }

    private static void AddRune(List<byte> word, Rune rune)
    {
        Span<byte> utf8 = stackalloc byte[4];
        word.AddRange(utf8[..rune.EncodeToUtf8(utf8)]);
    }

    private void AppendWord(ReadOnlySpan<byte> word, int characters, List<int> tokens)
    {
        var first = tokens.Count;
        for (int start = 0, end; start < word.Length; start = end)
        {
            var token = -1;
            for (end = characters > WordCharactersMax ? start : Math.Min(word.Length, start + _pieceBytesMax); end > start; end--)
            {
                // Not within a character.
                if (end < word.Length && (word[end] & 0xC0) == 0x80) continue;
                token = _vocabulary.Find(word[start..end]);
                if (token >= 0) break;
            }

            if (token < 0)
            {
                tokens.RemoveRange(first, tokens.Count - first);
                if (_unknown is { } unknown) tokens.Add(unknown);
                return;
            }

            tokens.Add(token);
        }
    }

    private string Normalize(ReadOnlySpan<char> text)
    {
        var builder = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (!_stripsAccents || !rune.IsBmp)
            {
                builder.Append(Lower(rune).ToString());
            }
            else if (rune.Value is >= HangulFirst and < HangulFirst + HangulCount)
            {
                AppendHangul(builder, rune.Value - HangulFirst);
            }
            else if (Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark)
            {
                // First the accent: the capital I with a dot has no small letter of its own.
                builder.Append(Lower(new Rune(AccentTable.Strip((char)rune.Value))).ToString());
            }
        }

        return builder.ToString();
    }

    private Rune Lower(Rune rune) => _lowersCase ? Rune.ToLowerInvariant(rune) : rune;

    // Unicode's formula: an initial, a vowel and perhaps a final. BERT takes them apart with the accents.
    private static void AppendHangul(StringBuilder builder, int index)
    {
        const int Vowels = 21;
        const int Finals = 28;
        builder.Append((char)(0x1100 + (index / (Vowels * Finals)))).Append((char)(0x1161 + (index / Finals % Vowels)));
        if (index % Finals != 0) builder.Append((char)(0x11A7 + (index % Finals)));
    }

    private static bool IsDropped(Rune rune) =>
        rune.Value is 0 or 0xFFFD || (!Rune.IsWhiteSpace(rune) && Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.PrivateUse);

    private static bool IsAlone(Rune rune) => rune.IsAscii
        ? rune.Value is > ' ' and < 0x7F && !Rune.IsLetterOrDigit(rune)
        : Rune.IsPunctuation(rune) || IsChinese(rune.Value);

    // The blocks of unified and compatibility ideographs.
    private static bool IsChinese(int value) =>
        value is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F)
            or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B820 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
