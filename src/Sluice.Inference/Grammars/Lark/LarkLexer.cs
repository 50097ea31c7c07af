using System.Text;

namespace Sluice.Inference.Grammars.Lark;

internal enum LarkTokenKind : byte
{
    /// <summary>A name in lower case.</summary>
    Rule,

    /// <summary>A name in upper case.</summary>
    Terminal,

    /// <summary>A text, without its quotes and escapes.</summary>
    Text,

    /// <summary>A regular expression, without its slashes.</summary>
    Pattern,

    /// <summary>An integer without a sign.</summary>
    Number,

    /// <summary>A word after a percent sign.</summary>
    Directive,

    /// <summary>One or two other characters.</summary>
    Sign,

    /// <summary>The end of one line or several, where the next one does not go on with an alternative.</summary>
    LineEnd,

    /// <summary>The end of the definition.</summary>
    End,
}

/// <param name="Kind">What it is.</param>
/// <param name="Value">Its text.</param>
/// <param name="Flags">Letters behind a text or an expression.</param>
/// <param name="Line">From 1.</param>
internal readonly record struct LarkToken(LarkTokenKind Kind, string Value, string Flags, int Line);

/// <summary>Takes the definition of a Lark grammar apart.</summary>
internal sealed class LarkLexer
{
    private readonly string _text;
    private readonly List<LarkToken> _tokens = [];
    private int _at;
    private int _line = 1;
    private int _groupCount;

    private LarkLexer(string text) => _text = text;

    private char Current => Ahead(0);

    /// <summary>All tokens, the last of which is <see cref="LarkTokenKind.End"/>.</summary>
    /// <exception cref="GrammarException">There is a character that has no meaning there.</exception>
    public static List<LarkToken> Read(string text)
    {
        var lexer = new LarkLexer(text);
        while (lexer._at < text.Length)
        {
            lexer.ReadOne();
        }

        lexer.AddLineEnd();
        lexer.Add(LarkTokenKind.End, "");
        return lexer._tokens;
    }

    private char Ahead(int count) => _at + count < _text.Length ? _text[_at + count] : '\0';

    private void Add(LarkTokenKind kind, string value, string flags = "") => _tokens.Add(new LarkToken(kind, value, flags, _line));

    private GrammarException Unreadable(string what) => new(FormattableString.Invariant($"line {_line} of the grammar has {what}"));

    private void ReadOne()
    {
        switch (Current)
        {
            case '\n':
                AddLineEnd();
                _line++;
                _at++;
                break;
            case ' ' or '\t' or '\r' or '\f':
                _at++;
                break;
            case '/' when Ahead(1) == '/':
            case '#':
                SkipLine();
                break;
            case '\\' when _text.AsSpan(_at + 1).TrimStart(" \r").StartsWith("\n", StringComparison.Ordinal):
                _at = _text.IndexOf('\n', _at) + 1;
                _line++;
                break;
            case '"':
                ReadText();
                break;
            case '/':
                ReadPattern();
                break;
            case '|':
                // A line that begins with an alternative goes on with the one before.
                while (_tokens.Count > 0 && _tokens[^1].Kind == LarkTokenKind.LineEnd)
                {
                    _tokens.RemoveAt(_tokens.Count - 1);
                }

                ReadSign(1);
                break;
            case '-' when Ahead(1) == '>':
            case '.' when Ahead(1) == '.':
                ReadSign(2);
                break;
            case '(' or '[':
                _groupCount++;
                ReadSign(1);
                break;
            case ')' or ']':
                _groupCount--;
                ReadSign(1);
                break;
            case ':' or '?' or '*' or '+' or '~' or '.' or ',' or '!':
                ReadSign(1);
                break;
            case '%':
                _at++;
                Add(LarkTokenKind.Directive, ReadWord());
                break;
            case >= '0' and <= '9':
                Add(LarkTokenKind.Number, ReadWord());
                break;
            case '_' or (>= 'a' and <= 'z') or (>= 'A' and <= 'Z'):
                string name = ReadWord();
                char first = name.AsSpan().TrimStart('_') is [var letter, ..] ? letter : '_';
                Add(char.IsAsciiLetterUpper(first) ? LarkTokenKind.Terminal : LarkTokenKind.Rule, name);
                break;
            default:
                throw Unreadable($"the character '{Current}', which has no meaning there");
        }
    }

    private void AddLineEnd()
    {
        // A group goes on over lines.
        if (_groupCount <= 0 && _tokens.Count > 0 && _tokens[^1].Kind != LarkTokenKind.LineEnd)
        {
            Add(LarkTokenKind.LineEnd, "");
        }
    }

    private void SkipLine()
    {
        while (_at < _text.Length && Current != '\n')
        {
            _at++;
        }
    }

    private void ReadSign(int length)
    {
        Add(LarkTokenKind.Sign, _text.Substring(_at, length));
        _at += length;
    }

    private string ReadWord()
    {
        int start = _at;
        while (char.IsAsciiLetterOrDigit(Current) || Current == '_')
        {
            _at++;
        }

        return _text[start.._at];
    }

    private string ReadFlags(string allowed)
    {
        int start = _at;
        while (Current != '\0' && allowed.Contains(Current))
        {
            _at++;
        }

        return _text[start.._at];
    }

    private void ReadPattern()
    {
        int start = ++_at;
        while (_at < _text.Length && Current != '/')
        {
            _at += Current == '\\' ? 2 : 1;
        }

        if (_at >= _text.Length)
        {
            throw Unreadable("a regular expression without an end");
        }

        string pattern = _text[start.._at].Replace("\\/", "/", StringComparison.Ordinal);
        _at++;
        Add(LarkTokenKind.Pattern, pattern, ReadFlags("imslux"));
        _line += pattern.Count('\n');
    }

    // With Python's escapes; of one that it doesn't know the backslash stays.
    private void ReadText()
    {
        var text = new StringBuilder();
        for (_at++; Current != '"'; _at++)
        {
            if (_at >= _text.Length || Current == '\n')
            {
                throw Unreadable("a text without an end");
            }

            if (Current != '\\')
            {
                text.Append(Current);
                continue;
            }

            _at++;
            switch (Current)
            {
                case 'n':
                    text.Append('\n');
                    break;
                case 't':
                    text.Append('\t');
                    break;
                case 'r':
                    text.Append('\r');
                    break;
                case 'f':
                    text.Append('\f');
                    break;
                case '"' or '\\':
                    text.Append(Current);
                    break;
                case 'x' or 'u' or 'U':
                    text.Append(ReadCodePoint(Current == 'x' ? 2 : Current == 'u' ? 4 : 8));
                    break;
                default:
                    text.Append('\\').Append(Current);
                    break;
            }
        }

        _at++;
        Add(LarkTokenKind.Text, text.ToString(), ReadFlags("i"));
    }

    // Stops at its last digit.
    private string ReadCodePoint(int digits)
    {
        int value = 0;
        for (int i = 0; i < digits; i++)
        {
            _at++;
            if (!char.IsAsciiHexDigit(Current))
            {
                throw Unreadable("a character that can't be read");
            }

            value = (value << 4) | Convert.ToInt32(Current.ToString(), 16);
        }

        return Rune.IsValid(value) ? new Rune(value).ToString() : throw Unreadable("a character that can't be read");
    }
}
