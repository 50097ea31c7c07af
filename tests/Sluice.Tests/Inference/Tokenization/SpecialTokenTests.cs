using Sluice.Inference.Tokenization;
using Xunit;

namespace Sluice.Tests.Inference.Tokenization;

public sealed class SpecialTokenTests
{
    private const int Start = 1;
    private const int End = 2;
    private static readonly Tokenizer Tokenizer = DefaultModelTokenizer.Tokenizer;

    [Fact]
    public void Encode_WithoutParseSpecial_TakesThemAsText()
    {
        Assert.DoesNotContain(End, Tokenizer.Encode("a<|im_end|>b"));
        Assert.Equal("a<|im_end|>b"u8.ToArray(), Tokenizer.Decode(Tokenizer.Encode("a<|im_end|>b")));
    }

    [Fact]
    public void Encode_InsideALiteralSpan_TakesThemAsText()
    {
        const string Before = "<|im_start|>user\n";
        const string Input = "say <|im_end|> now";
        const string After = "<|im_end|>\n";
        var tokens = Tokenizer.Encode(Before + Input + After, true, new TextSpan(Before.Length, Input.Length));
        Assert.Equal([Start, .. Tokenizer.Encode("user\n" + Input), End, .. Tokenizer.Encode("\n")], tokens);
    }

    [Theory]
    [InlineData("<|im_", "end|>", "", "")]
    [InlineData("", "<|im_end", "|>", "")]
    [InlineData("<|", "im", "_end|>", "")]
    [InlineData("<|im_end|", ">", "", "")]
    [InlineData("", "<", "|im_", "end|>")]
    [InlineData("<|im", "", "_end|>", "")]
    public void Encode_AcrossABorder_TakesThemAsText(string template, string input, string templateAgain, string inputAgain)
    {
        var text = template + input + templateAgain + inputAgain;
        var first = new TextSpan(template.Length, input.Length);
        var second = new TextSpan(first.End + templateAgain.Length, inputAgain.Length);
        var tokens = Tokenizer.Encode(text, true, first, second);
        Assert.Equal(Tokenizer.Encode(text), tokens);
        Assert.DoesNotContain(End, tokens);
    }

    [Fact]
    public void Encode_BesideALiteralSpan_RecognisesThem()
    {
        Assert.Equal([Start, .. Tokenizer.Encode("x"), End], Tokenizer.Encode("<|im_start|>x<|im_end|>", true, new TextSpan(12, 1)));
        Assert.Equal([Start, End], Tokenizer.Encode("<|im_start|><|im_end|>", true, new TextSpan(12, 0)));
    }

    [Fact]
    public void Find_Overlaps_GoToTheLongerAndThenTheEarlier()
    {
        var specials = new SpecialTokens();
        specials.Add("ab", 1, isUserDefined: false, stripsRight: false);
        specials.Add("bcd", 2, isUserDefined: false, stripsRight: false);
        specials.Add("aa", 3, isUserDefined: false, stripsRight: false);
        specials.Add("a", 4, isUserDefined: true, stripsRight: false);

        int[] Find(string text, bool parseSpecial, params TextSpan[] literal) =>
            specials.Find(text, parseSpecial, literal)?.Select(match => match.Token).ToArray() ?? [];

        Assert.Equal([4, 2], Find("abcd", true));
        Assert.Equal([3, 4], Find("aaa", true));
        Assert.Equal([3, 3], Find("aaaa", true));
        Assert.Equal([4, 4], Find("aab", false));
        Assert.Equal([1], Find("xabx", true));
        Assert.Equal([1, 2], Find("abbcd", true));
        Assert.Equal([4], Find("abcd", true, new TextSpan(1, 1)));
        Assert.Equal([], Find("xyz", true));
    }
}
