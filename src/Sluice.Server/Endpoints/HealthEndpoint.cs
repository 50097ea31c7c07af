using System.Globalization;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Answers;
using Sluice.Server.Cluster;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;

namespace Sluice.Server.Endpoints;

/// <summary>Whether the process lives, and whether it can answer.</summary>
/// <param name="startup">Knows whether the only model is loaded.</param>
/// <param name="server">Knows whether the hub stops.</param>
/// <param name="answers">Know whether their store fails.</param>
/// <param name="members">Know the cluster; null where there is none.</param>
internal sealed class HealthEndpoint(StartupLoad startup, ServerState server, AnswerTable answers, ClusterMembers? members = null)
{
    /// <summary><c>/healthz</c>: 200 as long as requests are answered at all, also while the store of answers fails, which is said.</summary>
    public Task WriteHealthAsync(HttpContext context)
    {
        var store = answers.IsStoreDegraded ? ",\"store\":\"degraded\"" : "";
        var cluster = members is null ? ""
            : string.Create(CultureInfo.InvariantCulture, $",\"cluster\":{{\"node\":\"{members.Self}\",\"nodes\":{members.AliveCount},\"lease\":\"{(members.IsLate ? "late" : "ok")}\"}}");
        return JsonReply.WriteAsync(context, System.Text.Encoding.UTF8.GetBytes($"{{\"status\":\"ok\"{store}{cluster}}}"));
    }

    /// <summary><c>/readyz</c>: 200 when there is a model, the only one is loaded, and the hub isn't stopping; otherwise 503.</summary>
    public Task WriteReadinessAsync(HttpContext context, ModelCatalog catalog)
    {
        var status = server.IsStopping ? "draining" : catalog.Models.Count == 0 ? "no_models" : startup.State;
        if (status != StartupLoad.Ready) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return JsonReply.WriteAsync(context, System.Text.Encoding.UTF8.GetBytes($"{{\"status\":\"{status}\"}}"));
    }
}
