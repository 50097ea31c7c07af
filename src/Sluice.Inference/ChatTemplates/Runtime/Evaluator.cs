using System.Diagnostics;
using Sluice.Inference.ChatTemplates.Builtins;
using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>Evaluates expressions by walking the tree.</summary>
/// <param name="variables">The rendering's variables, behind every scope.</param>
/// <param name="state">Bounds and position of the rendering.</param>
internal sealed class Evaluator(IReadOnlyDictionary<string, TemplateValue> variables, RenderState state)
{
    public TemplateValue Evaluate(Expression expression, Scope scope)
    {
        state.Enter(expression.Line);
        var value = expression switch
        {
            LiteralExpression literal => literal.Value,
            NameExpression name => Lookup(name.Name, scope),
            AttributeExpression attribute => Members.GetAttribute(state, Evaluate(attribute.Target, scope), attribute.Name),
            IndexExpression index => EvaluateIndex(index, scope),
            CallExpression call => EvaluateCall(call, scope),
            FilterExpression filter => ApplyFilter(filter.Call, Evaluate(filter.Input, scope), scope),
            TestExpression test => EvaluateTest(test, scope),
            ComparisonExpression comparison => EvaluateComparison(comparison, scope),
            LogicalExpression logical => EvaluateLogical(logical, scope),
            NotExpression not => BooleanValue.Of(!Evaluate(not.Operand, scope).IsTrue),
            ArithmeticExpression arithmetic => EvaluateArithmetic(arithmetic, scope),
            ConcatenationExpression concatenation => EvaluateConcatenation(concatenation, scope),
            ConditionalExpression conditional => EvaluateConditional(conditional, scope),
            SignExpression sign => Arithmetic.Sign(state, Evaluate(sign.Operand, scope), sign.IsNegative),
            ListExpression list => SequenceValue.List(EvaluateAll(list.Items, scope)),
            TupleExpression tuple => SequenceValue.Tuple(EvaluateAll(tuple.Items, scope)),
            MappingExpression mapping => EvaluateMapping(mapping, scope),
            SliceExpression => throw state.Fail("a slice stands alone between brackets"),
            _ => throw new UnreachableException(),
        };
        state.Leave();
        return value;
    }

    public TemplateValue Lookup(string name, Scope scope) =>
        scope.Find(name) ?? variables.GetValueOrDefault(name) ?? Functions.Find(name) ?? UndefinedValue.ForName(name);

    public TemplateValue ApplyFilter(FilterCall call, TemplateValue input, Scope scope)
    {
        var arguments = EvaluateArguments(call.Arguments, scope);
        state.Line = call.Line;
        if (call.Filter is null) throw state.Fail($"there is no filter '{call.Name}'");
        state.ChargeValue(input);
        return call.Filter(state, input, arguments);
    }

    public CallArguments EvaluateArguments(ArgumentList list, Scope scope)
    {
        if (ReferenceEquals(list, ArgumentList.Empty)) return CallArguments.Empty;
        var positional = EvaluateAll(list.Positional, scope);
        var named = new List<KeyValuePair<TextValue, TemplateValue>>(list.Named.Count);
        foreach (var (name, value) in list.Named)
        {
            named.Add(new(name, Evaluate(value, scope)));
        }

        if (list.MorePositional is not null) positional.AddRange(Members.Iterate(state, Evaluate(list.MorePositional, scope)));
        if (list.MoreNamed is not null) AddNamed(named, Evaluate(list.MoreNamed, scope));
        return new CallArguments(positional, named);
    }

    private void AddNamed(List<KeyValuePair<TextValue, TemplateValue>> named, TemplateValue value)
    {
        if (value is not MappingValue mapping) throw state.Fail($"'**' needs a mapping, not '{value.TypeName}'");
        foreach (var (key, item) in mapping.Items)
        {
            named.Add(new(key as TextValue ?? throw state.Fail("names of arguments are strings"), item));
        }
    }

    private List<TemplateValue> EvaluateAll(IReadOnlyList<Expression> expressions, Scope scope)
    {
        var values = new List<TemplateValue>(expressions.Count);
        foreach (var expression in expressions)
        {
            values.Add(Evaluate(expression, scope));
        }

        return values;
    }

    private TemplateValue EvaluateIndex(IndexExpression expression, Scope scope)
    {
        var target = Evaluate(expression.Target, scope);
        if (expression.Index is not SliceExpression slice)
        {
            var key = Evaluate(expression.Index, scope);
            state.Line = expression.Line;
            return Members.GetItem(state, target, key);
        }

        var start = EvaluateOptional(slice.Start, scope);
        var stop = EvaluateOptional(slice.Stop, scope);
        var step = EvaluateOptional(slice.Step, scope);
        state.Line = expression.Line;
        return Members.GetSlice(state, target, start, stop, step);
    }

    private TemplateValue EvaluateOptional(Expression? expression, Scope scope) =>
        expression is null ? NoneValue.Instance : Evaluate(expression, scope);

    private TemplateValue EvaluateCall(CallExpression call, Scope scope)
    {
        var target = Evaluate(call.Target, scope);
        var arguments = EvaluateArguments(call.Arguments, scope);
        state.Line = call.Line;
        return target switch
        {
            CallableValue callable => callable.Invoke(state, arguments),
            UndefinedValue undefined => throw state.Fail(undefined.Reason),
            _ => throw state.Fail($"'{target.TypeName}' cannot be called"),
        };
    }

    private BooleanValue EvaluateTest(TestExpression expression, Scope scope)
    {
        var input = Evaluate(expression.Input, scope);
        var arguments = EvaluateArguments(expression.Arguments, scope);
        state.Line = expression.Line;
        if (expression.Test is null) throw state.Fail($"there is no test '{expression.Name}'");
        return BooleanValue.Of(expression.Test(state, input, arguments));
    }

    private BooleanValue EvaluateComparison(ComparisonExpression expression, Scope scope)
    {
        var left = Evaluate(expression.First, scope);
        foreach (var (comparison, operand) in expression.Rest)
        {
            var right = Evaluate(operand, scope);
            state.Line = expression.Line;
            if (!Comparison.Holds(state, comparison, left, right)) return BooleanValue.Of(false);
            left = right;
        }

        return BooleanValue.Of(true);
    }

    private TemplateValue EvaluateLogical(LogicalExpression expression, Scope scope)
    {
        var left = Evaluate(expression.Left, scope);
        return left.IsTrue == expression.IsAnd ? Evaluate(expression.Right, scope) : left;
    }

    private TemplateValue EvaluateArithmetic(ArithmeticExpression expression, Scope scope)
    {
        var left = Evaluate(expression.Left, scope);
        var right = Evaluate(expression.Right, scope);
        state.Line = expression.Line;
        return Arithmetic.Apply(state, expression.Operator, left, right);
    }

    private TextValue EvaluateConcatenation(ConcatenationExpression expression, Scope scope)
    {
        var builder = new MarkedTextBuilder(state);
        foreach (var item in expression.Items)
        {
            PythonText.WriteStr(state, builder, Evaluate(item, scope));
        }

        return builder.ToValue();
    }

    private TemplateValue EvaluateConditional(ConditionalExpression expression, Scope scope)
    {
        if (Evaluate(expression.Condition, scope).IsTrue) return Evaluate(expression.WhenTrue, scope);
        return expression.WhenFalse is null
            ? new UndefinedValue("an inline 'if' without 'else' has no value")
            : Evaluate(expression.WhenFalse, scope);
    }

    private MappingValue EvaluateMapping(MappingExpression expression, Scope scope)
    {
        var mapping = new MappingValue();
        foreach (var (keyExpression, valueExpression) in expression.Items)
        {
            var key = Evaluate(keyExpression, scope);
            if (!MappingValue.IsKey(key)) throw state.Fail($"'{key.TypeName}' cannot be a key");
            mapping.Items[key] = Evaluate(valueExpression, scope);
        }

        return mapping;
    }
}
