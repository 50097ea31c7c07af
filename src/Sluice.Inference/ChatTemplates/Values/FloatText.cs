using System.Globalization;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Prints floating-point numbers as Python does.</summary>
internal static class FloatText
{
    /// <summary>The shortest digits that read back as the number; an exponent below 1e-4 and from 1e16 on.</summary>
    public static string Repr(FloatValue value) => value.Digits ?? Repr(value.Value);

    public static string Repr(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        if (value == 0) return double.IsNegative(value) ? "-0.0" : "0.0";

        string sign = value < 0 ? "-" : string.Empty;
        var (digits, exponent) = Decompose(Math.Abs(value));
        if (exponent is < -4 or >= 16) return sign + Scientific(digits, exponent);
        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        if (digits.Length <= exponent + 1) return $"{sign}{digits.PadRight(exponent + 1, '0')}.0";
        return $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    /// <summary>As JSON: the names of the three numbers that JSON does not have are Python's.</summary>
    public static string Json(FloatValue value) => value.Value switch
    {
        double.NaN => "NaN",
        double.PositiveInfinity when value.Digits is null => "Infinity",
        double.NegativeInfinity when value.Digits is null => "-Infinity",
        _ => Repr(value),
    };

    /// <summary>A fixed number of decimals, ties to even as the C library rounds.</summary>
    public static string Fixed(double value, int decimals)
    {
        if (!double.IsFinite(value)) return Repr(value);
        string rounded = value.ToString("F" + decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        // .NET rounds an exact tie away from zero. Thirty more digits tell a tie from a near miss.
        string exact = value.ToString("F" + (decimals + 30).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        string tail = exact[^30..];
        bool isTie = tail[0] == '5' && tail.AsSpan(1).IndexOfAnyExcept('0') < 0;
        if (!isTie) return rounded;
        string truncated = exact[..^30].TrimEnd('.');
        return (truncated[^1] - '0') % 2 == 0 ? truncated : rounded;
    }

    private static string Scientific(string digits, int exponent)
    {
        string mantissa = digits.Length == 1 ? digits : $"{digits[0]}.{digits[1..]}";
        string size = Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture);
        return $"{mantissa}e{(exponent < 0 ? '-' : '+')}{size}";
    }

    /// <summary>Digits d1 d2 … and exponent e with value = d1.d2… × 10^e.</summary>
    private static (string Digits, int Exponent) Decompose(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        int exponent = 0;
        int mark = text.IndexOf('E', StringComparison.Ordinal);
        if (mark >= 0)
        {
            exponent = int.Parse(text.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            text = text[..mark];
        }

        int point = text.IndexOf('.', StringComparison.Ordinal);
        string whole = point < 0 ? text : text[..point];
        string all = point < 0 ? text : whole + text[(point + 1)..];
        string significant = all.TrimStart('0');
        exponent += whole.Length - 1 - (all.Length - significant.Length);
        significant = significant.TrimEnd('0');
        return (significant, exponent);
    }
}
