using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Tests.Server.Telemetry;

/// <summary>What one <c>GET /metrics</c> says: values by name and labels, as they stand there.</summary>
internal sealed partial class Scrape
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly Dictionary<string, double> _values = new(StringComparer.Ordinal);

    private Scrape(string text)
    {
        Text = text;
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("# ", StringComparison.Ordinal)) continue;
            var match = Sample().Match(line);
            if (!match.Success) throw new FormatException($"This is no sample: {line}");
            _values.Add(match.Groups["series"].Value, double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture));
        }
    }

    public string Text { get; }

    /// <summary>The sum of all series of that name that have all those labels; null when there is none.</summary>
    public double? Sum(string name, params string[] labels)
    {
        var found = _values.Where(value => (value.Key == name || value.Key.StartsWith(name + "{", StringComparison.Ordinal))
            && labels.All(label => value.Key.Contains(label, StringComparison.Ordinal))).ToList();
        return found.Count == 0 ? null : found.Sum(value => value.Value);
    }

    public static async Task<Scrape> GetAsync(HttpClient http) => new(await http.GetStringAsync("/metrics"));

    /// <summary>Asks until nothing is in flight: a request is counted after its last byte.</summary>
    public static async Task<Scrape> WhenIdleAsync(HttpClient http)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (true)
        {
            var scrape = await GetAsync(http);
            if (scrape.Sum("sluice_requests_in_flight") is null or 0) return scrape;
            patience.Token.ThrowIfCancellationRequested();
        }
    }

    // The text format's own grammar of a sample without a time.
    [GeneratedRegex("""^(?<series>[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*",?)*\})?) (?<value>[-+]?([0-9.]+(E[-+]?[0-9]+)?|Inf|NaN))$""")]
    private static partial Regex Sample();
}
