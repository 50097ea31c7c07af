using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>
/// The headers of a client that upstreams get: those about the request, never those about who the client is. Its key, its cookies and
/// its organisation belong to the hub.
/// </summary>
internal static class ForwardedHeaders
{
    private static readonly string[] s_allowed = ["OpenAI-Beta", "X-Client-Request-Id", "HTTP-Referer", "X-Title", "traceparent", "tracestate", "baggage"];

    // Of all of them. Servers commonly take 8 KiB, and one that takes less than a client sends must not count as broken.
    private const int BytesMax = 4 << 10;

    /// <summary>Each character of a value is a byte, as it came. What HTTP does not allow in a value is left out, and so is what is too long.</summary>
    /// <param name="request">Of the client.</param>
    /// <param name="more">Names of others that its dialect has.</param>
    public static IReadOnlyList<KeyValuePair<string, string>> Of(HttpRequest request, IReadOnlyList<string> more)
    {
        var headers = new List<KeyValuePair<string, string>>();
        var rest = BytesMax;
        foreach (var name in s_allowed.Concat(more))
        {
            if (!request.Headers.TryGetValue(name, out var values) || values.ToString() is not { Length: > 0 } value) continue;
            if (!Ascii.IsValid(value)) value = ToBytes(value, name, request);
            if (!HeaderText.IsSendable(value) || name.Length + value.Length > rest) continue;
            rest -= name.Length + value.Length;
            headers.Add(new(name, value));
        }
        return headers;
    }

    // The application's server may have made characters of the bytes.
    private static string ToBytes(string value, string name, HttpRequest request)
    {
        var kestrel = request.HttpContext.RequestServices?.GetService<IOptions<KestrelServerOptions>>()?.Value;
        var encoding = kestrel?.RequestHeaderEncodingSelector(name) ?? Encoding.UTF8;
        return Encoding.Latin1.GetString(encoding.GetBytes(value));
    }
}
