using System.Globalization;
using System.Text.RegularExpressions;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Upstreams;

/// <summary>When an upstream wants to be asked again, wherever it says so.</summary>
internal static partial class RetryTime
{
    // Beyond that a number is a date, or nonsense.
    private static readonly TimeSpan s_max = TimeSpan.FromDays(7);

    /// <summary>Null where it doesn't say, or the time is over.</summary>
    /// <param name="reply">Says it in its head.</param>
    /// <param name="error">What the body says.</param>
    /// <param name="now">For dates.</param>
    public static TimeSpan? Read(ServerReply reply, ApiError error, DateTimeOffset now)
    {
        if (reply.Find("retry-after-ms") is { } exact && Number(exact) is { } milliseconds) return Bound(TimeSpan.FromMilliseconds(milliseconds));
        if (reply.Find("Retry-After") is { } text)
        {
            if (Number(text) is { } seconds) return Bound(TimeSpan.FromSeconds(seconds));
            if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date)) return Bound(date - now);
        }
        return FromLimits(reply, now) ?? FromWords(error);
    }

    // Only of the limit that is used up: the others' resets say nothing.
    private static TimeSpan? FromLimits(ServerReply reply, DateTimeOffset now)
    {
        TimeSpan? longest = null;
        foreach (var kind in (ReadOnlySpan<string>)["", "-requests", "-tokens", "-input-tokens", "-output-tokens"])
        {
            foreach (var family in (ReadOnlySpan<string>)["x-ratelimit", "anthropic-ratelimit"])
            {
                var (remainingName, resetName) = family == "x-ratelimit"
                    ? ($"{family}-remaining{kind}", $"{family}-reset{kind}")
                    : ($"{family}{kind}-remaining", $"{family}{kind}-reset");
                if (reply.Find(remainingName) is not { } remaining || Number(remaining) is not 0) continue;
                if (reply.Find(resetName) is not { } reset || Parse(reset, now) is not { } time) continue;
                if (longest is null || time > longest) longest = time;
            }
        }
        return longest;
    }

    // Google tells it in the body alone, and others in a sentence.
    private static TimeSpan? FromWords(ApiError error)
    {
        var match = error.Details is { } details ? Delay().Match(details) : Match.Empty;
        if (!match.Success) match = Sentence().Match(error.Message);
        if (!match.Success) return null;
        return Duration(match.Groups[1].Value);
    }

    // Seconds, a duration such as 1m30.5s, a date, or a moment in seconds or milliseconds since 1970.
    private static TimeSpan? Parse(string text, DateTimeOffset now)
    {
        if (Number(text) is { } number)
        {
            if (number > 100_000_000_000) return Bound(DateTimeOffset.FromUnixTimeMilliseconds((long)number) - now);
            return number > 1_000_000_000 ? Bound(DateTimeOffset.FromUnixTimeSeconds((long)number) - now) : Bound(TimeSpan.FromSeconds(number));
        }
        if (Duration(text) is { } duration) return duration;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) ? Bound(date - now) : null;
    }

    private static TimeSpan? Duration(string text)
    {
        var total = TimeSpan.Zero;
        var matches = Part().Matches(text);
        if (matches.Count == 0 || matches.Sum(static match => match.Length) != text.Length) return null;
        foreach (Match match in matches)
        {
            var value = Number(match.Groups[1].Value) ?? 0;
            total += match.Groups[2].Value switch
            {
                "ms" => TimeSpan.FromMilliseconds(value),
                "m" => TimeSpan.FromMinutes(value),
                "h" => TimeSpan.FromHours(value),
                "d" => TimeSpan.FromDays(value),
                _ => TimeSpan.FromSeconds(value),
            };
        }
        return Bound(total);
    }

    private static TimeSpan? Bound(TimeSpan time) => time > TimeSpan.Zero && time <= s_max ? time : null;

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number < 1e15 ? number : null;

    // As it came: the typed header refuses fractions.

    [GeneratedRegex(@"""retryDelay""\s*:\s*""([0-9.]+s)""")]
    private static partial Regex Delay();

    [GeneratedRegex(@"(?:try again|retry) (?:in|after) ((?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+)", RegexOptions.IgnoreCase)]
    private static partial Regex Sentence();

    [GeneratedRegex("([0-9]+(?:\\.[0-9]+)?)(ms|s|m|h|d)")]
    private static partial Regex Part();
}
