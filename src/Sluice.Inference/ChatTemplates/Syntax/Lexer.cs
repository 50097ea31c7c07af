using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>
/// Splits template source into text and the tokens of its tags, and does the whitespace control: <c>-</c> and <c>+</c> in tags,
/// the first newline after a block or comment removed, blanks before them on their line removed, the last newline of the source
/// removed.
/// </summary>
internal sealed class Lexer
{
    private readonly SourceReader _reader;
    private readonly List<Token> _tokens = [];

    // True where the text that follows begins a line: at the start, and after a tag that swallowed its newline.
    private bool _isLineStart = true;

    private Lexer(string source) => _reader = new SourceReader(source);

    public static List<Token> Read(string source)
    {
        var lexer = new Lexer(NormalizeNewlines(source));
        lexer.ReadAll();
        return lexer._tokens;
    }

    private static string NormalizeNewlines(string source)
    {
        string text = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        return text.EndsWith('\n') ? text[..^1] : text;
    }

    private void ReadAll()
    {
        while (!_reader.IsAtEnd)
        {
            int begin = FindTag();
            if (begin < 0)
            {
                AddData(_reader.Source[_reader.Position..]);
                _reader.Advance(_reader.Source.Length - _reader.Position);
                break;
            }

            ReadTextUntil(begin);
            ReadTag();
        }

        _tokens.Add(new Token(TokenKind.EndOfTemplate, string.Empty, _reader.Line));
    }

    private int FindTag()
    {
        for (int i = _reader.Position; ; i++)
        {
            i = _reader.Source.IndexOf('{', i);
            if (i < 0 || i + 1 >= _reader.Source.Length) return -1;
            if (_reader.Source[i + 1] is '{' or '%' or '#') return i;
        }
    }

    /// <summary>Emits the text before the tag at <paramref name="begin"/>, stripped as the tag wants, and moves to the tag.</summary>
    private void ReadTextUntil(int begin)
    {
        string text = _reader.Source[_reader.Position..begin];
        bool isVariable = _reader.Source[begin + 1] == '{';
        char sign = begin + 2 < _reader.Source.Length ? _reader.Source[begin + 2] : '\0';
        AddData(StripBeforeTag(text, sign, isVariable));
        _reader.Advance(begin - _reader.Position);
    }

    private string StripBeforeTag(string text, char sign, bool isVariable)
    {
        if (sign == '-') return text[..PythonCharacters.TrimmedEnd(text)];
        if (sign == '+' || isVariable) return text;

        int lineStart = text.LastIndexOf('\n') + 1;
        if (lineStart == 0 && !_isLineStart) return text;
        return PythonCharacters.TrimmedEnd(text.AsSpan(lineStart)) == 0 ? text[..lineStart] : text;
    }

    private void AddData(string text)
    {
        if (text.Length > 0) _tokens.Add(new Token(TokenKind.Data, text, _reader.Line));
    }

    private void ReadTag()
    {
        int line = _reader.Line;
        char kind = _reader.Peek(1);
        _reader.Advance(2);
        if (_reader.Current is '-' or '+') _reader.Advance();

        switch (kind)
        {
            case '#':
                ReadComment(line);
                break;
            case '{':
                _tokens.Add(new Token(TokenKind.VariableBegin, "{{", line));
                _isLineStart = ExpressionLexer.Read(_reader, _tokens, isBlock: false);
                break;
            case '%' when TrySkipRawBegin():
                ReadRaw(line);
                break;
            default:
                _tokens.Add(new Token(TokenKind.BlockBegin, "{%", line));
                _isLineStart = ExpressionLexer.Read(_reader, _tokens, isBlock: true);
                break;
        }
    }

    private void ReadComment(int line)
    {
        int end = _reader.Source.IndexOf("#}", _reader.Position, StringComparison.Ordinal);
        if (end < 0) throw new ChatTemplateException("a comment is not closed", line);
        char sign = end > _reader.Position ? _reader.Source[end - 1] : '\0';
        _reader.Advance(end + 2 - _reader.Position);
        SkipAfterTag(sign);
    }

    /// <summary>Skips the whitespace after a closed block or comment, as its sign says.</summary>
    private void SkipAfterTag(char sign) => _isLineStart = SkipAfterTag(_reader, sign);

    internal static bool SkipAfterTag(SourceReader reader, char sign)
    {
        if (sign == '-')
        {
            reader.SkipSpace();
            return reader.Position > 0 && reader.Source[reader.Position - 1] == '\n';
        }

        return sign != '+' && reader.SkipNewline();
    }

    /// <summary>At <c>raw %}</c>, the tag's begin already read: skips it; otherwise stays.</summary>
    private bool TrySkipRawBegin()
    {
        int end = MatchWordTag(_reader.Position, "raw", out char sign);
        if (end < 0 || sign == '+') return false;
        _reader.Advance(end - _reader.Position);
        if (sign == '-') _reader.SkipSpace();
        _isLineStart = _reader.Source[_reader.Position - 1] == '\n';
        return true;
    }

    private void ReadRaw(int line)
    {
        for (int begin = _reader.Position; ; begin++)
        {
            begin = _reader.Source.IndexOf("{%", begin, StringComparison.Ordinal);
            if (begin < 0) throw new ChatTemplateException("a raw block is not closed", line);

            int inner = begin + 2;
            if (inner < _reader.Source.Length && _reader.Source[inner] is '-' or '+') inner++;
            int end = MatchWordTag(inner, "endraw", out char sign);
            if (end < 0) continue;

            ReadTextUntil(begin);
            _reader.Advance(end - _reader.Position);
            SkipAfterTag(sign);
            return;
        }
    }

    /// <summary>The position after <c>WORD %}</c> with optional blanks and sign, or -1.</summary>
    private int MatchWordTag(int position, string word, out char sign)
    {
        string source = _reader.Source;
        sign = '\0';
        int at = PythonCharacters.SkipSpace(source, position);
        if (string.CompareOrdinal(source, at, word, 0, word.Length) != 0) return -1;
        at = PythonCharacters.SkipSpace(source, at + word.Length);
        if (at < source.Length && source[at] is '-' or '+') sign = source[at++];
        return string.CompareOrdinal(source, at, "%}", 0, 2) == 0 ? at + 2 : -1;
    }
}
