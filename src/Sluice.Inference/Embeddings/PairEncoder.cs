using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Embeddings;

/// <summary>Makes the one input that a reranker reads of a query and a document: by the template of its file, or with separators between them.</summary>
internal sealed class PairEncoder
{
    private const string TemplateKey = "tokenizer.chat_template.rerank";
    private const string QueryPlace = "{query}";
    private const string DocumentPlace = "{document}";

    private readonly Tokenizer _tokenizer;
    private readonly string? _template;
    private readonly int? _end;
    private readonly int? _separator;

    /// <param name="metadata">Of the file.</param>
    /// <param name="tokenizer">Of the model.</param>
    public PairEncoder(GgufMetadata metadata, Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _template = metadata.FindString(TemplateKey);
        // An encoder of words has a separator and no end; the others have an end, and a separator where their file says so.
        bool isWordPiece = metadata.GetString("tokenizer.ggml.model") == "bert";
        _end = metadata.GetBoolean("tokenizer.ggml.add_eos_token", !isWordPiece && tokenizer.AddsEndOfSequence) ? tokenizer.EndOfSequenceToken : null;
        if (metadata.GetBoolean("tokenizer.ggml.add_sep_token", isWordPiece))
        {
            long separator = metadata.GetInteger("tokenizer.ggml.seperator_token_id", tokenizer.EndOfSequenceToken ?? -1);
            _separator = separator >= 0 && separator < tokenizer.VocabularySize ? (int)separator : null;
        }
    }

    /// <summary>The tokens of a pair.</summary>
    public List<int> Encode(string query, string document)
    {
        var tokens = new List<int>();
        if (_template is not null)
        {
            EncodeTemplate(_template, query, document, tokens);
            return tokens;
        }

        if (_tokenizer is { AddsBeginOfSequence: true, BeginOfSequenceToken: { } begin })
        {
            tokens.Add(begin);
        }

        _tokenizer.Encode(query, parseSpecial: false, [], tokens);
        Add(_end, tokens);
        Add(_separator, tokens);
        _tokenizer.Encode(document, parseSpecial: false, [], tokens);
        Add(_end, tokens);
        return tokens;
    }

    private static void Add(int? token, List<int> tokens)
    {
        if (token is { } id)
        {
            tokens.Add(id);
        }
    }

    // What a user wrote is text, also where it looks like a token or like the other place.
    private void EncodeTemplate(string template, string query, string document, List<int> tokens)
    {
        var text = new System.Text.StringBuilder();
        var literals = new List<TextSpan>();
        for (int at = 0; at < template.Length;)
        {
            ReadOnlySpan<char> rest = template.AsSpan(at);
            (string place, string? value) = rest.StartsWith(QueryPlace) ? (QueryPlace, query) : rest.StartsWith(DocumentPlace) ? (DocumentPlace, document) : ("", null);
            if (value is null)
            {
                text.Append(template[at++]);
                continue;
            }

            if (value.Length > 0)
            {
                literals.Add(new TextSpan(text.Length, value.Length));
            }

            text.Append(value);
            at += place.Length;
        }

        _tokenizer.Encode(text.ToString(), parseSpecial: true, literals.ToArray(), tokens);
    }
}
