using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Sluice.Protocol.Answers;
using Xunit;

namespace Sluice.Tests.Protocol.Answers;

/// <summary>The input of a custom tool, out of the arguments of the function that stands for it.</summary>
public sealed class CustomInputReaderTests
{
    [Theory]
    [InlineData("{\"input\": \"select 1\"}", "select 1")]
    [InlineData("{\n  \"input\"  :\t\"\"}", "")]
    [InlineData("{\"input\":\"a\\n\\t\\\"\\\\\\/\\u00e9\\ud83d\\ude42é🙂\"}", "a\n\t\"\\/é🙂é🙂")]
    [InlineData("{\"input\":\"\\ud83d\"}", "\uFFFD")]
    [InlineData("{\"input\":\"\\ud83dx\\ude42\"}", "\uFFFDx\uFFFD")]
    [InlineData("{\"input\":\"cut", "cut")]
    [InlineData("{}", "")]
    [InlineData("{\"sql\": 1}", "{\"sql\": 1}")]
    public void A_text_comes_out_in_any_split(string arguments, string expected)
    {
        for (var size = 1; size <= arguments.Length; size++) Assert.Equal(expected, Read(arguments, size));
    }

    [Fact]
    public void What_the_history_is_told_is_what_the_reader_reads() => Prop.ForAll(
        ArbMap.Default.ArbFor<NonNull<string>>(),
        text =>
        {
            var whole = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.Get));
            var arguments = CustomInputReader.ToArguments(whole);
            return Read(arguments, 3) == whole && JsonElement.Parse(arguments).GetProperty(CustomInputReader.Argument).GetString() == whole;
        }).QuickCheckThrowOnFailure();

    // In pieces of whole characters, as the engine gives them.
    private static string Read(string arguments, int size)
    {
        var reader = new CustomInputReader();
        var text = new List<byte>();
        Rune[] runes = [.. arguments.EnumerateRunes()];
        foreach (var piece in runes.Chunk(size)) text.AddRange(reader.Read(Encoding.UTF8.GetBytes(string.Concat(piece))));
        return Encoding.UTF8.GetString([.. text]);
    }
}
