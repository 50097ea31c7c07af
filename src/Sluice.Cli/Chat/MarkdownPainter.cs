using System.Text;

namespace Sluice.Cli.Chat;

/// <summary>
/// Colors Markdown as it comes, piece by piece: headings, emphasis, code, the marks of lists. The text stays as it is, so what is copied from
/// the terminal is what the model wrote; at most a few characters wait for the next piece.
/// </summary>
internal sealed class MarkdownPainter
{
    private const string Reset = "\u001B[0m";
    private const string Bold = "\u001B[1m";
    private const string Code = "\u001B[36m";
    private const string Mark = "\u001B[33m";
    private const int HeldMax = 16;

    // Characters that may be the beginning of a mark.
    private readonly StringBuilder _held = new();
    private bool _isLineStart = true;
    private bool _isBlock;
    private bool _isFenceLine;
    private bool _isCode;
    private bool _isBold;
    private bool _isHeading;

    /// <summary>The piece with colors, as far as they are known.</summary>
    public string Add(string piece)
    {
        var output = new StringBuilder();
        foreach (var character in piece)
        {
            if (_held.Length > 0 && !Belongs(character)) Release(output, character);
            if (_held.Length > 0 || Begins(character)) _held.Append(character);
            else Write(output, character);
        }

        return output.ToString();
    }

    /// <summary>What waited, at the end.</summary>
    public string End()
    {
        var output = new StringBuilder();
        if (_held.Length > 0) Release(output, '\n');
        if (_isBlock || _isCode || _isBold || _isHeading) output.Append(Reset);
        (_isLineStart, _isBlock, _isFenceLine, _isCode, _isBold, _isHeading) = (true, false, false, false, false, false);
        return output.ToString();
    }

    private bool Begins(char character)
    {
        if (_isLineStart) return character is '#' or '`' or '-' or '*' or '+' || (character == ' ' && !_isBlock);
        return character is '*' or '`' && !_isBlock && !_isFenceLine;
    }

    // What waits are equal characters, behind spaces at the beginning of a line.
    private bool Belongs(char character)
    {
        if (_held.Length >= HeldMax) return false;
        var last = _held[^1];
        if (_isLineStart && last == ' ') return character is ' ' or '#' or '`' or '-' or '*' or '+';
        return character is '#' or '*' or '`' && character == last;
    }

    private void Release(StringBuilder output, char next)
    {
        var text = _held.ToString();
        _held.Clear();
        var mark = text.TrimStart(' ');
        var (wasStart, length) = (_isLineStart, mark.Length);
        _isLineStart = false;
        if (wasStart && length >= 3 && mark[0] == '`')
        {
            // The line of a fence is code too, and the last one ends it.
            output.Append(_isBlock ? "" : Code).Append(text);
            _isFenceLine = true;
            _isBlock = !_isBlock;
        }
        else if (_isBlock || length == 0)
        {
            output.Append(text);
        }
        else if (wasStart && mark[0] == '#' && length <= 6 && next is ' ' or '\n')
        {
            output.Append(Bold).Append(text);
            _isHeading = true;
        }
        else if (wasStart && length == 1 && mark[0] is '-' or '*' or '+' && next is ' ' or '\t')
        {
            output.Append(Mark).Append(text).Append(Reset);
        }
        else if (mark[0] == '`')
        {
            if (_isCode) output.Append(text).Append(Reset).Append(_isBold || _isHeading ? Bold : "");
            else output.Append(Code).Append(text);
            _isCode = !_isCode;
        }
        else if (mark[0] == '*' && length == 2 && !_isCode && !_isHeading)
        {
            if (_isBold) output.Append(text).Append(Reset);
            else output.Append(Bold).Append(text);
            _isBold = !_isBold;
        }
        else
        {
            output.Append(text);
        }
    }

    private void Write(StringBuilder output, char character)
    {
        if (character != '\n')
        {
            _isLineStart = false;
            output.Append(character);
            return;
        }

        // A mark that the line doesn't close colors nothing behind it.
        if ((_isFenceLine && !_isBlock) || (!_isBlock && (_isCode || _isBold || _isHeading))) output.Append(Reset);
        if (!_isBlock) (_isCode, _isBold, _isHeading) = (false, false, false);
        _isFenceLine = false;
        _isLineStart = true;
        output.Append(character);
    }
}
