using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Sluice.Server.Configuration;

namespace Sluice.Server.Access;

/// <summary>
/// Which web pages may read answers (CORS): those on this machine, those of the hub's own origin, and those configured; and, on loopback, the
/// pages that programs of this machine carry themselves.
/// </summary>
internal sealed class CrossOrigin
{
    private const string ExposedHeaders = "x-request-id, openai-processing-ms, openai-version, retry-after, x-should-retry, sluice-stream-id, sluice-stream-attempt, content-location, "
        + "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
        + "x-ratelimit-reset-tokens, retry-after-ms, sluice-budget-remaining, sluice-budget-warning, sluice-cache";
    private const string AllowedMethods = "GET, POST, DELETE, OPTIONS";

    // Schemes that a program registers for files of its own: Visual Studio Code's views, desktop programs built on Electron, and on Tauri.
    // No page of the web can have them as its origin.
    private static readonly string[] s_programSchemes = ["vscode-webview://", "vscode-file://", "app://", "tauri://"];

    private readonly HashSet<string> _origins;

    public CrossOrigin(SluiceOptions options) => _origins = new HashSet<string>(options.CorsOrigins, StringComparer.OrdinalIgnoreCase);

    /// <summary>Adds the headers that let the page read the answer, if it may.</summary>
    /// <returns>False when the request comes from a page that may not.</returns>
    public bool Apply(HttpContext context)
    {
        var origin = context.Request.Headers.Origin.ToString();
        if (origin.Length == 0) return true;
        context.Response.Headers.Append("Vary", "Origin");
        if (!IsAllowed(origin, context.Request)) return false;
        context.Response.Headers.AccessControlAllowOrigin = origin;
        context.Response.Headers.AccessControlExposeHeaders = ExposedHeaders;
        return true;
    }

    /// <summary>
    /// Answers a preflight. Any request header is allowed, for SDKs send many (<c>x-stainless-*</c>) and none of them is dangerous
    /// here: there are no cookies.
    /// </summary>
    public static void ApplyPreflight(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.AccessControlAllowMethods = AllowedMethods;
        headers.AccessControlMaxAge = "600";
        var requested = context.Request.Headers.AccessControlRequestHeaders;
        // Kestrel writes ASCII only.
        if (!StringValues.IsNullOrEmpty(requested) && Ascii.IsValid(requested.ToString())) headers.AccessControlAllowHeaders = requested.ToString();
        if (context.Request.Headers.ContainsKey("Access-Control-Request-Private-Network")) headers["Access-Control-Allow-Private-Network"] = "true";
    }

    private static bool IsLocal(HttpRequest request) =>
        HostNames.IsLoopback(request.Host.Host.Trim('[', ']')) && request.HttpContext.Connection.RemoteIpAddress is { } peer && IPAddress.IsLoopback(peer);

    private bool IsAllowed(string origin, HttpRequest request)
    {
        if (!Ascii.IsValid(origin)) return false;
        if (_origins.Contains("*") || _origins.Contains(origin)) return true;
        // Whatever the request says of its host has been checked before; here it must be this machine, by connection too.
        if (Array.Exists(s_programSchemes, scheme => origin.StartsWith(scheme, StringComparison.OrdinalIgnoreCase))) return IsLocal(request);
        if (!Uri.TryCreate(origin, UriKind.Absolute, out var uri) || uri.Host.Length == 0) return false;
        return HostNames.IsLoopback(uri.Host)
            || (uri.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase) && uri.Scheme.Equals(request.Scheme, StringComparison.OrdinalIgnoreCase));
    }
}
