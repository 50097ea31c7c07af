using Microsoft.AspNetCore.Http;
using Sluice.Server.Answers;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;

namespace Sluice.Server.Endpoints;

/// <summary>Whether the process lives, and whether it can answer.</summary>
internal sealed class HealthEndpoint(StartupLoad startup, ServerState server, AnswerTable answers)
{
    /// <summary><c>/healthz</c>: 200 as long as requests are answered at all, also while the store of answers fails, which is said.</summary>
    public Task WriteHealthAsync(HttpContext context) =>
        JsonReply.WriteAsync(context, answers.IsStoreDegraded ? "{\"status\":\"ok\",\"store\":\"degraded\"}"u8.ToArray() : "{\"status\":\"ok\"}"u8.ToArray());

    /// <summary><c>/readyz</c>: 200 when there is a model, the only one is loaded, and the hub isn't stopping; otherwise 503.</summary>
    public Task WriteReadinessAsync(HttpContext context, ModelCatalog catalog)
    {
        var status = server.IsStopping ? "draining" : catalog.Models.Count == 0 ? "no_models" : startup.State;
        if (status != StartupLoad.Ready) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return JsonReply.WriteAsync(context, System.Text.Encoding.UTF8.GetBytes($"{{\"status\":\"{status}\"}}"));
    }
}
