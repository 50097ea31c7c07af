using Microsoft.AspNetCore.Http;
using Sluice.Server.Models;

namespace Sluice.Server.Endpoints;

/// <summary>Whether the process lives, and whether it can answer.</summary>
internal sealed class HealthEndpoint(StartupLoad startup)
{
    /// <summary><c>/healthz</c>: 200 as long as requests are answered at all.</summary>
    public static Task WriteHealthAsync(HttpContext context) => JsonReply.WriteAsync(context, "{\"status\":\"ok\"}"u8.ToArray());

    /// <summary><c>/readyz</c>: 200 when there is a model, and the only one is loaded; otherwise 503.</summary>
    public Task WriteReadinessAsync(HttpContext context, ModelCatalog catalog)
    {
        var status = catalog.Models.Count == 0 ? "no_models" : startup.State;
        if (status != StartupLoad.Ready) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return JsonReply.WriteAsync(context, System.Text.Encoding.UTF8.GetBytes($"{{\"status\":\"{status}\"}}"));
    }
}
