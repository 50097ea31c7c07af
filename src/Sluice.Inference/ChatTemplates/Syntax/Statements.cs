using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>A node of the syntax tree that writes output or changes variables.</summary>
/// <param name="Line">Line of the template, from 1.</param>
internal abstract record Statement(int Line);

internal sealed record TextStatement(int Line, TextValue Text) : Statement(Line);

internal sealed record OutputStatement(int Line, Expression Value) : Statement(Line);

internal sealed record IfStatement(
    int Line, IReadOnlyList<(Expression Condition, IReadOnlyList<Statement> Body)> Branches, IReadOnlyList<Statement> Else)
    : Statement(Line);

/// <param name="Line">Line of the template.</param>
/// <param name="Target">What each item is bound to.</param>
/// <param name="Iterable">What the loop goes over.</param>
/// <param name="Condition">Items for which it does not hold are left out before the loop counts them.</param>
/// <param name="Body">Run once for each item, in a scope of its own.</param>
/// <param name="Else">Run when there is no item.</param>
/// <param name="IsRecursive">True when the body may call <c>loop</c>.</param>
internal sealed record ForStatement(
    int Line,
    AssignmentTarget Target,
    Expression Iterable,
    Expression? Condition,
    IReadOnlyList<Statement> Body,
    IReadOnlyList<Statement> Else,
    bool IsRecursive) : Statement(Line);

internal sealed record SetStatement(int Line, AssignmentTarget Target, Expression Value) : Statement(Line);

/// <summary><c>{% set x %}…{% endset %}</c>, the body's output filtered and assigned.</summary>
internal sealed record SetBlockStatement(
    int Line, AssignmentTarget Target, IReadOnlyList<FilterCall> Filters, IReadOnlyList<Statement> Body) : Statement(Line);

internal sealed record MacroStatement(int Line, MacroDefinition Definition) : Statement(Line);

/// <summary><c>{% call(parameters) macro(arguments) %}…{% endcall %}</c>; the body is the macro's <c>caller</c>.</summary>
internal sealed record CallBlockStatement(int Line, CallExpression Call, MacroDefinition Caller) : Statement(Line);

internal sealed record FilterBlockStatement(int Line, IReadOnlyList<FilterCall> Filters, IReadOnlyList<Statement> Body) : Statement(Line);

/// <summary><c>{% with %}</c>, and <c>{% generation %}</c> with nothing bound: a body with a scope of its own.</summary>
internal sealed record ScopeStatement(
    int Line, IReadOnlyList<(AssignmentTarget Target, Expression Value)> Bindings, IReadOnlyList<Statement> Body) : Statement(Line);

internal sealed record BreakStatement(int Line) : Statement(Line);

internal sealed record ContinueStatement(int Line) : Statement(Line);

internal sealed record MacroDefinition(
    string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, IReadOnlyList<Statement> Body, SpecialNames UsedNames);

/// <summary>The names that a macro's body uses decide what its calls may pass.</summary>
[Flags]
internal enum SpecialNames
{
    None = 0,
    Caller = 1,
    PositionalRest = 2,
    NamedRest = 4,
}

/// <summary>What a value is assigned to.</summary>
internal abstract record AssignmentTarget(int Line);

internal sealed record NameTarget(int Line, string Name) : AssignmentTarget(Line);

internal sealed record TupleTarget(int Line, IReadOnlyList<AssignmentTarget> Items) : AssignmentTarget(Line);

internal sealed record NamespaceTarget(int Line, string Namespace, TextValue Attribute) : AssignmentTarget(Line);
