using System.Globalization;

namespace Sluice.Server.Configuration;

/// <summary>Sizes as people write them.</summary>
internal static class ByteSize
{
    /// <summary>Reads <c>8GB</c>, <c>512 MiB</c>, or a plain number of bytes. Decimal units count in thousands, binary ones in 1024.</summary>
    public static long? Parse(string text)
    {
        var digits = 0;
        while (digits < text.Length && (char.IsAsciiDigit(text[digits]) || text[digits] == '.')) digits++;
        if (!double.TryParse(text.AsSpan(0, digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return null;
        double? unit = text[digits..].Trim().ToUpperInvariant() switch
        {
            "" or "B" => 1,
            "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            "KIB" => 1L << 10,
            "MIB" => 1L << 20,
            "GIB" => 1L << 30,
            "TIB" => 1L << 40,
            _ => null,
        };
        var bytes = number * unit;
        return bytes is >= 1 and <= long.MaxValue / 2 ? (long)bytes : null;
    }

    /// <summary>With one decimal, in decimal units: <c>1.3 GB</c>.</summary>
    public static string Format(long bytes) => bytes switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:0.0} kB"),
    };
}
