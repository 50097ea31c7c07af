using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>Texts, types and special ids of a file's tokens. Never changes; safe to read from any thread.</summary>
internal sealed class Vocabulary
{
    private const string TokensKey = "tokenizer.ggml.tokens";
    private const string TypesKey = "tokenizer.ggml.token_type";
    private readonly byte[] _pieces;
    private readonly int[] _pieceEnds;
    private readonly TokenType[] _types;
    private readonly HashSet<int> _endOfGeneration = [];

    private Vocabulary(GgufMetadata metadata, GgufStringArray tokens)
    {
        _pieceEnds = new int[tokens.Count];
        var end = 0;
        var index = 0;
        foreach (var piece in tokens)
        {
            end += piece.Length;
            _pieceEnds[index++] = end;
        }

        _pieces = new byte[end];
        index = 0;
        foreach (var piece in tokens)
        {
            piece.CopyTo(_pieces.AsSpan(_pieceEnds[index++] - piece.Length));
        }

        _types = ReadTypes(metadata, tokens.Count);
    }

    public int Count => _types.Length;

    public int? BeginOfSequenceToken { get; private init; }

    public int? EndOfSequenceToken { get; private init; }

    public int? UnknownToken { get; private init; }

    /// <summary>Null where the model was not trained to fill in.</summary>
    public FillInMiddle? FillInMiddle { get; private set; }

    /// <summary>Bytes of all texts.</summary>
    public int PieceBytes => _pieces.Length;

    /// <param name="metadata">Keys of the file.</param>
    /// <param name="defaults">Ids of begin, end and unknown that hold where the file names none.</param>
    /// <exception cref="GgufException">Tokens are missing, or types or ids do not fit them.</exception>
    public static Vocabulary Read(GgufMetadata metadata, (int? Begin, int? End, int? Unknown) defaults) => Read(metadata, defaults, "bos", "eos");

    /// <summary>The same for an encoder, whose texts begin and end with tokens that may have keys of their own.</summary>
    public static Vocabulary ReadEncoder(GgufMetadata metadata, (int? Begin, int? End, int? Unknown) defaults)
    {
        // The misspelt key is the real one.
        string[] ends = ["seperator", "separator", "eos"];
        return Read(
            metadata,
            defaults,
            metadata.Contains(IdKey("cls")) ? "cls" : "bos",
            ends.First(name => name == ends[^1] || metadata.Contains(IdKey(name))));
    }

    private static Vocabulary Read(GgufMetadata metadata, (int? Begin, int? End, int? Unknown) defaults, string begin, string end)
    {
        var tokens = metadata.FindUtf8Strings(TokensKey) ?? throw metadata.Error(TokensKey, "an array of strings", "no such key");
        if (tokens.Count is 0 or > TokenizationLimits.VocabularySizeMax)
        {
            throw metadata.Error(
                TokensKey,
                FormattableString.Invariant($"1 to {TokenizationLimits.VocabularySizeMax} tokens"),
                FormattableString.Invariant($"{tokens.Count}"));
        }

        var vocabulary = new Vocabulary(metadata, tokens)
        {
            BeginOfSequenceToken = ReadId(metadata, begin, tokens.Count, defaults.Begin),
            EndOfSequenceToken = ReadId(metadata, end, tokens.Count, defaults.End),
            UnknownToken = ReadId(metadata, "unknown", tokens.Count, defaults.Unknown),
        };
        vocabulary.CollectEndOfGeneration(metadata);
        vocabulary.FindFillInMiddle(metadata);
        return vocabulary;
    }

    /// <summary>One score for each token.</summary>
    /// <exception cref="GgufException">The file has none, or not as many.</exception>
    public float[] ReadScores(GgufMetadata metadata)
    {
        const string ScoresKey = "tokenizer.ggml.scores";
        var scores = metadata.FindSingles(ScoresKey) ?? throw metadata.Error(ScoresKey, "an array of numbers", "no such key");
        return scores.Length == Count
            ? scores
            : throw metadata.Error(
                ScoresKey, FormattableString.Invariant($"one score for each of {Count} tokens"), FormattableString.Invariant($"{scores.Length}"));
    }

    /// <summary>UTF-8 of a token's text.</summary>
    public ReadOnlySpan<byte> Piece(int token) => _pieces.AsSpan((token == 0 ? 0 : _pieceEnds[token - 1]).._pieceEnds[token]);

    public string PieceText(int token) => Encoding.UTF8.GetString(Piece(token));

    public TokenType Type(int token) => _types[token];

    public bool IsEndOfGeneration(int token) => _endOfGeneration.Contains(token);

    /// <summary>Special tokens with their texts, as text is searched for them.</summary>
    /// <param name="stripsRight">Which of them drop white space after them; null for none.</param>
    public SpecialTokens CreateSpecialTokens(Predicate<string>? stripsRight)
    {
        var specials = new SpecialTokens();
        for (var token = 0; token < _types.Length; token++)
        {
            if (_types[token] is TokenType.Control or TokenType.UserDefined or TokenType.Unknown && !Piece(token).IsEmpty)
            {
                var text = PieceText(token);
                specials.Add(text, token, _types[token] == TokenType.UserDefined, stripsRight?.Invoke(text) ?? false);
            }
        }

        return specials;
    }

    private static TokenType[] ReadTypes(GgufMetadata metadata, int count)
    {
        var types = new TokenType[count];
        if (metadata.FindIntegers(TypesKey) is not { } numbers)
        {
            Array.Fill(types, TokenType.Normal);
            return types;
        }

        if (numbers.Length != count)
        {
            throw metadata.Error(
                TypesKey,
                FormattableString.Invariant($"one type for each of {count} tokens"),
                FormattableString.Invariant($"{numbers.Length}"));
        }

        for (var i = 0; i < count; i++)
        {
            types[i] = numbers[i] is >= 0 and <= (int)TokenType.Byte
                ? (TokenType)numbers[i]
                : throw metadata.Error(TypesKey, "types from 0 to 6", FormattableString.Invariant($"{numbers[i]} for token {i}"));
        }

        return types;
    }

    private static string IdKey(string name) => $"tokenizer.ggml.{name}_token_id";

    private static int? ReadId(GgufMetadata metadata, string name, int count, int? fallback)
    {
        var key = IdKey(name);
        if (!metadata.Contains(key))
        {
            return fallback < count ? fallback : null;
        }

        // Converters write -1, also as an unsigned number, for a token that a model does not have.
        var id = metadata.GetInteger(key);
        if (id is -1 or uint.MaxValue)
        {
            return null;
        }

        return id >= 0 && id < count
            ? (int)id
            : throw metadata.Error(
                key, FormattableString.Invariant($"a token from 0 to {count - 1}"), FormattableString.Invariant($"{id}"));
    }

    private void FindFillInMiddle(GgufMetadata metadata)
    {
        int? Named(string key, string older) => ReadId(metadata, key, Count, ReadId(metadata, older, Count, null));

        Span<int?> marks = [Named("fim_pre", "prefix"), Named("fim_suf", "suffix"), Named("fim_mid", "middle")];
        string model = $"{metadata.FindString("general.basename")} {metadata.FindString("general.name")}";
        if (marks.Contains(null))
        {
            for (var token = 0; token < Count; token++)
            {
                if (Piece(token) is [(byte)'<' or (byte)'[' or 0xE2, ..] && Piece(token).Length <= 32
                    && Tokenization.FillInMiddle.FindMark(PieceText(token), model) is { } mark)
                {
                    marks[mark] ??= token;
                }
            }
        }

        FillInMiddle = Tokenization.FillInMiddle.Create(marks, marks[1] is { } suffix ? PieceText(suffix) : "", model);
        if (FillInMiddle is null)
        {
            return;
        }

        foreach (var token in marks)
        {
            // Some files call them ordinary words. Then a text that contains one would break its own prompt.
            if (token is { } mark)
            {
                _types[mark] = TokenType.Control;
            }
        }
    }

    private void CollectEndOfGeneration(GgufMetadata metadata)
    {
        foreach (var name in (ReadOnlySpan<string>)["eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"])
        {
            if (ReadId(metadata, name, Count, name == "eos" ? EndOfSequenceToken : null) is { } token)
            {
                _endOfGeneration.Add(token);
            }
        }

        var ends = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var token = 0; token < Count; token++)
        {
            // All of the texts start with one of these; the last is the first byte of SentencePiece's space.
            if (Piece(token) is not [(byte)'<' or (byte)'[' or (byte)'_' or 0xE2, ..] || Piece(token).Length > 32)
            {
                continue;
            }

            var text = PieceText(token);
            if (EndOfGeneration.Contains(text, _types[token]))
            {
                _endOfGeneration.Add(token);
                _types[token] = TokenType.Control;
                ends[text] = token;
            }
        }

        if (EndOfGeneration.HarmonyTexts.All(ends.ContainsKey))
        {
            _endOfGeneration.Remove(ends[EndOfGeneration.HarmonyEnd]);
        }

        if (ends.ContainsKey(EndOfGeneration.ToolResponse) && ends.TryGetValue(EndOfGeneration.SentenceEnd, out var sentenceEnd))
        {
            _endOfGeneration.Remove(sentenceEnd);
        }
    }
}
