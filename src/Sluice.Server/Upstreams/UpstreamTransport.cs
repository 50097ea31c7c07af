using System.Text;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Server.Upstreams;

/// <summary>Opens the way to one upstream: its connections, which belong to the caller.</summary>
internal delegate HttpMessageHandler UpstreamTransport(RouteTimeouts timeouts, Limits limits);

/// <summary>Connections over the network.</summary>
internal static class NetworkTransport
{
    /// <summary>The <see cref="UpstreamTransport"/> of a hub.</summary>
    public static HttpMessageHandler Open(RouteTimeouts timeouts, Limits limits) => new SocketsHttpHandler
    {
        Proxy = EnvironmentProxy.Create(Environment.GetEnvironmentVariable),
        // Values of a client's headers are bytes; without it the handler throws, and the upstream would be blamed.
        RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        // Its own connections have Nagle's algorithm off.
        ConnectTimeout = timeouts.Connect,
        AllowAutoRedirect = false,
        UseCookies = false,
        EnableMultipleHttp2Connections = true,
        PooledConnectionLifetime = limits.UpstreamConnectionLifetime,
        // What is left of an aborted answer is not worth waiting for; the end of a complete one is a few bytes.
        MaxResponseDrainSize = limits.ResponseDrainBytes,
        ResponseDrainTimeout = limits.ResponseDrain,
        // The trace is continued by the attempt's own span, and where nobody traces the client's words pass as they are.
        ActivityHeadersPropagator = null,
    };
}
