using System.Globalization;
using System.Text;

namespace Sluice.Cli.Chat;

/// <summary>
/// Breaks lines between words as text comes, character by character: a word that reaches the border is taken back and begins the next line, so
/// no character waits. Code blocks and tables pass as they are.
/// </summary>
/// <param name="width">Columns of the terminal.</param>
internal sealed class WordWrap(int width)
{
    // Narrower than that nothing can be read anyway.
    private const int WidthMin = 10;
    // Spaces before a fence, and its marks.
    private const int LineStartMax = 8;
    private const char Escape = '\u001B';

    // A terminal whose last column is full stands in it still, and would go back one column too few.
    private readonly int _columnMax = width - 1;
    private readonly StringBuilder _word = new();
    private readonly StringBuilder _lineStart = new();
    private char? _high;
    private int _column;
    private int _wordWidth;
    private bool _isEscape;
    private bool _isFenced;
    private bool _isPlain;
    private bool _hasBegun;

    /// <summary>The piece with its line breaks; colors in it take no columns.</summary>
    public string Add(string piece)
    {
        if (width < WidthMin) return piece;
        var output = new StringBuilder(piece.Length + 16);
        foreach (var character in piece)
        {
            if (_isEscape || character == Escape) AddEscape(output, character);
            else if (character == '\n') EndLine(output);
            else if (_isPlain) Pass(output, character);
            else if (char.IsHighSurrogate(character)) _high = character;
            else Place(output, character);
        }

        return output.ToString();
    }

    // The fence that ends a block is at the beginning of a line.
    private void Pass(StringBuilder output, char character)
    {
        if (_lineStart.Length < LineStartMax) _lineStart.Append(character);
        output.Append(character);
    }

    private void AddEscape(StringBuilder output, char character)
    {
        output.Append(character);
        if (_word.Length > 0) _word.Append(character);
        _isEscape = character is Escape or '[' or ';' or (>= '0' and <= '9');
    }

    private void EndLine(StringBuilder output)
    {
        output.Append('\n');
        if (IsFence(_lineStart.ToString())) _isFenced = !_isFenced;
        _lineStart.Clear();
        _word.Clear();
        (_column, _wordWidth, _isPlain, _hasBegun) = (0, 0, _isFenced, false);
    }

    private void Place(StringBuilder output, char character)
    {
        var text = _high is { } high ? new string([high, character]) : character.ToString();
        _high = null;
        if (!_hasBegun)
        {
            // The first characters of a line say what it is.
            _lineStart.Append(text);
            var start = _lineStart.ToString().TrimStart();
            _isPlain = start.StartsWith('|') || IsFence(start);
            _hasBegun = _isPlain || (start.Length > 0 && start[0] != '`') || start.Length >= 3;
        }

        if (text == " ")
        {
            _word.Clear();
            _wordWidth = 0;
            // The border takes its place.
            if (_column >= _columnMax) Break(output);
            else Write(output, text, 1);
            return;
        }

        var columns = text == "\t" ? 8 - (_column % 8) : TextWidth.Of(text);
        if (_column + columns > _columnMax && !_isPlain) Break(output);
        if (_column + columns > _columnMax && !_isPlain) Break(output);
        Write(output, text, columns);
        _word.Append(text);
        _wordWidth += columns;
        // Between wide characters a line can break anywhere.
        if (columns != 2 && text != "\t" && text != "-") return;
        _word.Clear();
        _wordWidth = 0;
    }

    private void Break(StringBuilder output)
    {
        if (_wordWidth > 0 && _wordWidth < _column)
        {
            output.Append(CultureInfo.InvariantCulture, $"\u001B[{_wordWidth}D\u001B[K\n").Append(_word);
            _column = _wordWidth;
            return;
        }

        // A word that is wider than the line.
        output.Append('\n');
        _word.Clear();
        (_column, _wordWidth) = (0, 0);
    }

    private void Write(StringBuilder output, string text, int columns)
    {
        output.Append(text);
        _column += columns;
    }

    private static bool IsFence(string start) => start.TrimStart().StartsWith("```", StringComparison.Ordinal);
}
