using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Turns text into a model's tokens and tokens into bytes, exactly as the model was trained with. Made from a file's metadata, which it
/// does not need afterwards. Safe to use from any thread.
/// </summary>
public abstract class Tokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly SpecialTokens _specialTokens;

    private protected Tokenizer(Vocabulary vocabulary, SpecialTokens specialTokens, TokenFrame frame)
    {
        _vocabulary = vocabulary;
        _specialTokens = specialTokens;
        AddsBeginOfSequence = frame.AddsBegin && vocabulary.BeginOfSequenceToken is not null;
        AddsEndOfSequence = frame.AddsEnd && vocabulary.EndOfSequenceToken is not null;
    }

    /// <summary>Number of tokens; ids go from 0 to one less.</summary>
    public int VocabularySize => _vocabulary.Count;

    /// <summary>The token that starts a text; null if the model has none.</summary>
    public int? BeginOfSequenceToken => _vocabulary.BeginOfSequenceToken;

    /// <summary>
    /// The token that ends a text; null if the model has none. See <see cref="IsEndOfGeneration"/> for all that end an answer.
    /// </summary>
    public int? EndOfSequenceToken => _vocabulary.EndOfSequenceToken;

    /// <summary>The tokens for texts with a gap to be filled; null for a model that was not trained to fill one.</summary>
    public FillInMiddle? FillInMiddle => _vocabulary.FillInMiddle;

    /// <summary>Whether a prompt that was not made by a chat template starts with <see cref="BeginOfSequenceToken"/>.</summary>
    public bool AddsBeginOfSequence { get; }

    /// <summary>Whether a text that is embedded ends with <see cref="EndOfSequenceToken"/>, which is the separator of an encoder.</summary>
    public bool AddsEndOfSequence { get; }

    /// <summary>
    /// Reads the tokenizer of a file: BPE of bytes (<c>gpt2</c>), of characters by scores (<c>llama</c>) or by ranks (<c>gemma4</c>), WordPiece
    /// (<c>bert</c>) or Unigram (<c>t5</c>).
    /// </summary>
    /// <exception cref="GgufException">The tokenizer is missing, contradicts itself, or is of a kind that is not supported.</exception>
    public static Tokenizer Load(GgufMetadata metadata)
    {
        const string ModelKey = "tokenizer.ggml.model";
        return metadata.GetString(ModelKey) switch
        {
            "gpt2" => BytePairTokenizer.Read(metadata),
            "llama" => SentencePieceTokenizer.Read(metadata),
            "gemma4" => CharacterPairTokenizer.Read(metadata),
            "bert" => WordPieceTokenizer.Read(metadata),
            "t5" => UnigramTokenizer.Read(metadata),
            var model => throw metadata.Error(ModelKey, "gpt2, llama, gemma4, bert or t5", GgufErrors.Quote(model)),
        };
    }

    /// <summary>Whether a generated token ends the answer.</summary>
    public bool IsEndOfGeneration(int token) => _vocabulary.IsEndOfGeneration(token);

    /// <summary>Whether a token steers the model and prints nothing.</summary>
    public bool IsControl(int token) => _vocabulary.Type(token) == TokenType.Control;

    /// <summary>
    /// The bytes that a token prints, which may be part of a character; none for control, unknown and unused tokens. Does not allocate.
    /// </summary>
    public abstract ReadOnlyMemory<byte> GetBytes(int token);

    /// <summary>
    /// The token's text as it stands in the vocabulary: what a control token is written as, not what a normal token prints.
    /// </summary>
    public string GetPiece(int token) => _vocabulary.PieceText(token);

    /// <summary>
    /// Appends the tokens of a text; no begin-of-sequence token is added. A lone surrogate counts as U+FFFD. Text between special tokens is
    /// tokenised as a whole, wherever literal spans begin and end.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="parseSpecial">Control tokens are recognised by their text. User-defined tokens always are.</param>
    /// <param name="literalSpans">Ranges in which, or in part of which, nothing is a control token: text that came from a user.</param>
    /// <param name="tokens">Receives the tokens.</param>
    public void Encode(string text, bool parseSpecial, ReadOnlySpan<TextSpan> literalSpans, List<int> tokens)
    {
        var position = 0;
        var isAfterSpecial = true;
        if (_specialTokens.Find(text, parseSpecial, literalSpans) is { } matches)
        {
            foreach (var match in matches)
            {
                if (match.Start > position)
                {
                    EncodeText(text.AsSpan(position..match.Start), isAfterSpecial, tokens);
                }

                tokens.Add(match.Token);
                isAfterSpecial = true;
                position = Math.Max(position, match.End);
                while (match.StripsRight && position < text.Length && text[position] is ' ' or (>= '\t' and <= '\r'))
                {
                    position++;
                }
            }
        }

        if (position < text.Length)
        {
            EncodeText(text.AsSpan(position), isAfterSpecial, tokens);
        }
    }

    /// <summary>Appends the tokens of text that has no special tokens.</summary>
    /// <param name="text">Not empty.</param>
    /// <param name="isAfterSpecial">The text starts the prompt or follows a special token.</param>
    /// <param name="tokens">Receives the tokens.</param>
    private protected abstract void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens);
}
