using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Endpoints;

/// <summary>What a request for usage asks for, in the words of OpenAI's API: half-open intervals of Unix seconds.</summary>
/// <param name="Start">Of the first bucket.</param>
/// <param name="End">Not included.</param>
/// <param name="Width">Seconds of a bucket: 60, 3600 or 86400.</param>
/// <param name="Limit">Buckets of a page.</param>
/// <param name="Groups">Of <c>project_id</c>, <c>api_key_id</c> and <c>model</c>, which costs also call <c>line_item</c>.</param>
internal sealed record UsageQuery(long Start, long End, long Width, int Limit, IReadOnlyList<string> Groups)
{
    private static readonly string[] s_groups = ["project_id", "api_key_id", "model"];

    /// <summary>Where the page begins and ends.</summary>
    public long PageEnd => long.Min(End, Start + Limit * Width);

    /// <summary>Reads the query; a page's cursor is the start of its first bucket.</summary>
    /// <param name="query">May be anything.</param>
    /// <param name="now">Unix seconds, not over yet: the end where none is given.</param>
    /// <param name="isDaily">Whether there are days only.</param>
    public static (UsageQuery? Query, ApiError? Error) Read(IQueryCollection query, long now, bool isDaily)
    {
        var (width, usual, most) = query["bucket_width"].ToString() switch
        {
            "" or "1d" => (86_400L, 7, 31),
            "1h" when !isDaily => (3_600L, 24, 168),
            "1m" when !isDaily => (60L, 60, 1440),
            _ => (0L, 0, 0),
        };
        if (width == 0) return (null, Invalid("bucket_width", isDaily ? "1d" : "1m, 1h or 1d"));
        if (isDaily) (usual, most) = (7, 180);
        if (!TryRead(query, "start_time", null, out var start) || start is null) return (null, Invalid("start_time", "Unix seconds"));
        if (!TryRead(query, "end_time", now, out var end)) return (null, Invalid("end_time", "Unix seconds"));
        if (!TryRead(query, "limit", usual, out var limit) || limit < 1 || limit > most) return (null, Invalid("limit", $"a number from 1 to {most}"));
        if (!TryRead(query, "page", start, out var page) || page < start) return (null, Invalid("page", "the next_page of the page before"));
        List<string> groups = [.. query["group_by"].Concat(query["group_by[]"]).SelectMany(static text => (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
            .Select(group => isDaily && group == "line_item" ? "model" : group).Distinct()];
        if (groups.Exists(static group => !s_groups.Contains(group))) return (null, Invalid("group_by", string.Join(", ", s_groups)));
        return (new UsageQuery(page!.Value / width * width, end!.Value, width, (int)limit!.Value, groups), null);
    }

    private static bool TryRead(IQueryCollection query, string name, long? otherwise, out long? number)
    {
        number = otherwise;
        if (!query.TryGetValue(name, out var text)) return true;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var read) || read > uint.MaxValue) return false;
        number = read;
        return true;
    }

    private static ApiError Invalid(string name, string expected) =>
        new(400, $"Invalid value of '{name}': expected {expected}.", ApiErrors.InvalidRequestType, name, "invalid_value");
}
