using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Numbers in the forms of Python's format strings.</summary>
internal static class NumberText
{
    /// <summary>Most decimals of a fixed form; no double has more that are not zero.</summary>
    private const int DecimalsMax = 1100;

    /// <param name="state">The rendering.</param>
    /// <param name="value">A number; a float is cut to its integer part.</param>
    /// <param name="form">d, x, X, o or b.</param>
    public static string Integer(RenderState state, TemplateValue value, char form)
    {
        if (!Numbers.TryGetInteger(value, out long integer))
        {
            if (value is not FloatValue { Value: > -9e18 and < 9e18 } number || form != 'd') throw Mismatch(state, value);
            integer = (long)number.Value;
        }

        if (form == 'd') return integer.ToString(CultureInfo.InvariantCulture);
        var magnitude = UInt128.CreateTruncating(Int128.Abs(integer));
        string digits = form switch
        {
            'x' => magnitude.ToString("x", CultureInfo.InvariantCulture),
            'X' => magnitude.ToString("X", CultureInfo.InvariantCulture),
            'b' => magnitude.ToString("b", CultureInfo.InvariantCulture),
            _ => Convert.ToString((long)(ulong)magnitude, 8),
        };
        string trimmed = digits.TrimStart('0');
        return (integer < 0 ? "-" : string.Empty) + (trimmed.Length == 0 ? "0" : trimmed);
    }

    public static string Fixed(RenderState state, TemplateValue value, int decimals)
    {
        if (!Numbers.IsNumber(value)) throw Mismatch(state, value);
        if (decimals > DecimalsMax) throw state.Fail($"a number is printed with at most {DecimalsMax} decimals");
        return FloatText.Fixed(Numbers.ToDouble(value), decimals);
    }

    private static ChatTemplateException Mismatch(RenderState state, TemplateValue value) =>
        state.Fail($"the format needs a number, not '{value.TypeName}'");
}
