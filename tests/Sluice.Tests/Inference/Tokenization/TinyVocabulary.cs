using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;
using Sluice.Testing;
using Sluice.Tests.Inference.Gguf;

namespace Sluice.Tests.Inference.Tokenization;

/// <summary>Files without weights whose vocabulary a test writes down.</summary>
internal static class TinyVocabulary
{
    public const int Normal = 1;
    public const int Unknown = 2;
    public const int Control = 3;
    public const int UserDefined = 4;
    public const int ByteToken = 6;

    /// <summary>A byte-level vocabulary; the caller adds ids and other keys.</summary>
    public static GgufWriter BytePair(string pre, string[] merges, params (string Piece, int Type)[] tokens) => new GgufWriter()
        .Add("tokenizer.ggml.model", "gpt2")
        .Add("tokenizer.ggml.pre", pre)
        .AddArray("tokenizer.ggml.tokens", tokens.Select(token => token.Piece).ToArray())
        .AddArray("tokenizer.ggml.token_type", tokens.Select(token => token.Type).ToArray())
        .AddArray("tokenizer.ggml.merges", merges);

    /// <summary>A SentencePiece-style vocabulary; the caller adds ids and other keys.</summary>
    public static GgufWriter SentencePiece(params (string Piece, float Score, int Type)[] tokens) => new GgufWriter()
        .Add("tokenizer.ggml.model", "llama")
        .AddArray("tokenizer.ggml.tokens", tokens.Select(token => token.Piece).ToArray())
        .AddArray("tokenizer.ggml.scores", tokens.Select(token => token.Score).ToArray())
        .AddArray("tokenizer.ggml.token_type", tokens.Select(token => token.Type).ToArray());

    public static Tokenizer Load(GgufWriter writer)
    {
        using var temporary = new TemporaryGguf(writer.ToArray());
        using var file = GgufFile.Open(temporary.Path);
        return Tokenizer.Load(file.Metadata);
    }
}
