using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.Cli.Chat;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>Lines of answers break between words: what a terminal of few columns shows of them.</summary>
public sealed partial class WordWrapTests
{
    [Theory]
    [InlineData(20, "The quick brown fox jumps over the lazy dog", "The quick brown fox|jumps over the lazy|dog")]
    [InlineData(20, "- one two three four five six\n- seven", "- one two three|four five six|- seven")]
    [InlineData(20, "Donaudampfschifffahrtsgesellschaft is long", "Donaudampfschifffah|rtsgesellschaft is|long")]
    [InlineData(20, "a well-known state-of-the-art thing", "a well-known state-|of-the-art thing")]
    [InlineData(20, "日本語のテキストは単語の間に空白がない", "日本語のテキストは|単語の間に空白がな|い")]
    [InlineData(20, "four five six seven \u001B[1meight nine\u001B[0m ten", "four five six seven|eight nine ten")]
    [InlineData(20, "```py\nthis_line_is_code = \"and stays as it is\"\n```\nafter it words wrap again", "```py|this_line_is_code = |\"and stays as it is\"|```|after it words wrap|again")]
    [InlineData(20, "| a | table is not broken |", "| a | table is not b|roken |")]
    [InlineData(20, "nineteen characters next", "nineteen characters|next")]
    [InlineData(9, "as narrow as a watch", "as narrow| as a wat|ch")]
    public void Words_stay_whole(int width, string text, string screen)
    {
        // Whatever pieces it comes in.
        foreach (var size in (int[])[1, 3, 1000])
        {
            var wrap = new WordWrap(width);
            var terminal = new SmallTerminal(width);
            var output = new StringBuilder();
            for (var start = 0; start < text.Length; start += size) output.Append(wrap.Add(text[start..int.Min(start + size, text.Length)]));
            terminal.Write(output.ToString());
            Assert.Equal(screen, terminal.Screen);
        }
    }

    [Fact]
    public void Colors_go_along_with_a_word_that_is_taken_back()
    {
        var wrap = new WordWrap(20);
        Assert.Equal("four five six sev c\u001B[36m\u001B[1D\u001B[K\nc\u001B[36modes", wrap.Add("four five six sev c\u001B[36modes"));
    }

    [GeneratedRegex(@"\u001B\[(\d*)([A-Za-z])")]
    private static partial Regex Sequence();

    // Knows line breaks, going back, erasing to the end of a line, and its own border.
    private sealed class SmallTerminal(int width)
    {
        private readonly List<List<string>> _rows = [[]];
        private int _column;

        public string Screen => string.Join('|', _rows.Select(row => row.Count == width ? string.Concat(row) : string.Concat(row).TrimEnd(' ')));

        public void Write(string text)
        {
            for (var i = 0; i < text.Length;)
            {
                if (Sequence().Match(text, i) is { Success: true } match && match.Index == i)
                {
                    var count = match.Groups[1].Length == 0 ? 0 : int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
                    if (match.Groups[2].Value == "D") _column -= count;
                    else if (match.Groups[2].Value == "K") _rows[^1].RemoveRange(_column, _rows[^1].Count - _column);
                    i += match.Length;
                    continue;
                }
                var element = StringInfo.GetNextTextElement(text, i);
                i += element.Length;
                if (element == "\n") NewRow();
                else Put(element);
            }
        }

        private void Put(string element)
        {
            var columns = TextWidth.Of(element);
            if (_column + columns > width) NewRow();
            _rows[^1].Add(element);
            // A wide one takes two cells.
            if (columns == 2) _rows[^1].Add("");
            _column += columns;
        }

        private void NewRow()
        {
            _rows.Add([]);
            _column = 0;
        }
    }
}
