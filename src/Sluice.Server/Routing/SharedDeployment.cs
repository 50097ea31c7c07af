using Sluice.Server.Configuration;

namespace Sluice.Server.Routing;

/// <summary>
/// The deployment of an upstream, which outlives its configuration as long as the next one names it in the same words. The routers that
/// have it count; with the last of them its connections close.
/// </summary>
/// <param name="modelId">Of the model that it answers for.</param>
/// <param name="options">What the configuration says about it.</param>
/// <param name="timeouts">Those of its model.</param>
/// <param name="deployment">What is shared.</param>
/// <param name="connections">Disposed at the end.</param>
internal sealed class SharedDeployment(string modelId, UpstreamOptions options, RouteTimeouts timeouts, Deployment deployment, IDisposable connections)
{
    private int _holderCount = 1;

    public Deployment Deployment => deployment;

    /// <summary>Whether it would be made again just as it is.</summary>
    public bool IsFor(string id, UpstreamOptions other, RouteTimeouts otherTimeouts) =>
        id == modelId && otherTimeouts == timeouts && other with { Headers = options.Headers } == options && HasSameHeaders(other);

    /// <summary>Whether it is the same server, asked in another way: what is known of its health holds.</summary>
    public bool IsSameServer(string id, UpstreamOptions other) =>
        id == modelId
        && (other.Url, other.Kind, other.ApiKey, other.Model, other.Deployment) == (options.Url, options.Kind, options.ApiKey, options.Model, options.Deployment);

    /// <summary>Whether the same server gets the same key from both, for whatever model.</summary>
    public bool SendsKeyOf(UpstreamOptions other) => other.Url == options.Url && other.ApiKey == options.ApiKey && HasSameHeaders(other);

    /// <summary>For one more router. The caller knows one that has it and isn't disposed.</summary>
    public SharedDeployment Hold()
    {
        Interlocked.Increment(ref _holderCount);
        return this;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _holderCount) == 0) connections.Dispose();
    }

    private bool HasSameHeaders(UpstreamOptions other) =>
        other.Headers.Count == options.Headers.Count
        && other.Headers.All(header => options.Headers.TryGetValue(header.Key, out var value) && value == header.Value);
}
