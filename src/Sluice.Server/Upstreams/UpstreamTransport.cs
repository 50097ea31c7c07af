using System.Text;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Server.Upstreams;

/// <summary>Opens the way to one upstream, which belongs to the caller.</summary>
internal delegate UpstreamClient UpstreamTransport(Uri address, RouteTimeouts timeouts, Limits limits, TimeProvider time);

/// <summary>Connections over the network.</summary>
internal static class NetworkTransport
{
    /// <summary>The <see cref="UpstreamTransport"/> of a hub.</summary>
    /// <param name="kind">Who waits for its sockets.</param>
    public static UpstreamTransport Create(TransportKind kind) => (address, timeouts, limits, time) =>
        IsDirect(address)
            ? new DirectClient(address, timeouts, limits, time, usesReactor: kind.UsesReactor())
            : new HandlerClient(CreateHandler(timeouts, limits));

    // What can be had without a proxy, TLS, and the HTTP/2 that is agreed on with it.
    private static bool IsDirect(Uri address)
    {
        if (address.Scheme != Uri.UriSchemeHttp || address.UserInfo.Length > 0) return false;
        var proxy = EnvironmentProxy.Create(Environment.GetEnvironmentVariable) ?? HttpClient.DefaultProxy;
        return proxy.IsBypassed(address) || proxy.GetProxy(address) is not { } server || server == address;
    }

    /// <summary>Connections of the platform.</summary>
    public static SocketsHttpHandler CreateHandler(RouteTimeouts timeouts, Limits limits) => new()
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
