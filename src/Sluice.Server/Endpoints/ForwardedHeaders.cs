using Microsoft.AspNetCore.Http;

namespace Sluice.Server.Endpoints;

/// <summary>
/// The headers of a client that upstreams get: those about the request, never those about who the client is. Its key, its cookies and
/// its organisation belong to the hub.
/// </summary>
internal static class ForwardedHeaders
{
    private static readonly string[] s_allowed = ["OpenAI-Beta", "X-Client-Request-Id", "HTTP-Referer", "X-Title", "traceparent", "tracestate", "baggage"];

    public static IReadOnlyList<KeyValuePair<string, string>> Of(HttpRequest request)
    {
        var headers = new List<KeyValuePair<string, string>>();
        foreach (var name in s_allowed)
        {
            if (request.Headers.TryGetValue(name, out var values) && values.ToString() is { Length: > 0 } value) headers.Add(new(name, value));
        }
        return headers;
    }
}
