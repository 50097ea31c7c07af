using Sluice.Inference.ChatTemplates.Builtins;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>
/// Parses expressions by recursive descent, loosest first: inline if, or, and, not, comparisons, + and -, ~, * / // %, **, signs,
/// then members, calls, filters and tests, which bind tightest.
/// </summary>
internal sealed class ExpressionParser(TokenCursor cursor)
{
    private readonly PrimaryParser _primary = new(cursor);

    public Expression ParseExpression()
    {
        cursor.Enter();
        var expression = ParseConditional();
        cursor.Leave();
        return expression;
    }

    /// <summary>Without a trailing inline if: the iterable of a for, whose <c>if</c> belongs to the loop.</summary>
    public Expression ParseWithoutConditional() => ParseOr();

    /// <summary>One expression, or several with commas between them as a tuple.</summary>
    /// <param name="isConditionalAllowed">False where an <c>if</c> belongs to the statement.</param>
    public Expression ParseTuple(bool isConditionalAllowed = true)
    {
        int line = cursor.Current.Line;
        var items = new List<Expression>();
        bool isTuple = false;
        while (!IsTupleEnd())
        {
            items.Add(isConditionalAllowed ? ParseExpression() : ParseWithoutConditional());
            if (!cursor.TrySkipOperator(",")) break;
            isTuple = true;
        }

        if (isTuple) return new TupleExpression(line, items);
        return items.Count == 1 ? items[0] : throw cursor.Fail($"expected an expression, found {cursor.Current.Describe()}");
    }

    public bool IsTupleEnd() =>
        cursor.Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd or TokenKind.EndOfTemplate || cursor.Current.IsOperator(")");

    /// <summary>A filter's name and arguments, the pipe already taken.</summary>
    public FilterCall ParseFilterCall()
    {
        int line = cursor.Current.Line;
        string name = cursor.ExpectName();
        var arguments = cursor.Current.IsOperator("(") ? ParseArguments() : ArgumentList.Empty;
        return new FilterCall(line, name, FilterTable.Find(name), arguments);
    }

    public ArgumentList ParseArguments()
    {
        cursor.ExpectOperator("(");
        var positional = new List<Expression>();
        var named = new List<(TextValue, Expression)>();
        Expression? morePositional = null;
        Expression? moreNamed = null;
        while (!cursor.Current.IsOperator(")"))
        {
            if (cursor.TrySkipOperator("**"))
            {
                if (moreNamed is not null) throw cursor.Fail("a call has two '**' arguments");
                moreNamed = ParseExpression();
            }
            else if (cursor.TrySkipOperator("*"))
            {
                if (morePositional is not null || moreNamed is not null) throw cursor.Fail("a call has a misplaced '*' argument");
                morePositional = ParseExpression();
            }
            else if (cursor.Current.Kind == TokenKind.Name && cursor.Next.IsOperator("="))
            {
                if (moreNamed is not null) throw cursor.Fail("a named argument follows '**'");
                var name = new TextValue(cursor.Take().Text);
                cursor.Take();
                named.Add((name, ParseExpression()));
            }
            else
            {
                if (named.Count > 0 || morePositional is not null || moreNamed is not null)
                {
                    throw cursor.Fail("a positional argument follows a named one");
                }

                positional.Add(ParseExpression());
            }

            if (!cursor.TrySkipOperator(",")) break;
        }

        cursor.ExpectOperator(")");
        return new ArgumentList(positional, named, morePositional, moreNamed);
    }

    private Expression ParseConditional()
    {
        int line = cursor.Current.Line;
        var expression = ParseOr();
        while (cursor.TrySkipName("if"))
        {
            var condition = ParseOr();
            var otherwise = cursor.TrySkipName("else") ? ParseExpression() : null;
            expression = new ConditionalExpression(line, condition, expression, otherwise);
            line = cursor.Current.Line;
        }

        return expression;
    }

    private Expression ParseOr()
    {
        var left = ParseAnd();
        while (cursor.Current.IsName("or"))
        {
            int line = cursor.Take().Line;
            left = new LogicalExpression(line, IsAnd: false, left, ParseAnd());
        }

        return left;
    }

    private Expression ParseAnd()
    {
        var left = ParseNot();
        while (cursor.Current.IsName("and"))
        {
            int line = cursor.Take().Line;
            left = new LogicalExpression(line, IsAnd: true, left, ParseNot());
        }

        return left;
    }

    private Expression ParseNot()
    {
        if (!cursor.Current.IsName("not")) return ParseComparison();
        int line = cursor.Take().Line;
        cursor.Enter();
        var operand = ParseNot();
        cursor.Leave();
        return new NotExpression(line, operand);
    }

    private Expression ParseComparison()
    {
        int line = cursor.Current.Line;
        var first = ParseSum();
        var rest = new List<(ComparisonOperator, Expression)>();
        while (TryTakeComparison() is { } comparison)
        {
            rest.Add((comparison, ParseSum()));
        }

        return rest.Count == 0 ? first : new ComparisonExpression(line, first, rest);
    }

    private ComparisonOperator? TryTakeComparison()
    {
        var token = cursor.Current;
        ComparisonOperator? comparison = (token.Kind, token.Text) switch
        {
            (TokenKind.Operator, "==") => ComparisonOperator.Equal,
            (TokenKind.Operator, "!=") => ComparisonOperator.NotEqual,
            (TokenKind.Operator, "<") => ComparisonOperator.Less,
            (TokenKind.Operator, "<=") => ComparisonOperator.LessOrEqual,
            (TokenKind.Operator, ">") => ComparisonOperator.Greater,
            (TokenKind.Operator, ">=") => ComparisonOperator.GreaterOrEqual,
            (TokenKind.Name, "in") => ComparisonOperator.In,
            (TokenKind.Name, "not") when cursor.Next.IsName("in") => ComparisonOperator.NotIn,
            _ => null,
        };
        if (comparison is null) return null;
        cursor.Take();
        if (comparison == ComparisonOperator.NotIn) cursor.Take();
        return comparison;
    }

    private Expression ParseSum()
    {
        var left = ParseConcatenation();
        while (cursor.Current.IsOperator("+") || cursor.Current.IsOperator("-"))
        {
            var token = cursor.Take();
            var operation = token.Text == "+" ? ArithmeticOperator.Add : ArithmeticOperator.Subtract;
            left = new ArithmeticExpression(token.Line, operation, left, ParseConcatenation());
        }

        return left;
    }

    private Expression ParseConcatenation()
    {
        int line = cursor.Current.Line;
        var first = ParseProduct();
        if (!cursor.Current.IsOperator("~")) return first;
        var items = new List<Expression> { first };
        while (cursor.TrySkipOperator("~"))
        {
            items.Add(ParseProduct());
        }

        return new ConcatenationExpression(line, items);
    }

    private Expression ParseProduct()
    {
        var left = ParsePower();
        while (true)
        {
            ArithmeticOperator? operation = cursor.Current is { Kind: TokenKind.Operator } token ? token.Text switch
            {
                "*" => ArithmeticOperator.Multiply,
                "/" => ArithmeticOperator.Divide,
                "//" => ArithmeticOperator.FloorDivide,
                "%" => ArithmeticOperator.Modulo,
                _ => null,
            } : null;
            if (operation is null) return left;
            int line = cursor.Take().Line;
            left = new ArithmeticExpression(line, operation.Value, left, ParsePower());
        }
    }

    private Expression ParsePower()
    {
        var left = ParseUnary(areFiltersAllowed: true);
        while (cursor.Current.IsOperator("**"))
        {
            int line = cursor.Take().Line;
            left = new ArithmeticExpression(line, ArithmeticOperator.Power, left, ParseUnary(areFiltersAllowed: true));
        }

        return left;
    }

    private Expression ParseUnary(bool areFiltersAllowed)
    {
        Expression expression;
        if (cursor.Current.IsOperator("-") || cursor.Current.IsOperator("+"))
        {
            var token = cursor.Take();
            cursor.Enter();
            expression = new SignExpression(token.Line, ParseUnary(areFiltersAllowed: false), token.Text == "-");
            cursor.Leave();
        }
        else
        {
            expression = _primary.Parse(this);
        }

        expression = ParsePostfix(expression);
        return areFiltersAllowed ? ParseFiltersAndTests(expression) : expression;
    }

    private Expression ParsePostfix(Expression target)
    {
        while (true)
        {
            var token = cursor.Current;
            if (token.IsOperator(".")) target = ParseAttribute(target);
            else if (token.IsOperator("[")) target = ParseIndex(target);
            else if (token.IsOperator("(")) target = new CallExpression(token.Line, target, ParseArguments());
            else return target;
        }
    }

    private Expression ParseFiltersAndTests(Expression input)
    {
        while (true)
        {
            var token = cursor.Current;
            if (cursor.TrySkipOperator("|")) input = new FilterExpression(token.Line, input, ParseFilterCall());
            else if (token.IsName("is")) input = ParseTest(input);
            else if (token.IsOperator("(")) input = new CallExpression(token.Line, input, ParseArguments());
            else return input;
        }
    }

    private Expression ParseAttribute(Expression target)
    {
        int line = cursor.Take().Line;
        var member = cursor.Take();
        return member.Kind switch
        {
            TokenKind.Name => new AttributeExpression(line, target, new TextValue(member.Text)),
            TokenKind.Integer => new IndexExpression(line, target, PrimaryParser.ToInteger(member)),
            _ => throw new ChatTemplateException($"expected a name after '.', found {member.Describe()}", member.Line),
        };
    }

    private IndexExpression ParseIndex(Expression target)
    {
        int line = cursor.Take().Line;
        var first = ParseSubscript();
        if (cursor.Current.IsOperator(","))
        {
            var items = new List<Expression> { first };
            while (cursor.TrySkipOperator(",") && !cursor.Current.IsOperator("]"))
            {
                items.Add(ParseExpression());
            }

            first = new TupleExpression(line, items);
        }

        cursor.ExpectOperator("]");
        return new IndexExpression(line, target, first);
    }

    private Expression ParseSubscript()
    {
        int line = cursor.Current.Line;
        Expression? start = null;
        if (!cursor.Current.IsOperator(":"))
        {
            start = ParseExpression();
            if (!cursor.Current.IsOperator(":")) return start;
        }

        cursor.Take();
        var stop = ParseSliceBound();
        var step = cursor.TrySkipOperator(":") ? ParseSliceBound() : null;
        return new SliceExpression(line, start, stop, step);
    }

    private Expression? ParseSliceBound() =>
        cursor.Current.IsOperator(":") || cursor.Current.IsOperator("]") ? null : ParseExpression();

    private Expression ParseTest(Expression input)
    {
        int line = cursor.Take().Line;
        bool isNegated = cursor.TrySkipName("not");
        string name = cursor.ExpectName();
        var test = new TestExpression(line, input, name, TestTable.Find(name), ParseTestArguments());
        return isNegated ? new NotExpression(line, test) : test;
    }

    private ArgumentList ParseTestArguments()
    {
        var token = cursor.Current;
        if (token.IsOperator("(")) return ParseArguments();
        bool isArgument = token.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Float
            || token.IsOperator("[") || token.IsOperator("{");
        if (!isArgument || token.IsName("else") || token.IsName("or") || token.IsName("and")) return ArgumentList.Empty;
        if (token.IsName("is")) throw cursor.Fail("tests cannot be chained with 'is'");
        // `x is defined if …` and `x is string not in y` read on as Jinja reads them: a name here is the test's argument.
        return new ArgumentList([ParsePostfix(_primary.Parse(this))], [], null, null);
    }
}
