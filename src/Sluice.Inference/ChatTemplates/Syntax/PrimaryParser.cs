using System.Globalization;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>Parses names, literals and what stands in brackets.</summary>
internal sealed class PrimaryParser(TokenCursor cursor)
{
    public static LiteralExpression ToInteger(Token token) =>
        long.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out long value)
            ? new LiteralExpression(token.Line, new IntegerValue(value))
            : throw new ChatTemplateException($"the integer {token.Text} needs more than 64 bits", token.Line);

    public Expression Parse(ExpressionParser expressions)
    {
        var token = cursor.Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                cursor.Take();
                return ParseName(token);
            case TokenKind.String:
                return ParseString(token.Line);
            case TokenKind.Integer:
                return ToInteger(cursor.Take());
            case TokenKind.Float:
                cursor.Take();
                return new LiteralExpression(token.Line, new FloatValue(double.Parse(token.Text, CultureInfo.InvariantCulture)));
            case TokenKind.Operator when token.Text == "(":
                return ParseParentheses(expressions);
            case TokenKind.Operator when token.Text == "[":
                return ParseList(expressions);
            case TokenKind.Operator when token.Text == "{":
                return ParseMapping(expressions);
            default:
                throw cursor.Fail($"expected an expression, found {token.Describe()}");
        }
    }

    private Expression ParseName(Token token)
    {
        cursor.UsedNames |= token.Text switch
        {
            "caller" => SpecialNames.Caller,
            "varargs" => SpecialNames.PositionalRest,
            "kwargs" => SpecialNames.NamedRest,
            _ => SpecialNames.None,
        };
        return token.Text switch
        {
            "true" or "True" => new LiteralExpression(token.Line, BooleanValue.Of(true)),
            "false" or "False" => new LiteralExpression(token.Line, BooleanValue.Of(false)),
            "none" or "None" => new LiteralExpression(token.Line, NoneValue.Instance),
            _ => new NameExpression(token.Line, token.Text),
        };
    }

    private LiteralExpression ParseString(int line)
    {
        string text = cursor.Take().Text;
        if (cursor.Current.Kind != TokenKind.String) return new LiteralExpression(line, new TextValue(text));
        var parts = new List<string> { text };
        while (cursor.Current.Kind == TokenKind.String)
        {
            parts.Add(cursor.Take().Text);
        }

        return new LiteralExpression(line, new TextValue(string.Concat(parts)));
    }

    private Expression ParseParentheses(ExpressionParser expressions)
    {
        int line = cursor.Take().Line;
        if (cursor.TrySkipOperator(")")) return new TupleExpression(line, []);
        var expression = expressions.ParseTuple();
        cursor.ExpectOperator(")");
        return expression;
    }

    private ListExpression ParseList(ExpressionParser expressions)
    {
        int line = cursor.Take().Line;
        var items = new List<Expression>();
        while (!cursor.Current.IsOperator("]"))
        {
            items.Add(expressions.ParseExpression());
            if (!cursor.TrySkipOperator(",")) break;
        }

        cursor.ExpectOperator("]");
        return new ListExpression(line, items);
    }

    private MappingExpression ParseMapping(ExpressionParser expressions)
    {
        int line = cursor.Take().Line;
        var items = new List<(Expression, Expression)>();
        while (!cursor.Current.IsOperator("}"))
        {
            var key = expressions.ParseExpression();
            cursor.ExpectOperator(":");
            items.Add((key, expressions.ParseExpression()));
            if (!cursor.TrySkipOperator(",")) break;
        }

        cursor.ExpectOperator("}");
        return new MappingExpression(line, items);
    }
}
