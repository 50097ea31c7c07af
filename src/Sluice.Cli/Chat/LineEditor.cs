using System.Globalization;
using System.Text;

namespace Sluice.Cli.Chat;

/// <summary>
/// Reads a message from a terminal, key by key: with the cursor anywhere in it, several lines, what was written before, and a search in that.
/// What is typed is drawn in place, however narrow the terminal is.
/// </summary>
/// <param name="terminal">Has keys.</param>
/// <param name="commands">What Tab completes.</param>
internal sealed class LineEditor(Terminal terminal, IReadOnlyList<string> commands)
{
    private const int HistoryMax = 500;
    private const string Continuation = "  ";

    private readonly List<string> _history = [];
    private readonly EditBuffer _buffer = new();

    // Guards what is drawn: a Ctrl-C comes on another thread.
    private readonly Lock _lock = new();
    private string _prompt = "";
    private string _draft = "";
    private int _place;
    private int _row;
    private string? _search;

    /// <summary>Called when a key is pressed.</summary>
    public Action Pressed { get; set; } = static () => { };

    /// <summary>The next message; null when the input ends, or for Ctrl-D at an empty one.</summary>
    /// <param name="prompt">Stands before it.</param>
    public string? Read(string prompt)
    {
        lock (_lock)
        {
            (_prompt, _place, _row, _search, _draft) = (prompt, _history.Count, 0, null, "");
            _buffer.Set("");
            Draw();
        }

        while (true)
        {
            var key = terminal.ReadKey!();
            Pressed();
            lock (_lock)
            {
                if (_search is not null && Search(key)) continue;
                if (key is { Key: ConsoleKey.D, Modifiers: ConsoleModifiers.Control } && _buffer.Text.Length == 0)
                {
                    Leave();
                    return null;
                }

                if (IsEnd(key))
                {
                    Leave();
                    Remember(_buffer.Text);
                    return _buffer.Text;
                }

                Press(key);
                // Half a pair of surrogates can't be drawn; the other half follows.
                if (!char.IsHighSurrogate(key.KeyChar)) Draw();
            }
        }
    }

    /// <summary>Clears what is typed; false when nothing is.</summary>
    public bool Clear()
    {
        lock (_lock)
        {
            var hadText = _buffer.Text.Length > 0 || _search is not null;
            _search = null;
            _buffer.Set("");
            _place = _history.Count;
            Draw();
            return hadText;
        }
    }

    /// <summary>Writes a line above what is typed.</summary>
    public void Say(string line)
    {
        lock (_lock)
        {
            terminal.Output.Write(Back() + line + "\r\n");
            _row = 0;
            Draw();
        }
    }

    /// <summary>What was written before is found again.</summary>
    public void Remember(string message)
    {
        if (string.IsNullOrWhiteSpace(message) || (_history.Count > 0 && _history[^1] == message)) return;
        _history.Add(message);
        if (_history.Count > HistoryMax) _history.RemoveAt(0);
    }

    // Enter sends, but for a line break that was pasted: then the rest is there already. With Alt it is a line break. What was typed ahead of
    // the prompt comes as a line feed, which looks like Control and Enter.
    private bool IsEnd(ConsoleKeyInfo key) => key.Key == ConsoleKey.Enter && !key.Modifiers.HasFlag(ConsoleModifiers.Alt) && !terminal.IsKeyAvailable();

    private void Press(ConsoleKeyInfo key)
    {
        var isControl = key.Modifiers.HasFlag(ConsoleModifiers.Control);
        switch (key.Key)
        {
            case ConsoleKey.Enter:
                _buffer.Insert("\n");
                break;
            case ConsoleKey.LeftArrow:
                _buffer.Left();
                break;
            case ConsoleKey.RightArrow:
                _buffer.Right();
                break;
            case ConsoleKey.UpArrow when !_buffer.IsInFirstLine:
                _buffer.Up();
                break;
            case ConsoleKey.DownArrow when !_buffer.IsInLastLine:
                _buffer.Down();
                break;
            case ConsoleKey.UpArrow:
                Turn(-1);
                break;
            case ConsoleKey.DownArrow:
                Turn(1);
                break;
            case ConsoleKey.Home:
            case ConsoleKey.A when isControl:
                _buffer.Home();
                break;
            case ConsoleKey.End:
            case ConsoleKey.E when isControl:
                _buffer.End();
                break;
            case ConsoleKey.Backspace:
                _buffer.Backspace();
                break;
            case ConsoleKey.Delete:
            case ConsoleKey.D when isControl:
                _buffer.Delete();
                break;
            case ConsoleKey.U when isControl:
                _buffer.DeleteToHome();
                break;
            case ConsoleKey.K when isControl:
                _buffer.DeleteToEnd();
                break;
            case ConsoleKey.W when isControl:
                _buffer.DeleteWord();
                break;
            case ConsoleKey.L when isControl:
                terminal.Output.Write("\u001B[H\u001B[2J");
                _row = 0;
                break;
            case ConsoleKey.R when isControl:
                _search = "";
                _draft = _buffer.Text;
                _place = _history.Count;
                break;
            case ConsoleKey.Tab:
                Complete();
                break;
            default:
                if (!isControl && !char.IsControl(key.KeyChar)) _buffer.Insert(key.KeyChar.ToString());
                break;
        }
    }

    private void Turn(int step)
    {
        var place = _place + step;
        if (place < 0 || place > _history.Count) return;
        if (_place == _history.Count) _draft = _buffer.Text;
        _place = place;
        _buffer.Set(place == _history.Count ? _draft : _history[place]);
    }

    private void Complete()
    {
        if (!_buffer.Text.StartsWith('/') || _buffer.Text.Contains(' ', StringComparison.Ordinal)) return;
        var found = commands.Where(command => command.StartsWith(_buffer.Text, StringComparison.OrdinalIgnoreCase)).ToList();
        if (found.Count == 1) _buffer.Set(found[0] + " ");
    }

    // False ends the search, and the key counts as any other.
    private bool Search(ConsoleKeyInfo key)
    {
        var isControl = key.Modifiers.HasFlag(ConsoleModifiers.Control);
        if (key.Key == ConsoleKey.Escape || (isControl && key.Key == ConsoleKey.G))
        {
            _search = null;
            _buffer.Set(_draft);
        }
        else if (key.Key == ConsoleKey.Backspace)
        {
            if (_search!.Length > 0) _search = _search[..^1];
            Find(_history.Count);
        }
        else if (isControl && key.Key == ConsoleKey.R)
        {
            Find(_place);
        }
        else if (key.Key == ConsoleKey.Enter)
        {
            // It may be changed before it is sent.
            _search = null;
        }
        else if (!isControl && !char.IsControl(key.KeyChar))
        {
            _search += key.KeyChar;
            Find(_history.Count);
        }
        else
        {
            _search = null;
            return false;
        }

        Draw();
        return true;
    }

    private void Find(int before)
    {
        for (var place = before - 1; place >= 0; place--)
        {
            if (!_history[place].Contains(_search!, StringComparison.OrdinalIgnoreCase)) continue;
            _place = place;
            _buffer.Set(_history[place]);
            return;
        }
    }

    private void Leave()
    {
        _buffer.Set(_buffer.Text);
        Draw();
        terminal.Output.Write("\r\n");
        terminal.Output.Flush();
    }

    // From wherever the cursor is to the first row, which is cleared with all below.
    private string Back() => (_row > 0 ? string.Create(CultureInfo.InvariantCulture, $"\u001B[{_row}A") : "") + "\r\u001B[J";

    private void Draw()
    {
        var (width, height) = terminal.Size();
        var (rows, row, column) = Lay(int.Max(4, width));
        // Of a text that is higher than the terminal, what is around the cursor.
        var shown = int.Max(1, height - 1);
        var first = int.Max(0, int.Min(row - (shown / 2), rows.Count - shown));
        var visible = rows.GetRange(first, int.Min(shown, rows.Count - first));
        var up = visible.Count - 1 - (row - first);
        var text = new StringBuilder(Back()).AppendJoin("\r\n", visible);
        if (up > 0) text.Append(CultureInfo.InvariantCulture, $"\u001B[{up}A");
        text.Append('\r');
        if (column > 0) text.Append(CultureInfo.InvariantCulture, $"\u001B[{column}C");
        _row = row - first;
        terminal.Output.Write(text.ToString());
        terminal.Output.Flush();
    }

    // The rows of prompt and text, and where in them the cursor is.
    private (List<string> Rows, int Row, int Column) Lay(int width)
    {
        var (rows, line, used) = (new List<string>(), new StringBuilder(), 0);
        var (row, column) = (-1, 0);
        void Break()
        {
            rows.Add(line.ToString());
            line.Clear();
            used = 0;
        }

        void Add(string text, int start)
        {
            for (var index = 0; index < text.Length;)
            {
                if (start + index == _buffer.Cursor && start >= 0 && row < 0) Mark();
                var length = StringInfo.GetNextTextElementLength(text, index);
                var element = text.AsSpan(index, length);
                index += length;
                if (element is "\n")
                {
                    Break();
                    line.Append(Continuation);
                    used = Continuation.Length;
                    continue;
                }

                var columns = TextWidth.Of(element);
                if (used + columns > width) Break();
                line.Append(element);
                used += columns;
            }
        }

        void Mark()
        {
            // Behind a full row the cursor is in the next one.
            if (used >= width) Break();
            (row, column) = (rows.Count, used);
        }

        Add(_search is null ? _prompt : $"(search: {_search}) ", -(1 << 20));
        Add(_buffer.Text, 0);
        if (row < 0) Mark();
        Break();
        return (rows, row, column);
    }
}
