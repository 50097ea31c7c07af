namespace Sluice.Server.Upstreams;

/// <summary>A request to an upstream's server.</summary>
/// <param name="Target">Where it goes.</param>
/// <param name="Body">JSON; needed until the reply is there.</param>
/// <param name="Accept">What is wanted, as a media type.</param>
/// <param name="Headers">Those of the client that are passed on.</param>
internal sealed record ServerCall(Uri Target, ReadOnlyMemory<byte> Body, string Accept, IReadOnlyList<KeyValuePair<string, string>> Headers);

/// <summary>The way to one upstream: its connections.</summary>
internal abstract class UpstreamClient : IDisposable
{
    /// <summary>Sends a request.</summary>
    /// <param name="call">The request.</param>
    /// <param name="createRequest">Makes it as a message, with every header that it is to have.</param>
    /// <param name="cancellation">Ends the exchange, the reading of its body too.</param>
    /// <returns>The reply, as soon as its head is there; belongs to the caller.</returns>
    /// <exception cref="HttpRequestException">There is no reply; or an <see cref="IOException"/>.</exception>
    public abstract Task<ServerReply> SendAsync(ServerCall call, Func<ServerCall, HttpRequestMessage> createRequest, CancellationToken cancellation);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }
}
