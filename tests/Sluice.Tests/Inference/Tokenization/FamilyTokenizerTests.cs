using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Tokenization;

/// <summary>Five families' tokenizers, id by id, against what each family's own tokenizer gives.</summary>
public sealed class FamilyTokenizerTests
{
    [Theory]
    [InlineData("gpt-2")]
    [InlineData("llama-bpe")]
    [InlineData("llama-spm")]
    [InlineData("phi-3")]
    [InlineData("qwen2")]
    public void Encode_TextsOfTheFamily_GivesItsIds(string family)
    {
        if (TestFiles.FindShared("data", "vocab", $"ggml-vocab-{family}.gguf") is not { } path)
        {
            Assert.Skip(TestFiles.NoShared);
            return;
        }

        using var file = GgufFile.Open(path);
        var tokenizer = Tokenizer.Load(file.Metadata);
        var texts = File.ReadAllText(path + ".inp").Split("\n__ggml_vocab_test__\n");
        var expected = File.ReadAllText(path + ".out").Split('\n');
        Assert.True(texts.Length >= 40);
        for (var i = 0; i < texts.Length; i++)
        {
            var tokens = new List<int>();
            tokenizer.Encode(texts[i], parseSpecial: false, [], tokens);
            Assert.True(
                expected[i].Trim() == string.Join(' ', tokens),
                $"{texts[i]}\nexpected {expected[i]}\nfound     {string.Join(' ', tokens)}");
        }
    }
}
