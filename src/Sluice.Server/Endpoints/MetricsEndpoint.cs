using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Endpoints;

/// <summary><c>GET /metrics</c>: everything that was measured since the start, for Prometheus.</summary>
internal sealed class MetricsEndpoint(PrometheusText metrics)
{
    public async Task WriteAsync(HttpContext context)
    {
        var text = Encoding.UTF8.GetBytes(metrics.Write());
        context.Response.ContentType = PrometheusText.ContentType;
        context.Response.ContentLength = text.Length;
        if (HttpMethods.IsGet(context.Request.Method)) await context.Response.BodyWriter.WriteAsync(text, context.RequestAborted);
    }
}
