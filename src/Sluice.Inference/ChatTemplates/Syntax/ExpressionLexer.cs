using System.Text;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>Reads the tokens inside one tag, its end included.</summary>
internal sealed class ExpressionLexer
{
    private static readonly string[] TwoCharacterOperators = ["//", "**", "==", "!=", ">=", "<="];

    private readonly SourceReader _reader;
    private readonly List<Token> _tokens;
    private readonly bool _isBlock;

    // Inside brackets the tag cannot end, so that {{ {'a': {}} }} reads as one mapping.
    private readonly Stack<char> _brackets = new();

    private ExpressionLexer(SourceReader reader, List<Token> tokens, bool isBlock)
    {
        _reader = reader;
        _tokens = tokens;
        _isBlock = isBlock;
    }

    /// <summary>Appends tokens up to the tag's end. True when the text that follows begins a line.</summary>
    public static bool Read(SourceReader reader, List<Token> tokens, bool isBlock)
    {
        int line = reader.Line;
        var lexer = new ExpressionLexer(reader, tokens, isBlock);
        while (!reader.IsAtEnd)
        {
            if (lexer.TryReadEnd(out bool isLineStart)) return isLineStart;
            lexer.ReadToken();
        }

        throw new ChatTemplateException(isBlock ? "'{%' is not closed" : "'{{' is not closed", line);
    }

    private bool TryReadEnd(out bool isLineStart)
    {
        isLineStart = false;
        if (_brackets.Count > 0) return false;

        char sign = _reader.Current is '-' or '+' ? _reader.Current : '\0';
        if (sign == '+' && !_isBlock) return false;
        string end = _isBlock ? "%}" : "}}";
        int offset = sign == '\0' ? 0 : 1;
        if (_reader.Peek(offset) != end[0] || _reader.Peek(offset + 1) != end[1]) return false;

        _tokens.Add(new Token(_isBlock ? TokenKind.BlockEnd : TokenKind.VariableEnd, end, _reader.Line));
        _reader.Advance(offset + 2);
        isLineStart = (_isBlock || sign == '-') && Lexer.SkipAfterTag(_reader, sign);
        return true;
    }

    private void ReadToken()
    {
        char c = _reader.Current;
        if (PythonCharacters.IsSpace(c)) _reader.SkipSpace();
        else if (char.IsAsciiDigit(c)) ReadNumber();
        else if (c == '_' || char.IsLetter(c)) ReadName();
        else if (c is '\'' or '"') ReadString(c);
        else ReadOperator(c);
    }

    private void ReadName()
    {
        int length = 1;
        while (_reader.Peek(length) is var c && (c == '_' || char.IsLetterOrDigit(c))) length++;
        Add(TokenKind.Name, length);
    }

    private void ReadNumber()
    {
        // After a dot only an integer can stand: a.0.1 reads two members.
        bool isMember = _reader.Position > 0 && _reader.Source[_reader.Position - 1] == '.';
        int length = CountDigits(0);
        int integerLength = length;
        if (!isMember)
        {
            if (_reader.Peek(length) == '.' && char.IsAsciiDigit(_reader.Peek(length + 1))) length += 1 + CountDigits(length + 1);
            if (_reader.Peek(length) is 'e' or 'E')
            {
                int exponent = length + (_reader.Peek(length + 1) is '+' or '-' ? 2 : 1);
                if (char.IsAsciiDigit(_reader.Peek(exponent))) length = exponent + CountDigits(exponent);
            }
        }

        if (length == integerLength && length > 1 && _reader.Current == '0') throw _reader.Fail("a number begins with 0");
        Add(length == integerLength ? TokenKind.Integer : TokenKind.Float, length, removeUnderscores: true);
    }

    private int CountDigits(int offset)
    {
        int length = 0;
        while (_reader.Peek(offset + length) is var c
            && (char.IsAsciiDigit(c) || (c == '_' && char.IsAsciiDigit(_reader.Peek(offset + length + 1)))))
        {
            length++;
        }

        return length;
    }

    private void ReadString(char quote)
    {
        int line = _reader.Line;
        int length = 1;
        bool hasEscapes = false;
        while (true)
        {
            if (_reader.Position + length >= _reader.Source.Length) throw new ChatTemplateException("a string is not closed", line);
            char c = _reader.Peek(length);
            if (c == quote) break;
            hasEscapes |= c == '\\';
            length += c == '\\' ? 2 : 1;
        }

        string text = _reader.Source.Substring(_reader.Position + 1, length - 1);
        _tokens.Add(new Token(TokenKind.String, hasEscapes ? StringEscapes.Resolve(text, line) : text, line));
        _reader.Advance(length + 1);
    }

    private void ReadOperator(char c)
    {
        foreach (string two in TwoCharacterOperators)
        {
            if (!_reader.StartsWith(two)) continue;
            Add(TokenKind.Operator, 2);
            return;
        }

        if (!"+-/*%~[](){}><=.:|,".Contains(c, StringComparison.Ordinal))
        {
            bool isWhole = Rune.TryGetRuneAt(_reader.Source, _reader.Position, out var rune);
            throw _reader.Fail($"unexpected character '{(isWhole ? rune : Rune.ReplacementChar)}'");
        }

        Balance(c);
        Add(TokenKind.Operator, 1);
    }

    private void Balance(char c)
    {
        switch (c)
        {
            case '(' or '[' or '{':
                _brackets.Push(c == '(' ? ')' : c == '[' ? ']' : '}');
                break;
            case ')' or ']' or '}':
                if (!_brackets.TryPop(out char expected)) throw _reader.Fail($"unexpected '{c}'");
                if (expected != c) throw _reader.Fail($"unexpected '{c}', expected '{expected}'");
                break;
        }
    }

    private void Add(TokenKind kind, int length, bool removeUnderscores = false)
    {
        string text = _reader.Source.Substring(_reader.Position, length);
        _tokens.Add(new Token(kind, removeUnderscores ? text.Replace("_", string.Empty, StringComparison.Ordinal) : text, _reader.Line));
        _reader.Advance(length);
    }
}
