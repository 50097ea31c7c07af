using System.Runtime.CompilerServices;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>A position in a template's tokens, and how deep the parser is nested there.</summary>
internal sealed class TokenCursor(IReadOnlyList<Token> tokens)
{
    private int _position;
    private int _depth;

    public Token Current => tokens[_position];

    public Token Next => tokens[Math.Min(_position + 1, tokens.Count - 1)];

    /// <summary>Line of the token before the current one.</summary>
    public int PreviousLine => tokens[Math.Max(_position - 1, 0)].Line;

    /// <summary>Special names met since the caller last cleared them.</summary>
    public SpecialNames UsedNames { get; set; }

    public Token Take()
    {
        var token = tokens[_position];
        if (_position < tokens.Count - 1) _position++;
        return token;
    }

    public bool TrySkipName(string name)
    {
        if (!Current.IsName(name)) return false;
        Take();
        return true;
    }

    public bool TrySkipOperator(string text)
    {
        if (!Current.IsOperator(text)) return false;
        Take();
        return true;
    }

    public Token Expect(TokenKind kind, string description) =>
        Current.Kind == kind ? Take() : throw Fail($"expected {description}, found {Current.Describe()}");

    public void ExpectOperator(string text)
    {
        if (!TrySkipOperator(text)) throw Fail($"expected '{text}', found {Current.Describe()}");
    }

    public string ExpectName() => Expect(TokenKind.Name, "a name").Text;

    public ChatTemplateException Fail(string message) => new(message, Current.Line);

    /// <summary>Enters one level of nesting; every call is paired with <see cref="Leave"/>.</summary>
    public void Enter()
    {
        if (++_depth > ChatTemplateLimits.SyntaxDepthMax || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Fail($"nested deeper than {ChatTemplateLimits.SyntaxDepthMax} levels");
        }
    }

    public void Leave() => _depth--;
}
