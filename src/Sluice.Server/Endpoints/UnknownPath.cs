using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>Says that a path is not there, which one may be meant, and which there are.</summary>
internal static class UnknownPath
{
    private static readonly string[] s_own = [ApiDispatcher.ApiPath + "/models", ApiDispatcher.ApiPath + "/key", ApiDispatcher.ApiPath + "/cancel"];

    // Probes and metrics are for those who run the hub; they are meant at times, and not listed.
    private static readonly string[] s_probes = [ApiDispatcher.HealthPath, ApiDispatcher.ReadinessPath, ApiDispatcher.MetricsPath];
    private static readonly string[] s_listed = [.. Dialects.All.Select(static dialect => dialect.Path).Distinct().Concat(s_own)];
    private static readonly string[] s_known = [.. s_listed, .. OllamaEndpoint.Paths, .. s_probes];

    /// <summary>404.</summary>
    public static ApiError Refuse(string method, string path) =>
        ApiErrors.InvalidUrl(method, path, $"{(FindNear(path) is { } near ? $"Did you mean {near}? " : "")}The paths here are {string.Join(", ", s_listed)}.");

    private static string? FindNear(string path)
    {
        path = path.TrimEnd('/');
        if (path.Length is 0 or > 100) return null;
        // A base URL that has a part too many, or lacks one, still ends as it is meant.
        var tail = s_known.Where(known => path.EndsWith(known, StringComparison.OrdinalIgnoreCase)
            || (known.StartsWith(ApiDispatcher.ApiPath, StringComparison.Ordinal) && path.EndsWith(known[ApiDispatcher.ApiPath.Length..], StringComparison.OrdinalIgnoreCase)));
        return tail.MaxBy(static known => known.Length) ?? Suggestion.Find(path, s_known);
    }
}
