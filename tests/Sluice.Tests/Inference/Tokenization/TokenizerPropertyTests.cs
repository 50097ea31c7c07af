using System.Text;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Tokenization;

public sealed class TokenizerPropertyTests
{
    private const string Signs = "'sStTrReEdDmM1290\n\r\t";

    [Fact]
    public void Encode_AnyText_PrintsTheSameBytes()
    {
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        var printable = Enumerable.Range(0, tokenizer.VocabularySize)
            .Select(token => tokenizer.GetBytes(token).ToArray())
            .Where(bytes => bytes.Length == 1)
            .Select(bytes => bytes[0])
            .ToHashSet();
        var random = new Random(7);
        for (var i = 0; i < 3000; i++)
        {
            var text = RandomText(random);

            // UTF-8 as .NET has it: a lone surrogate is U+FFFD. The vocabulary has no token for a few bytes; they print nothing, as in
            // llama.cpp.
            var expected = Encoding.UTF8.GetBytes(text).Where(printable.Contains).ToArray();
            Assert.Equal(expected, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void Encode_LoneSurrogates_AreReplacementCharacters()
    {
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        Assert.Equal(tokenizer.Encode("a\ufffd\ufffdb\ufffd"), tokenizer.Encode("a\udc00\ud800b\ud83d"));
    }

    [Fact]
    public void Encode_SameTextTwice_GivesTheSameTokens()
    {
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        var random = new Random(8);
        for (var i = 0; i < 500; i++)
        {
            var text = RandomText(random);
            Assert.Equal(tokenizer.Encode(text), tokenizer.Encode(text));
        }
    }

    [Fact]
    public void Encode_FromManyThreads_GivesTheSameTokens()
    {
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        var texts = Enumerable.Range(0, 200).Select(seed => RandomText(new Random(seed))).ToArray();
        var expected = texts.Select(text => tokenizer.Encode(text)).ToArray();
        Parallel.For(0, 2000, i => Assert.Equal(expected[i % texts.Length], tokenizer.Encode(texts[i % texts.Length])));
    }

    /// <summary>Enough work that a quadratic merge would take minutes.</summary>
    [Theory]
    [InlineData("a", 300_000)]
    [InlineData(" ", 300_000)]
    [InlineData("\n", 300_000)]
    [InlineData("1", 300_000)]
    [InlineData("=", 300_000)]
    [InlineData("é", 150_000)]
    [InlineData("中", 150_000)]
    [InlineData("ab", 150_000)]
    [InlineData("'", 300_000)]
    [InlineData(" 1", 150_000)]
    [InlineData("<|im_", 60_000)]
    [InlineData("<|im_end|>", 30_000)]
    public void Encode_LongRuns_StaysCheap(string unit, int count)
    {
        var text = string.Concat(Enumerable.Repeat(unit, count));
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        Assert.Equal(Encoding.UTF8.GetBytes(text), tokenizer.Decode(tokenizer.Encode(text)));
        Assert.NotEmpty(tokenizer.Encode(text, parseSpecial: true));
    }

    [Fact]
    public void Encode_KnownWords_AllocatesNothing()
    {
        var tokenizer = DefaultModelTokenizer.Tokenizer;
        var text = string.Concat(Enumerable.Repeat("The quick brown fox can't jump over 12 lazy dogs.\n", 100));
        var tokens = new List<int>(10_000);
        tokenizer.Encode(text, parseSpecial: true, [], tokens);
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            tokens.Clear();
            tokenizer.Encode(text, parseSpecial: true, [], tokens);
        }));
    }

    private static string RandomText(Random random)
    {
        var text = new StringBuilder();
        for (var length = random.Next(40); length > 0; length--)
        {
            text.Append(random.Next(8) switch
            {
                0 => ' ',
                1 => (char)random.Next(0x80),
                2 => (char)random.Next(0x10000), // surrogates among them
                3 => Signs[random.Next(Signs.Length)],
                4 => new Rune(random.Next(0x10000, 0x110000)).ToString(),
                5 => (char)random.Next(0xD800, 0xE000),
                _ => (char)random.Next('a', 'z' + 1),
            });
        }

        return text.ToString();
    }
}
