using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Filters on single values and numbers.</summary>
internal static class ValueFilters
{
    public static TemplateValue Default(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "default", "default_value", "boolean");
        bool isReplaced = input is UndefinedValue || (a.IsTrue(1) && !input.IsTrue);
        return isReplaced ? a[0] ?? TextValue.Empty : input;
    }

    public static TemplateValue Attribute(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var name = arguments.Bind(state, "attr", "name").RequireText(0);
        // The filter gives attributes only: of a mapping its methods, never its items.
        if (input is not MappingValue mapping) return Members.GetAttribute(state, input, name);
        return (TemplateValue?)MappingMethods.Find(mapping, name.Text) ?? UndefinedValue.ForMember(input, name);
    }

    public static TemplateValue ToInteger(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "int", "default", "base");
        if (input is UndefinedValue undefined) throw state.Fail(undefined.Reason);
        if (Numbers.TryGetInteger(input, out long integer)) return new IntegerValue(integer);
        if (input is TextValue text && IntegerText.TryParse(text.Text, a.Integer(1, 10), out integer)) return new IntegerValue(integer);
        if (TryGetFloat(input, out double number) && number is > -9.2e18 and < 9.2e18) return new IntegerValue((long)number);
        return a[0] ?? new IntegerValue(0);
    }

    public static TemplateValue ToFloat(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "float", "default");
        if (input is UndefinedValue undefined) throw state.Fail(undefined.Reason);
        return TryGetFloat(input, out double number) ? new FloatValue(number) : a[0] ?? new FloatValue(0);
    }

    public static TemplateValue Absolute(RenderState state, TemplateValue input, CallArguments arguments)
    {
        if (input is FloatValue number) return new FloatValue(Math.Abs(number.Value));
        if (Numbers.TryGetInteger(input, out long integer))
        {
            return Arithmetic.Sign(state, new IntegerValue(integer), isNegative: integer < 0);
        }

        throw state.Fail(input is UndefinedValue undefined ? undefined.Reason : $"'abs' needs a number, not '{input.TypeName}'");
    }

    public static TemplateValue Round(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "round", "precision", "method");
        long precision = a.Integer(0, 0);
        string method = a.Text(1)?.Text ?? "common";
        if (!Numbers.IsNumber(input)) throw state.Fail($"'round' needs a number, not '{input.TypeName}'");
        if (Math.Abs(precision) > 300) throw state.Fail("'round' takes at most 300 digits");
        bool isInteger = input is not FloatValue;
        double value = Numbers.ToDouble(input);
        double scale = Math.Pow(10, precision);
        return method switch
        {
            "common" when isInteger && precision >= 0 => new IntegerValue(Numbers.TryGetInteger(input, out long integer) ? integer : 0),
            "common" when precision >= 0 =>
                new FloatValue(double.Parse(FloatText.Fixed(value, (int)precision), CultureInfo.InvariantCulture)),
            "common" => RoundToTens(value, 1 / scale, isInteger),
            "ceil" => new FloatValue(Math.Ceiling(value * scale) / scale),
            "floor" => new FloatValue(Math.Floor(value * scale) / scale),
            _ => throw state.Fail("'round' knows the methods common, ceil and floor"),
        };
    }

    private static TemplateValue RoundToTens(double value, double unit, bool isInteger)
    {
        double rounded = Math.Round(value / unit, MidpointRounding.ToEven) * unit;
        return isInteger && Math.Abs(rounded) < 9e18 ? new IntegerValue((long)rounded) : new FloatValue(rounded);
    }

    private static bool TryGetFloat(TemplateValue value, out double number)
    {
        number = 0;
        if (Numbers.IsNumber(value))
        {
            number = Numbers.ToDouble(value);
            return true;
        }

        if (value is not TextValue text) return false;
        string digits = text.Text.Trim();
        switch (digits.TrimStart('+', '-').ToLowerInvariant())
        {
            case "inf" or "infinity":
                number = digits.StartsWith('-') ? double.NegativeInfinity : double.PositiveInfinity;
                return true;
            case "nan":
                number = double.NaN;
                return true;
        }

        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        digits = digits.Replace("_", string.Empty, StringComparison.Ordinal);
        return double.TryParse(digits, Style, CultureInfo.InvariantCulture, out number);
    }
}
