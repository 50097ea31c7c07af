using Sluice.Server.Configuration;

namespace Sluice.Cli.Bench;

/// <summary>What an answer has to keep to be counted as good; a limit that is null is not asked for.</summary>
/// <param name="FirstToken">From the request to the first content.</param>
/// <param name="PerToken">Mean over the tokens after the first.</param>
/// <param name="Whole">From the request to the end.</param>
/// <param name="Text">As it was written.</param>
internal sealed record GoodputLimits(TimeSpan? FirstToken, TimeSpan? PerToken, TimeSpan? Whole, string Text)
{
    /// <summary>Reads <c>ttft:500ms,tpot:50ms,e2e:10s</c>, one or more of them.</summary>
    /// <returns>Null when it is not that.</returns>
    public static GoodputLimits? Parse(string text)
    {
        var limits = new GoodputLimits(null, null, null, text);
        foreach (var part in text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var colon = part.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0 || Duration.Parse(part[(colon + 1)..]) is not { } time) return null;
            switch (part[..colon])
            {
                case "ttft": limits = limits with { FirstToken = time }; break;
                case "tpot": limits = limits with { PerToken = time }; break;
                case "e2e": limits = limits with { Whole = time }; break;
                default: return null;
            }
        }
        return limits is { FirstToken: null, PerToken: null, Whole: null } ? null : limits;
    }

    /// <summary>Whether a complete answer keeps all of them.</summary>
    public bool AreKeptBy(StreamOutcome outcome) =>
        !(outcome.FirstToken > FirstToken || outcome.PerToken > PerToken || outcome.Whole > Whole);
}
