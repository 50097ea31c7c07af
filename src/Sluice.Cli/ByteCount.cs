using System.Globalization;

namespace Sluice.Cli;

/// <summary>Sizes as people read them: powers of ten, three digits.</summary>
internal static class ByteCount
{
    public static string Format(long bytes) => bytes switch
    {
        < 1_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes"),
        < 1_000_000 => Scale(bytes, 1e3, "kB"),
        < 1_000_000_000 => Scale(bytes, 1e6, "MB"),
        _ => Scale(bytes, 1e9, "GB"),
    };

    private static string Scale(long bytes, double unit, string name)
    {
        var value = bytes / unit;
        return value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture) + " " + name;
    }
}
