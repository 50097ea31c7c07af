using System.Text;
using System.Text.RegularExpressions;
using Sluice.Cli.Chat;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>Colors of Markdown in the terminal: the text stays what it is, however it is cut into pieces.</summary>
public sealed class MarkdownPainterTests
{
    private const string Text = "# Title\n\nSome **bold** and `code` * not ** closed\n- item `x`\n  * deeper\n```py\n# not a title\n**x** = `y`\n```\nafter 2 * 3 ### `open\nplain ****** end **";

    [Fact]
    public void Marks_get_colors_and_end_where_they_end()
    {
        var painted = Paint(Text, Text.Length);
        Assert.Contains("\u001B[1m# Title\u001B[0m\n", painted, StringComparison.Ordinal);
        Assert.Contains("\u001B[1m**bold**\u001B[0m and \u001B[36m`code`\u001B[0m", painted, StringComparison.Ordinal);
        Assert.Contains("\u001B[33m-\u001B[0m item", painted, StringComparison.Ordinal);
        Assert.Contains("\u001B[33m  *\u001B[0m deeper", painted, StringComparison.Ordinal);
        Assert.Contains("\u001B[36m```py\n# not a title\n**x** = `y`\n```\u001B[0m\nafter", painted, StringComparison.Ordinal);
        Assert.Contains("\u001B[36m`open\u001B[0m\nplain", painted, StringComparison.Ordinal);
    }

    [Fact]
    public void The_text_is_the_same_and_so_are_the_colors_however_it_is_cut()
    {
        var whole = Paint(Text, Text.Length);
        for (var size = 1; size < 20; size++)
        {
            var painted = Paint(Text, size);
            Assert.Equal(whole, painted);
            Assert.Equal(Text, Regex.Replace(painted, "\u001B\\[\\d+m", ""));
        }

        var random = new Random(5);
        for (var i = 0; i < 500; i++)
        {
            var text = string.Concat(Enumerable.Range(0, 60).Select(_ => "ab `*#-+ \n`"[random.Next(11)]));
            Assert.Equal(text, Regex.Replace(Paint(text, random.Next(1, 9)), "\u001B\\[\\d+m", ""));
            Assert.Equal(Paint(text, text.Length), Paint(text, random.Next(1, 9)));
        }
    }

    private static string Paint(string text, int size)
    {
        var (painter, output) = (new MarkdownPainter(), new StringBuilder());
        for (var start = 0; start < text.Length; start += size) output.Append(painter.Add(text[start..int.Min(text.Length, start + size)]));
        return output.Append(painter.End()).ToString();
    }
}
