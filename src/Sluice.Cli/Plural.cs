using System.Globalization;

namespace Sluice.Cli;

/// <summary>Counts with their noun.</summary>
internal static class Plural
{
    /// <summary><c>1 model</c>, <c>2 models</c>.</summary>
    public static string Of(long count, string noun) => string.Create(CultureInfo.InvariantCulture, $"{count} {noun}{(count == 1 ? "" : "s")}");
}
