using System.Collections.Frozen;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>A test: what stands after <c>is</c>.</summary>
internal delegate bool Test(RenderState state, TemplateValue value, CallArguments arguments);

/// <summary>The tests of Jinja.</summary>
internal static class TestTable
{
    private static readonly FrozenDictionary<string, Test> Table = Build().ToFrozenDictionary(StringComparer.Ordinal);

    public static Test? Find(string name) => Table.GetValueOrDefault(name);

    private static Dictionary<string, Test> Build()
    {
        var table = new Dictionary<string, Test>
        {
            ["defined"] = Plain("defined", value => value is not UndefinedValue),
            ["undefined"] = Plain("undefined", value => value is UndefinedValue),
            ["none"] = Plain("none", value => value is NoneValue),
            ["boolean"] = Plain("boolean", value => value is BooleanValue),
            ["true"] = Plain("true", value => value is BooleanValue { Value: true }),
            ["false"] = Plain("false", value => value is BooleanValue { Value: false }),
            ["integer"] = Plain("integer", value => value is IntegerValue),
            ["float"] = Plain("float", value => value is FloatValue),
            ["number"] = Plain("number", Numbers.IsNumber),
            ["string"] = Plain("string", value => value is TextValue),
            ["mapping"] = Plain("mapping", value => value is MappingValue),
            ["iterable"] = Plain("iterable", value => value is TextValue or SequenceValue or MappingValue or UndefinedValue),
            ["sequence"] = Plain(
                "sequence", value => value is TextValue or MappingValue or UndefinedValue or SequenceValue { HasIndex: true }),
            ["callable"] = Plain("callable", value => value.IsCallable || value is UndefinedValue),
            ["escaped"] = Plain("escaped", _ => false),
            ["sameas"] = (state, value, a) => IsSame(value, a.Bind(state, "sameas", "other").Require(0)),
            ["odd"] = (state, value, a) => Remainder(state, "odd", value, 2) == 1,
            ["even"] = (state, value, a) => Remainder(state, "even", value, 2) == 0,
            ["divisibleby"] = (state, value, a) =>
                Remainder(state, "divisibleby", value, a.Bind(state, "divisibleby", "num").RequireInteger(0)) == 0,
            ["lower"] = (state, value, _) => TextCase.IsAll(PythonText.Str(state, value).Text, isUpper: false),
            ["upper"] = (state, value, _) => TextCase.IsAll(PythonText.Str(state, value).Text, isUpper: true),
            ["in"] = (state, value, a) => Comparison.Contains(state, a.Bind(state, "in", "seq").Require(0), value),
            ["filter"] = (_, value, _) => value is TextValue name && FilterTable.Find(name.Text) is not null,
            ["test"] = (_, value, _) => value is TextValue name && Find(name.Text) is not null,
        };
        AddComparison(table, ComparisonOperator.Equal, "==", "eq", "equalto");
        AddComparison(table, ComparisonOperator.NotEqual, "!=", "ne");
        AddComparison(table, ComparisonOperator.Less, "<", "lt", "lessthan");
        AddComparison(table, ComparisonOperator.LessOrEqual, "<=", "le");
        AddComparison(table, ComparisonOperator.Greater, ">", "gt", "greaterthan");
        AddComparison(table, ComparisonOperator.GreaterOrEqual, ">=", "ge");
        return table;
    }

    private static Test Plain(string name, Func<TemplateValue, bool> test) => (state, value, arguments) =>
    {
        arguments.Bind(state, name);
        return test(value);
    };

    private static void AddComparison(Dictionary<string, Test> table, ComparisonOperator comparison, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            table[name] = (state, value, a) => Comparison.Holds(state, comparison, value, a.Bind(state, name, "other").Require(0));
        }
    }

    /// <summary>Identity; small values that Python shares are the same when they are equal.</summary>
    private static bool IsSame(TemplateValue left, TemplateValue right) => (left, right) switch
    {
        (BooleanValue a, BooleanValue b) => a.Value == b.Value,
        (IntegerValue a, IntegerValue b) => a.Value == b.Value,
        (TextValue a, TextValue b) => a.Text == b.Text,
        _ => ReferenceEquals(left, right),
    };

    private static double Remainder(RenderState state, string test, TemplateValue value, long divisor)
    {
        if (value is UndefinedValue undefined) throw state.Fail(undefined.Reason);
        if (!Numbers.IsNumber(value)) throw state.Fail($"'{test}' needs a number, not '{value.TypeName}'");
        var remainder = Arithmetic.Apply(state, ArithmeticOperator.Modulo, value, new IntegerValue(divisor));
        return Numbers.ToDouble(remainder);
    }
}
