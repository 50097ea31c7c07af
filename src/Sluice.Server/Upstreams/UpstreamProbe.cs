using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams.Dialects;

namespace Sluice.Server.Upstreams;

/// <summary>What an upstream answers to a question that costs nothing.</summary>
internal enum UpstreamHealth
{
    /// <summary>It answers.</summary>
    Ok,

    /// <summary>It does not accept the configured key.</summary>
    Unauthorised,

    /// <summary>It answers with a fault of its own: 5xx.</summary>
    Failing,

    /// <summary>It took the connection, and said nothing in time.</summary>
    Silent,

    /// <summary>No connection: a wrong name, nobody listening, no route.</summary>
    Unreachable,
}

/// <summary>Asks an upstream for its list of models, as nothing else of its API is free of charge. The list is not read: many servers answer to names that they don't list.</summary>
internal static class UpstreamProbe
{
    /// <summary>Never throws for what the upstream does; no secret is in the result.</summary>
    /// <param name="options">The upstream.</param>
    /// <param name="limits">How long it may take: <see cref="Limits.HealthProbe"/>.</param>
    /// <param name="time">Clock of that.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    public static async Task<UpstreamHealth> AskAsync(UpstreamOptions options, Limits limits, TimeProvider time, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(limits.HealthProbe, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        using var http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            Proxy = EnvironmentProxy.Create(Environment.GetEnvironmentVariable),
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = limits.HealthProbe,
        });
        using var request = CreateRequest(options);
        try
        {
            using var response = await http.SendAsync(request, either.Token);
            return (int)response.StatusCode switch
            {
                401 or 403 => UpstreamHealth.Unauthorised,
                >= 500 and not 501 => UpstreamHealth.Failing,
                // One that has no list of models answers all the same.
                _ => UpstreamHealth.Ok,
            };
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return UpstreamHealth.Unreachable;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return UpstreamHealth.Silent;
        }
    }

    private static HttpRequestMessage CreateRequest(UpstreamOptions options)
    {
        var dialect = UpstreamDialect.Create(options, "");
        var request = new HttpRequestMessage(HttpMethod.Get, dialect.ModelsEndpoint);
        dialect.AddHeaders(request.Headers);
        foreach (var (name, value) in options.Headers)
        {
            request.Headers.Remove(name);
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return request;
    }
}
