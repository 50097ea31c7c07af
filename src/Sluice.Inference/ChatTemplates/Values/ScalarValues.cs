using System.Globalization;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>A name, attribute or item that does not exist. Prints nothing; most other uses are errors.</summary>
/// <param name="reason">What to say when the value is used.</param>
internal sealed class UndefinedValue(string reason) : TemplateValue
{
    public string Reason { get; } = reason;

    internal override string TypeName => "undefined";

    internal override bool IsTrue => false;

    public static UndefinedValue ForName(string name) => new($"'{name}' is undefined");

    public static UndefinedValue ForMember(TemplateValue owner, TemplateValue member) => new(
        member is TextValue name
            ? $"'{owner.TypeName}' has no attribute '{name.Text}'"
            : $"'{owner.TypeName}' has no such element");
}

internal sealed class NoneValue : TemplateValue
{
    public static readonly NoneValue Instance = new();

    private NoneValue()
    {
    }

    internal override string TypeName => "None";

    internal override bool IsTrue => false;
}

internal sealed class BooleanValue : TemplateValue
{
    private static readonly BooleanValue True = new(true);
    private static readonly BooleanValue False = new(false);

    private BooleanValue(bool value) => Value = value;

    public bool Value { get; }

    internal override string TypeName => "bool";

    internal override bool IsTrue => Value;

    public static BooleanValue Of(bool value) => value ? True : False;
}

internal sealed class IntegerValue(long value) : TemplateValue
{
    public long Value { get; } = value;

    internal override string TypeName => "int";

    internal override bool IsTrue => Value != 0;

    public string ToDecimal() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A floating-point number.</summary>
/// <param name="value">The number.</param>
/// <param name="digits">The digits to print when they say more than the number: an integer of JSON that needs over 64 bits.</param>
internal sealed class FloatValue(double value, string? digits = null) : TemplateValue
{
    public double Value { get; } = value;

    public string? Digits { get; } = digits;

    internal override string TypeName => "float";

    internal override bool IsTrue => Value != 0;
}
