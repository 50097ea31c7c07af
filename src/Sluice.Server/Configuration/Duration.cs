using System.Globalization;

namespace Sluice.Server.Configuration;

/// <summary>Durations as people write them.</summary>
internal static class Duration
{
    private static readonly TimeSpan s_max = TimeSpan.FromDays(1);

    /// <summary>Reads <c>500ms</c>, <c>5s</c>, <c>1.5 m</c> or <c>1h</c>: above 0, at most a day. The unit is required.</summary>
    public static TimeSpan? Parse(string text)
    {
        var digits = 0;
        while (digits < text.Length && (char.IsAsciiDigit(text[digits]) || text[digits] == '.')) digits++;
        if (!double.TryParse(text.AsSpan(0, digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return null;
        double? milliseconds = text[digits..].Trim() switch
        {
            "ms" => 1,
            "s" => 1_000,
            "m" or "min" => 60_000,
            "h" => 3_600_000,
            _ => null,
        } * number;
        return milliseconds > 0 && milliseconds <= s_max.TotalMilliseconds ? TimeSpan.FromMilliseconds(milliseconds.Value) : null;
    }
}
