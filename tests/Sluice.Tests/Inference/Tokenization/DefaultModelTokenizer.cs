using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;
using Sluice.Testing;

namespace Sluice.Tests.Inference.Tokenization;

/// <summary>The tokenizer of the model that the repository carries, read once for all tests.</summary>
internal static class DefaultModelTokenizer
{
    private static readonly Lazy<Tokenizer> Loaded = new(() =>
    {
        using var file = GgufFile.Open(TestFiles.DefaultModel);
        return Tokenizer.Load(file.Metadata);
    });

    public static Tokenizer Tokenizer => Loaded.Value;

    public static int[] Encode(this Tokenizer tokenizer, string text, bool parseSpecial = false, params TextSpan[] literalSpans)
    {
        var tokens = new List<int>();
        tokenizer.Encode(text, parseSpecial, literalSpans, tokens);
        return [.. tokens];
    }

    public static byte[] Decode(this Tokenizer tokenizer, IEnumerable<int> tokens) =>
        tokens.SelectMany(token => tokenizer.GetBytes(token).ToArray()).ToArray();
}
