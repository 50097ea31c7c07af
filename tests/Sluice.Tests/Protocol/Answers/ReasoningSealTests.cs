using Sluice.Protocol.Answers;
using Xunit;

namespace Sluice.Tests.Protocol.Answers;

public sealed class ReasoningSealTests
{
    private static readonly ReasoningBlob s_blob = new("messages/1/m", "{\"signature\":\"\u00e4\"}"u8.ToArray());
    private readonly ReasoningSeal _seal = new(Enumerable.Range(0, ReasoningSeal.KeyBytes).Select(static i => (byte)i).ToArray());

    [Fact]
    public void What_is_sealed_comes_back_unchanged()
    {
        Assert.True(_seal.TryOpen(_seal.Seal(s_blob), out var opened));
        Assert.Equal(s_blob.Origin, opened.Origin);
        Assert.Equal(s_blob.Json.ToArray(), opened.Json.ToArray());
    }

    // Caches of prompts compare bytes.
    [Fact]
    public void Equal_reasoning_has_equal_text() => Assert.Equal(_seal.Seal(s_blob), _seal.Seal(s_blob));

    [Fact]
    public void Nobody_else_opens_it()
    {
        Assert.False(new ReasoningSeal(new byte[ReasoningSeal.KeyBytes]).TryOpen(_seal.Seal(s_blob), out _));
    }

    [Fact]
    public void A_changed_text_is_not_opened()
    {
        var text = _seal.Seal(s_blob);
        for (var i = 0; i < text.Length; i++)
        {
            var changed = text.ToCharArray();
            changed[i] = changed[i] == 'A' ? 'B' : 'A';
            Assert.False(_seal.TryOpen(new string(changed), out _) && i < text.Length - 1);
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("slc1.")]
    [InlineData("slc1.AAAA")]
    [InlineData("slc1.!!!")]
    [InlineData("gAAAAABo")]
    public void Texts_of_others_are_not_opened(string? text) => Assert.False(_seal.TryOpen(text, out _));
}
