using System.Diagnostics;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Booleans, integers and floats as one kind of number, as in Python.</summary>
internal static class Numbers
{
    public static bool IsNumber(TemplateValue value) => value is IntegerValue or FloatValue or BooleanValue;

    public static bool TryGetInteger(TemplateValue value, out long integer)
    {
        integer = value switch
        {
            IntegerValue i => i.Value,
            BooleanValue { Value: true } => 1,
            _ => 0,
        };
        return value is IntegerValue or BooleanValue;
    }

    public static double ToDouble(TemplateValue value) => value switch
    {
        FloatValue f => f.Value,
        IntegerValue i => i.Value,
        BooleanValue b => b.Value ? 1 : 0,
        _ => throw new UnreachableException(),
    };

    public static bool AreEqual(TemplateValue left, TemplateValue right) =>
        TryGetInteger(left, out long a) && TryGetInteger(right, out long b) ? a == b : ToDouble(left) == ToDouble(right);

    /// <summary>Negative, zero or positive; null when one of them is not a number.</summary>
    public static int? Compare(TemplateValue left, TemplateValue right)
    {
        if (TryGetInteger(left, out long a) && TryGetInteger(right, out long b)) return a.CompareTo(b);
        double x = ToDouble(left);
        double y = ToDouble(right);
        return double.IsNaN(x) || double.IsNaN(y) ? null : x.CompareTo(y);
    }
}
