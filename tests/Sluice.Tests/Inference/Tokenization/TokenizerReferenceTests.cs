using System.Text.Json;
using Xunit;

namespace Sluice.Tests.Inference.Tokenization;

/// <summary>
/// The shipped model's tokenizer, id by id, against llama.cpp. <c>tests/reference/make_tokenization.py</c> wrote the reference: for each
/// text the ids without and, where they differ, with special tokens parsed.
/// </summary>
public sealed class TokenizerReferenceTests
{
    [Fact]
    public void Encode_NastyTexts_GivesTheIdsOfLlamaCpp()
    {
        using var stream = typeof(TokenizerReferenceTests).Assembly.GetManifestResourceStream("smollm2-tokenization.json")!;
        using var reference = JsonDocument.Parse(stream);
        Assert.True(reference.RootElement.GetArrayLength() >= 400);
        var differences = new List<string>();
        foreach (var line in reference.RootElement.EnumerateArray())
        {
            var text = line.GetProperty("text").GetString()!;
            var plain = line.GetProperty("plain");
            Compare(text, plain, parseSpecial: false);
            Compare(text, line.TryGetProperty("special", out var special) ? special : plain, parseSpecial: true);
        }

        Assert.True(differences.Count == 0, $"{differences.Count} differ:\n{string.Join('\n', differences)}");

        void Compare(string text, JsonElement ids, bool parseSpecial)
        {
            var found = DefaultModelTokenizer.Tokenizer.Encode(text, parseSpecial);
            if (!found.SequenceEqual(ids.EnumerateArray().Select(id => id.GetInt32())))
            {
                differences.Add(
                    $"{JsonEncodedText.Encode(text)} (special: {parseSpecial}): expected {ids}, found {string.Join(',', found)}");
            }
        }
    }

    [Fact]
    public void DefaultModel_HasItsSpecialTokens()
    {
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        Assert.Equal((49152, false), (tokenizer.VocabularySize, tokenizer.AddsBeginOfSequence));
        Assert.Equal((1, 2), (tokenizer.BeginOfSequenceToken, tokenizer.EndOfSequenceToken));
        Assert.Equal("<|im_start|>", tokenizer.GetPiece(1));
        Assert.Equal([0, 2, 4], Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsEndOfGeneration));
        Assert.Equal(Enumerable.Range(0, 17), Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsControl));
        Assert.All(Enumerable.Range(0, 17), token => Assert.True(tokenizer.GetBytes(token).IsEmpty));
    }
}
