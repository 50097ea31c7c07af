using Sluice.Inference.ChatTemplates.Builtins;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>A node of the syntax tree that has a value. Nodes never change after parsing.</summary>
/// <param name="Line">Line of the template, from 1.</param>
internal abstract record Expression(int Line);

internal sealed record LiteralExpression(int Line, TemplateValue Value) : Expression(Line);

internal sealed record NameExpression(int Line, string Name) : Expression(Line);

internal sealed record ListExpression(int Line, IReadOnlyList<Expression> Items) : Expression(Line);

internal sealed record TupleExpression(int Line, IReadOnlyList<Expression> Items) : Expression(Line);

internal sealed record MappingExpression(int Line, IReadOnlyList<(Expression Key, Expression Value)> Items) : Expression(Line);

internal sealed record AttributeExpression(int Line, Expression Target, TextValue Name) : Expression(Line);

internal sealed record IndexExpression(int Line, Expression Target, Expression Index) : Expression(Line);

/// <summary>Stands only as <see cref="IndexExpression.Index"/>.</summary>
internal sealed record SliceExpression(int Line, Expression? Start, Expression? Stop, Expression? Step) : Expression(Line);

internal sealed record CallExpression(int Line, Expression Target, ArgumentList Arguments) : Expression(Line);

internal sealed record FilterExpression(int Line, Expression Input, FilterCall Call) : Expression(Line);

/// <param name="Line">Line of the template.</param>
/// <param name="Input">What is tested.</param>
/// <param name="Name">The test's name.</param>
/// <param name="Test">Null when there is no such test; an error only when evaluated.</param>
/// <param name="Arguments">The test's arguments.</param>
internal sealed record TestExpression(int Line, Expression Input, string Name, Test? Test, ArgumentList Arguments) : Expression(Line);

internal sealed record NotExpression(int Line, Expression Operand) : Expression(Line);

internal sealed record SignExpression(int Line, Expression Operand, bool IsNegative) : Expression(Line);

internal sealed record ArithmeticExpression(int Line, ArithmeticOperator Operator, Expression Left, Expression Right) : Expression(Line);

internal sealed record LogicalExpression(int Line, bool IsAnd, Expression Left, Expression Right) : Expression(Line);

/// <summary>A chain: a &lt; b &lt; c holds when each neighbouring pair holds; no operand is evaluated twice.</summary>
internal sealed record ComparisonExpression(
    int Line, Expression First, IReadOnlyList<(ComparisonOperator Operator, Expression Operand)> Rest) : Expression(Line);

internal sealed record ConcatenationExpression(int Line, IReadOnlyList<Expression> Items) : Expression(Line);

internal sealed record ConditionalExpression(int Line, Expression Condition, Expression WhenTrue, Expression? WhenFalse) : Expression(Line);

/// <param name="Line">Line of the template.</param>
/// <param name="Name">The filter's name.</param>
/// <param name="Filter">Null when there is no such filter; an error only when applied.</param>
/// <param name="Arguments">Arguments after the input.</param>
internal sealed record FilterCall(int Line, string Name, Filter? Filter, ArgumentList Arguments);

internal sealed record ArgumentList(
    IReadOnlyList<Expression> Positional,
    IReadOnlyList<(TextValue Name, Expression Value)> Named,
    Expression? MorePositional,
    Expression? MoreNamed)
{
    public static readonly ArgumentList Empty = new([], [], null, null);
}

internal enum ArithmeticOperator
{
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

internal enum ComparisonOperator
{
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}
