using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;

namespace Sluice.Server.Endpoints;

/// <summary>Says on a reply what is left of the caller's limits, as OpenAI's API says it. What there is no limit of is not mentioned.</summary>
internal static class LimitHeaders
{
    private const string Budget = "Sluice-Budget-Remaining";
    private const string Warning = "Sluice-Budget-Warning";

    /// <param name="headers">Not sent yet.</param>
    /// <param name="view">Of the caller.</param>
    public static void Add(IHeaderDictionary headers, in LimitView view)
    {
        if (view.Requests is { } requests) Add(headers, "requests", requests);
        if (view.Tokens is { } tokens) Add(headers, "tokens", tokens);
        if (view.Warning is { } warning)
            headers[Warning] = string.Create(CultureInfo.InvariantCulture, $"{UsedPercent(warning)}%;scope={warning.Scope}");
        if (view.Budget is { } budget)
        {
            headers[Budget] = budget.Unit == BudgetUnit.Tokens
                ? string.Create(CultureInfo.InvariantCulture, $"{budget.Remaining} tokens;scope={budget.Scope}")
                : string.Create(CultureInfo.InvariantCulture, $"{budget.Remaining / 1e9m:0.00#######} usd;scope={budget.Scope}");
        }
    }

    private static int UsedPercent(in BudgetView budget) => (int)long.Min(100, (long)((Int128)budget.Settled * 100 / long.Max(1, budget.Limit)));

    /// <summary>A time as OpenAI writes it: <c>120ms</c>, <c>1.2s</c> or <c>6m0s</c>.</summary>
    public static string Format(TimeSpan time)
    {
        if (time < TimeSpan.FromSeconds(1)) return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(time.TotalMilliseconds):0}ms");
        if (time < TimeSpan.FromMinutes(1)) return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(time.TotalSeconds * 10) / 10:0.#}s");
        var seconds = (long)Math.Ceiling(time.TotalSeconds);
        return string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}m{seconds % 60}s");
    }

    private static void Add(IHeaderDictionary headers, string what, in BucketView bucket)
    {
        headers[$"x-ratelimit-limit-{what}"] = bucket.Limit.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-remaining-{what}"] = bucket.Remaining.ToString(CultureInfo.InvariantCulture);
        headers[$"x-ratelimit-reset-{what}"] = Format(bucket.Reset);
    }
}
