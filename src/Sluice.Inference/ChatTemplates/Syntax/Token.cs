namespace Sluice.Inference.ChatTemplates.Syntax;

internal enum TokenKind
{
    /// <summary>Text outside all tags.</summary>
    Data,
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name,

    /// <summary>A string literal; the token's text has its escapes resolved.</summary>
    String,
    Integer,
    Float,
    Operator,
    EndOfTemplate,
}

/// <summary>A piece of template source.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Its text; for numbers the digits without underscores.</param>
/// <param name="Line">Line it starts on, from 1.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Line)
{
    public bool Is(TokenKind kind, string text) => Kind == kind && Text == text;

    public bool IsOperator(string text) => Is(TokenKind.Operator, text);

    public bool IsName(string text) => Is(TokenKind.Name, text);

    /// <summary>How messages name the token.</summary>
    public string Describe() => Kind switch
    {
        TokenKind.VariableEnd => "'}}'",
        TokenKind.BlockEnd => "'%}'",
        TokenKind.EndOfTemplate => "the end of the template",
        TokenKind.String => "a string",
        TokenKind.Data => "text",
        _ => $"'{Text}'",
    };
}
