using System.Globalization;
using System.Text;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>C's <c>strftime</c> in the C locale.</summary>
internal static class TimeFormat
{
    /// <summary>Replaces each conversion; one that is not known stays as it is.</summary>
    public static string Format(string format, DateTimeOffset time)
    {
        var result = new StringBuilder(format.Length + 16);
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                result.Append(format[i]);
                continue;
            }

            char conversion = format[++i];
            bool isUnpadded = conversion == '-' && i + 1 < format.Length;
            if (isUnpadded) conversion = format[++i];
            string? text = Convert(conversion, time);
            if (text is null) result.Append(isUnpadded ? "%-" : "%").Append(conversion);
            else result.Append(isUnpadded ? Unpad(text) : text);
        }

        return result.ToString();
    }

    private static string Unpad(string text)
    {
        string trimmed = text.TrimStart('0', ' ');
        return trimmed.Length == 0 ? "0" : trimmed;
    }

    private static string? Convert(char conversion, DateTimeOffset time)
    {
        string Of(string pattern) => time.ToString(pattern, CultureInfo.InvariantCulture);
        string Number(int value, string pattern) => value.ToString(pattern, CultureInfo.InvariantCulture);
        int day = (int)time.DayOfWeek;
        return conversion switch
        {
            'Y' => Number(time.Year, "0"),
            'y' => Number(time.Year % 100, "00"),
            'C' => Number(time.Year / 100, "00"),
            'm' => Number(time.Month, "00"),
            'd' => Number(time.Day, "00"),
            'e' => Number(time.Day, "0").PadLeft(2),
            'j' => Number(time.DayOfYear, "000"),
            'B' => Of("MMMM"),
            'b' or 'h' => Of("MMM"),
            'A' => Of("dddd"),
            'a' => Of("ddd"),
            'w' => Number(day, "0"),
            'u' => Number(day == 0 ? 7 : day, "0"),
            'U' => Number((time.DayOfYear + 6 - day) / 7, "00"),
            'W' => Number((time.DayOfYear + 6 - ((day + 6) % 7)) / 7, "00"),
            'V' => Number(ISOWeek.GetWeekOfYear(time.DateTime), "00"),
            'G' => Number(ISOWeek.GetYear(time.DateTime), "0"),
            'H' => Number(time.Hour, "00"),
            'I' => Number(time.Hour % 12 == 0 ? 12 : time.Hour % 12, "00"),
            'M' => Number(time.Minute, "00"),
            'S' => Number(time.Second, "00"),
            'f' => Of("ffffff"),
            'p' => time.Hour < 12 ? "AM" : "PM",
            'F' => Of("yyyy'-'MM'-'dd"),
            'D' or 'x' => Of("MM'/'dd'/'yy"),
            'T' or 'X' => Of("HH':'mm':'ss"),
            'R' => Of("HH':'mm"),
            'c' => $"{Of("ddd MMM")} {Number(time.Day, "0").PadLeft(2)} {Of("HH':'mm':'ss yyyy")}",
            's' => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            'z' or 'Z' => string.Empty,
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            _ => null,
        };
    }
}
