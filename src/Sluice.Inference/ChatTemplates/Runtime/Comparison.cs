using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>Python's equality, order and membership. Marks play no part.</summary>
internal static class Comparison
{
    public static bool AreEqual(RenderState state, TemplateValue left, TemplateValue right, int depth = 0)
    {
        state.CheckValueDepth(depth);
        if (ReferenceEquals(left, right)) return left is not FloatValue { Value: double.NaN };
        return (left, right) switch
        {
            (TextValue a, TextValue b) => a.Text == b.Text,
            (UndefinedValue, UndefinedValue) => true,
            (SequenceValue a, SequenceValue b) => AreComparable(a, b) && AreEqual(state, a.Items, b.Items, depth),
            (MappingValue a, MappingValue b) => AreEqual(state, a, b, depth),
            _ when Numbers.IsNumber(left) && Numbers.IsNumber(right) => Numbers.AreEqual(left, right),
            _ => false,
        };
    }

    public static bool AreEqual(RenderState state, IReadOnlyList<TemplateValue> left, IReadOnlyList<TemplateValue> right, int depth = 0)
    {
        if (left.Count != right.Count) return false;
        for (int i = 0; i < left.Count; i++)
        {
            if (!AreEqual(state, left[i], right[i], depth + 1)) return false;
        }

        return true;
    }

    /// <summary>Negative, zero or positive; null when neither is less (a NaN).</summary>
    /// <exception cref="ChatTemplateException">The two have no order.</exception>
    public static int? Order(RenderState state, TemplateValue left, TemplateValue right, int depth = 0)
    {
        state.CheckValueDepth(depth);
        return (left, right) switch
        {
            (TextValue a, TextValue b) => CodePoints.Compare(a.Text, b.Text),
            (SequenceValue { Kind: SequenceKind.List or SequenceKind.Tuple } a, SequenceValue b) when a.Kind == b.Kind =>
                Order(state, a, b, depth),
            _ when Numbers.IsNumber(left) && Numbers.IsNumber(right) => Numbers.Compare(left, right),
            (UndefinedValue undefined, _) => throw state.Fail(undefined.Reason),
            (_, UndefinedValue undefined) => throw state.Fail(undefined.Reason),
            _ => throw state.Fail($"'{left.TypeName}' and '{right.TypeName}' have no order"),
        };
    }

    /// <summary>Python's <c>in</c>.</summary>
    public static bool Contains(RenderState state, TemplateValue container, TemplateValue item)
    {
        state.ChargeValue(container is MappingValue ? item : container);
        switch (container)
        {
            case TextValue text when item is TextValue part:
                return text.Text.Contains(part.Text, StringComparison.Ordinal);
            case TextValue:
                throw state.Fail($"'in' needs a string to look for in a string, not '{item.TypeName}'");
            case MappingValue mapping:
                return MappingValue.IsKey(item) ? mapping.Find(item) is not null : throw state.Fail($"'{item.TypeName}' cannot be a key");
            case SequenceValue sequence:
                foreach (var candidate in sequence.Enumerate())
                {
                    if (AreEqual(state, candidate, item)) return true;
                }

                return false;
            case UndefinedValue:
                return false;
            default:
                throw state.Fail($"'in' cannot look into '{container.TypeName}'");
        }
    }

    public static bool Holds(RenderState state, ComparisonOperator comparison, TemplateValue left, TemplateValue right) => comparison switch
    {
        ComparisonOperator.Equal => AreEqual(state, left, right),
        ComparisonOperator.NotEqual => !AreEqual(state, left, right),
        ComparisonOperator.Less => Order(state, left, right) < 0,
        ComparisonOperator.LessOrEqual => Order(state, left, right) <= 0,
        ComparisonOperator.Greater => Order(state, left, right) > 0,
        ComparisonOperator.GreaterOrEqual => Order(state, left, right) >= 0,
        ComparisonOperator.In => Contains(state, right, left),
        _ => !Contains(state, right, left),
    };

    private static bool AreComparable(SequenceValue left, SequenceValue right) =>
        left.Kind == right.Kind && left.Kind is SequenceKind.List or SequenceKind.Tuple or SequenceKind.Range;

    private static bool AreEqual(RenderState state, MappingValue left, MappingValue right, int depth)
    {
        if (left.Items.Count != right.Items.Count) return false;
        foreach (var (key, value) in left.Items)
        {
            if (!right.Items.TryGetValue(key, out var other) || !AreEqual(state, value, other, depth + 1)) return false;
        }

        return true;
    }

    private static int? Order(RenderState state, SequenceValue left, SequenceValue right, int depth)
    {
        int common = Math.Min(left.Items.Count, right.Items.Count);
        for (int i = 0; i < common; i++)
        {
            if (!AreEqual(state, left.Items[i], right.Items[i], depth + 1)) return Order(state, left.Items[i], right.Items[i], depth + 1);
        }

        return left.Items.Count.CompareTo(right.Items.Count);
    }
}
