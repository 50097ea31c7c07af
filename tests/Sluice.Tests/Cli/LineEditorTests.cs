using System.Globalization;
using System.Text;
using Sluice.Cli;
using Sluice.Cli.Chat;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>The editor of the chat's messages: what keys make of a text, and that what is drawn is that text, at any width.</summary>
public sealed class LineEditorTests
{
    private static readonly string[] s_elements = ["a", "b", " ", "é", "e\u0301", "世", "👩‍👩‍👧", "🇨🇭", "\n", "ש", "☁️"];

    [Fact]
    public void Any_keys_at_any_width_draw_what_there_is()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var (columns, rows) = (random.Next(4, 30), random.Next(4, 12));
            var screen = new Screen(columns, rows);
            var buffer = new EditBuffer();
            var keys = new Queue<ConsoleKeyInfo>();
            var count = random.Next(1, 40);
            for (var i = 0; i < count; i++) AddKey(random, keys, buffer);
            keys.Enqueue(new ConsoleKeyInfo('\r', ConsoleKey.Enter, false, false, false));
            var terminal = Create(screen, keys, (columns, rows));
            var text = new LineEditor(terminal, []).Read("> ");
            Assert.Equal(buffer.Text, text);
            // Of a long text the end is on the screen; of any other all of it.
            var drawn = string.Concat(screen.Lines().Select(static line => line.TrimEnd()));
            var expected = ("> " + buffer.Text).Replace("\n", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal);
            Assert.EndsWith(drawn.Replace(" ", "", StringComparison.Ordinal), expected, StringComparison.Ordinal);
            if (screen.HasScrolled) continue;
            Assert.True(drawn.Length > 0, $"seed {seed}");
        }
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("a", 1)]
    [InlineData("e\u0301", 1)]
    [InlineData("世", 2)]
    [InlineData("👩‍👩‍👧", 2)]
    [InlineData("🇨🇭", 2)]
    [InlineData("☁️", 2)]
    [InlineData("\u0301", 0)]
    public void An_element_has_its_columns(string element, int columns) => Assert.Equal(columns, TextWidth.Of(element));

    [Fact]
    public void The_cursor_never_stops_within_a_character()
    {
        var buffer = new EditBuffer();
        buffer.Set("a👩‍👩‍👧e\u0301\nb世c");
        var places = new List<int>();
        for (var before = -1; buffer.Cursor != before; buffer.Left()) places.Add(before = buffer.Cursor);
        Assert.Equal([15, 14, 13, 12, 11, 9, 1, 0], places.Distinct());
        buffer.Set("ab\nlonger line\nx");
        buffer.Up();
        Assert.Equal(4, buffer.Cursor);
        buffer.End();
        buffer.Down();
        Assert.Equal(buffer.Text.Length, buffer.Cursor);
        buffer.DeleteWord();
        buffer.Backspace();
        Assert.Equal("ab\nlonger line", buffer.Text);
        buffer.DeleteToHome();
        Assert.Equal("ab\n", buffer.Text);
    }

    private static Terminal Create(Screen screen, Queue<ConsoleKeyInfo> keys, (int, int) size) => new()
    {
        Input = TextReader.Null,
        Output = screen,
        Error = TextWriter.Null,
        GetVariable = static _ => null,
        OnInterrupt = static _ => TextWriter.Null,
        OnTerminate = static _ => TextWriter.Null,
        OnHangUp = static _ => null,
        ReadKey = keys.Dequeue,
        Size = () => size,
    };

    // Presses a key, and does the same to a buffer.
    private static void AddKey(Random random, Queue<ConsoleKeyInfo> keys, EditBuffer buffer)
    {
        void Press(ConsoleKey key, Action act, char character = '\0', bool isControl = false, bool isAlt = false)
        {
            keys.Enqueue(new ConsoleKeyInfo(character, key, false, isAlt, isControl));
            act();
        }

        switch (random.Next(12))
        {
            case 0: Press(ConsoleKey.LeftArrow, buffer.Left); break;
            case 1: Press(ConsoleKey.RightArrow, buffer.Right); break;
            case 2: Press(ConsoleKey.Home, buffer.Home); break;
            case 3: Press(ConsoleKey.E, buffer.End, '\u0005', isControl: true); break;
            case 4: Press(ConsoleKey.Backspace, buffer.Backspace, '\b'); break;
            case 5: Press(ConsoleKey.Delete, buffer.Delete); break;
            case 6: Press(ConsoleKey.W, buffer.DeleteWord, '\u0017', isControl: true); break;
            default:
                var element = s_elements[random.Next(s_elements.Length)];
                if (element == "\n") Press(ConsoleKey.Enter, () => buffer.Insert("\n"), '\r', isAlt: true);
                else foreach (var character in element) keys.Enqueue(new ConsoleKeyInfo(character, 0, false, false, false));
                if (element != "\n") buffer.Insert(element);
                break;
        }
    }

    /// <summary>A terminal of its own making, which knows only what an editor may use.</summary>
    private sealed class Screen(int columns, int rows) : StringWriter(CultureInfo.InvariantCulture)
    {
        private readonly List<List<string>> _lines = [[]];
        private int _row;
        private int _column;

        public bool HasScrolled => _lines.Count > rows;

        public IEnumerable<string> Lines() => _lines.TakeLast(rows).Select(static line => string.Concat(line));

        public override void Write(string? value)
        {
            for (var index = 0; index < value!.Length;)
            {
                var length = StringInfo.GetNextTextElementLength(value, index);
                var element = value.Substring(index, length);
                if (element == "\u001B")
                {
                    var end = index + 2;
                    while (!char.IsAsciiLetter(value[end])) end++;
                    Obey(value[end], int.TryParse(value[(index + 2)..end], out var number) ? number : 0);
                    index = end + 1;
                    continue;
                }

                index += length;
                if (element is "\r" or "\r\n") _column = 0;
                if (element is "\n" or "\r\n")
                {
                    _row++;
                    while (_lines.Count <= _row) _lines.Add([]);
                }
                else if (element != "\r")
                {
                    Put(element);
                }
            }
        }

        private void Put(string element)
        {
            // One that takes no column belongs to the one before it.
            var width = TextWidth.Of(element);
            if (width == 0 && _column > 0)
            {
                _lines[_row][_column - 1] += element;
                return;
            }

            Assert.True(_column + width <= columns, $"'{element}' at {_column} of {columns}");
            var line = _lines[_row];
            while (line.Count < _column) line.Add(" ");
            line.RemoveRange(_column, int.Min(width, line.Count - _column));
            line.Insert(_column, element);
            if (width == 2) line.Insert(_column + 1, "");
            _column += width;
        }

        private void Obey(char command, int number)
        {
            switch (command)
            {
                case 'A':
                    _row -= number;
                    Assert.True(_row >= 0);
                    break;
                case 'C':
                    _column += number;
                    Assert.True(_column < columns, $"The cursor is at {_column} of {columns}.");
                    break;
                case 'J':
                    _lines[_row].RemoveRange(int.Min(_column, _lines[_row].Count), int.Max(0, _lines[_row].Count - _column));
                    _lines.RemoveRange(_row + 1, _lines.Count - _row - 1);
                    break;
                default:
                    Assert.Fail($"ESC [ {command}");
                    break;
            }
        }

        public override Encoding Encoding => Encoding.UTF8;
    }
}
