using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Endpoints;

namespace Sluice.Server;

/// <summary>Puts the hub's paths among those of an application: at its root, or below a group's prefix.</summary>
public static class SluiceEndpoints
{
    /// <summary>Answers <c>/v1/…</c>; everything else stays the application's.</summary>
    /// <param name="endpoints">The application's, or those of a group.</param>
    /// <returns>Takes what is to apply to all of them: authorization, filters, CORS, rate limits.</returns>
    public static IEndpointConventionBuilder MapSluice(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        endpoints.ServiceProvider.GetRequiredService<HostFit>().CheckConnections();
        return endpoints.Map($"{ApiDispatcher.ApiPath}/{{**{ApiDispatcher.RestOfPath}}}", Dispatcher(endpoints).InvokeMappedAsync);
    }

    /// <summary>Answers Ollama's own API below <c>/api</c>, at those paths that the hub serves, for editors and home automation.</summary>
    /// <param name="endpoints">As for <see cref="MapSluice"/>.</param>
    public static IEndpointConventionBuilder MapSluiceOllama(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        endpoints.ServiceProvider.GetRequiredService<HostFit>().CheckConnections();
        var dispatcher = Dispatcher(endpoints);
        var group = endpoints.MapGroup("");
        foreach (var path in OllamaEndpoint.Paths) group.Map(path, context => dispatcher.InvokeAsync(context, path));
        return group;
    }

    /// <summary>Answers <c>/healthz</c> and <c>/readyz</c>, to anybody: whether the hub lives, and whether it can answer.</summary>
    /// <param name="endpoints">As for <see cref="MapSluice"/>.</param>
    public static IEndpointConventionBuilder MapSluiceHealth(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var dispatcher = Dispatcher(endpoints);
        var group = endpoints.MapGroup("");
        foreach (var path in (string[])[ApiDispatcher.HealthPath, ApiDispatcher.ReadinessPath])
            group.Map(path, context => dispatcher.InvokeAsync(context, path));
        return group;
    }

    /// <summary>Answers <c>/metrics</c>, for Prometheus, with a key where keys are set.</summary>
    /// <param name="endpoints">As for <see cref="MapSluice"/>.</param>
    public static IEndpointConventionBuilder MapSluiceMetrics(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var dispatcher = Dispatcher(endpoints);
        return endpoints.Map(ApiDispatcher.MetricsPath, context => dispatcher.InvokeAsync(context, ApiDispatcher.MetricsPath));
    }

    private static ApiDispatcher Dispatcher(IEndpointRouteBuilder endpoints) =>
        endpoints.ServiceProvider.GetRequiredService<ApiDispatcher>();
}
