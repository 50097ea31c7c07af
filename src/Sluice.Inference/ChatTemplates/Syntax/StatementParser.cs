using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>Parses text, output tags and block tags into a tree.</summary>
internal sealed class StatementParser(TokenCursor cursor)
{
    private readonly ExpressionParser _expressions = new(cursor);
    private readonly TargetParser _targets = new(cursor);
    private int _loopDepth;

    public IReadOnlyList<Statement> ParseTemplate() => ParseBody();

    /// <summary>Statements up to a block tag that begins with one of <paramref name="endNames"/>; the cursor stays at that name.</summary>
    private List<Statement> ParseBody(params ReadOnlySpan<string> endNames)
    {
        cursor.Enter();
        var body = new List<Statement>();
        int openLine = cursor.PreviousLine;
        while (true)
        {
            var token = cursor.Take();
            switch (token.Kind)
            {
                case TokenKind.EndOfTemplate when endNames.IsEmpty:
                    cursor.Leave();
                    return body;
                case TokenKind.EndOfTemplate:
                    throw new ChatTemplateException($"'{endNames[^1]}' is missing", openLine);
                case TokenKind.Data:
                    body.Add(new TextStatement(token.Line, new TextValue(token.Text)));
                    break;
                case TokenKind.VariableBegin:
                    body.Add(new OutputStatement(token.Line, _expressions.ParseTuple()));
                    cursor.Expect(TokenKind.VariableEnd, "'}}'");
                    break;
                default:
                    if (IsEnd(endNames))
                    {
                        cursor.Leave();
                        return body;
                    }

                    body.Add(ParseStatement(cursor.Expect(TokenKind.Name, "a tag's name")));
                    CloseTag();
                    break;
            }
        }
    }

    private bool IsEnd(ReadOnlySpan<string> endNames)
    {
        foreach (string name in endNames)
        {
            if (cursor.Current.IsName(name)) return true;
        }

        return false;
    }

    private void CloseTag() => cursor.Expect(TokenKind.BlockEnd, "'%}'");

    /// <summary>A body inside the tag that is being read: closes the tag, reads the statements and takes the end's name.</summary>
    private List<Statement> ParseTagBody(string endName)
    {
        CloseTag();
        var body = ParseBody(endName);
        cursor.Take();
        return body;
    }

    private Statement ParseStatement(Token tag) => tag.Text switch
    {
        "if" => ParseIf(tag.Line),
        "for" => ParseFor(tag.Line),
        "set" => ParseSet(tag.Line),
        "macro" => ParseMacro(tag.Line),
        "call" => ParseCallBlock(tag.Line),
        "filter" => ParseFilterBlock(tag.Line),
        "with" => ParseWith(tag.Line),
        "generation" => new ScopeStatement(tag.Line, [], ParseTagBody("endgeneration")),
        "break" or "continue" when _loopDepth == 0 => throw new ChatTemplateException($"'{tag.Text}' outside a loop", tag.Line),
        "break" => new BreakStatement(tag.Line),
        "continue" => new ContinueStatement(tag.Line),
        _ => throw new ChatTemplateException($"unknown or unsupported tag '{tag.Text}'", tag.Line),
    };

    private IfStatement ParseIf(int line)
    {
        var branches = new List<(Expression, IReadOnlyList<Statement>)>();
        List<Statement> otherwise = [];
        bool isElif = true;
        while (isElif)
        {
            var condition = _expressions.ParseTuple(isConditionalAllowed: false);
            CloseTag();
            branches.Add((condition, ParseBody("elif", "else", "endif")));
            string end = cursor.Take().Text;
            isElif = end == "elif";
            if (end == "else") otherwise = ParseTagBody("endif");
        }

        return new IfStatement(line, branches, otherwise);
    }

    private ForStatement ParseFor(int line)
    {
        var target = _targets.ParseTuple("in");
        if (!cursor.TrySkipName("in")) throw cursor.Fail($"expected 'in', found {cursor.Current.Describe()}");
        var iterable = ParseIterable();
        var condition = cursor.TrySkipName("if") ? _expressions.ParseExpression() : null;
        bool isRecursive = cursor.TrySkipName("recursive");
        CloseTag();

        _loopDepth++;
        var body = ParseBody("else", "endfor");
        _loopDepth--;
        var otherwise = cursor.Take().Text == "else" ? ParseTagBody("endfor") : [];
        return new ForStatement(line, target, iterable, condition, body, otherwise, isRecursive);
    }

    private Expression ParseIterable()
    {
        int line = cursor.Current.Line;
        var items = new List<Expression> { _expressions.ParseWithoutConditional() };
        bool isTuple = false;
        while (cursor.TrySkipOperator(","))
        {
            isTuple = true;
            if (_expressions.IsTupleEnd() || cursor.Current.IsName("recursive")) break;
            items.Add(_expressions.ParseWithoutConditional());
        }

        return isTuple ? new TupleExpression(line, items) : items[0];
    }

    private Statement ParseSet(int line)
    {
        var target = _targets.ParseWithNamespace();
        if (cursor.TrySkipOperator("=")) return new SetStatement(line, target, _expressions.ParseTuple());
        var filters = new List<FilterCall>();
        while (cursor.TrySkipOperator("|"))
        {
            filters.Add(_expressions.ParseFilterCall());
        }

        return new SetBlockStatement(line, target, filters, ParseTagBody("endset"));
    }

    private MacroStatement ParseMacro(int line)
    {
        string name = cursor.ExpectName();
        if (!cursor.Current.IsOperator("(")) throw cursor.Fail($"expected '(', found {cursor.Current.Describe()}");
        return new MacroStatement(line, ParseMacroBody(name, ParseParameters(), "endmacro"));
    }

    private CallBlockStatement ParseCallBlock(int line)
    {
        var parameters = cursor.Current.IsOperator("(") ? ParseParameters() : [];
        if (_expressions.ParseExpression() is not CallExpression call) throw new ChatTemplateException("'call' needs a call", line);
        return new CallBlockStatement(line, call, ParseMacroBody("caller", parameters, "endcall"));
    }

    private List<(string Name, Expression? Default)> ParseParameters()
    {
        cursor.ExpectOperator("(");
        var parameters = new List<(string Name, Expression? Default)>();
        while (!cursor.Current.IsOperator(")"))
        {
            string name = cursor.ExpectName();
            var defaultValue = cursor.TrySkipOperator("=") ? _expressions.ParseExpression() : null;
            if (defaultValue is null && parameters.Count > 0 && parameters[^1].Default is not null)
            {
                throw cursor.Fail("a parameter without default follows one with default");
            }

            parameters.Add((name, defaultValue));
            if (!cursor.TrySkipOperator(",")) break;
        }

        cursor.ExpectOperator(")");
        return parameters;
    }

    private MacroDefinition ParseMacroBody(string name, List<(string Name, Expression? Default)> parameters, string endName)
    {
        var outerNames = cursor.UsedNames;
        int outerLoopDepth = _loopDepth;
        cursor.UsedNames = SpecialNames.None;
        _loopDepth = 0;
        var body = ParseTagBody(endName);
        var usedNames = cursor.UsedNames;
        cursor.UsedNames |= outerNames;
        _loopDepth = outerLoopDepth;
        return new MacroDefinition(name, parameters, body, usedNames);
    }

    private FilterBlockStatement ParseFilterBlock(int line)
    {
        var filters = new List<FilterCall> { _expressions.ParseFilterCall() };
        while (cursor.TrySkipOperator("|"))
        {
            filters.Add(_expressions.ParseFilterCall());
        }

        return new FilterBlockStatement(line, filters, ParseTagBody("endfilter"));
    }

    private ScopeStatement ParseWith(int line)
    {
        var bindings = new List<(AssignmentTarget, Expression)>();
        while (cursor.Current.Kind != TokenKind.BlockEnd)
        {
            if (bindings.Count > 0) cursor.ExpectOperator(",");
            var target = _targets.ParseSingle();
            cursor.ExpectOperator("=");
            bindings.Add((target, _expressions.ParseExpression()));
        }

        return new ScopeStatement(line, bindings, ParseTagBody("endwith"));
    }
}
