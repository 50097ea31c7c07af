using System.Globalization;
using System.Net;
using System.Text.Json;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;

namespace Sluice.Server.Cluster;

/// <summary>How a request to another hub went.</summary>
internal enum PeerOutcome
{
    /// <summary>It answers.</summary>
    Open,

    /// <summary>It is there, and has not got the answer; or another hub has its address.</summary>
    NotThere,

    /// <summary>Nobody answers.</summary>
    Unreachable,
}

/// <summary>An answer's events on their way from another hub.</summary>
/// <param name="response">Disposed with this.</param>
/// <param name="stream">Of the response.</param>
/// <param name="head">The first frame.</param>
/// <param name="silence">How long nothing may come.</param>
internal sealed class PeerTail(HttpResponseMessage response, Stream stream, PeerHead head, TimeSpan silence) : IDisposable
{
    /// <summary>What the answer is.</summary>
    public PeerHead Head => head;

    /// <summary>The next frame; null where the hub is gone.</summary>
    public async Task<(PeerFrameKind Kind, byte[] Bytes)?> TryReadAsync(CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(silence);
        try
        {
            return await PeerFrames.ReadAsync(stream, deadline.Token);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        stream.Dispose();
        response.Dispose();
    }
}

/// <summary>The way to the other hubs: HTTP/2 without TLS, each request signed.</summary>
/// <param name="signature">Of this hub.</param>
/// <param name="limits">Bounds.</param>
internal sealed class PeerLink(PeerSignature signature, Limits limits) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        ConnectTimeout = limits.PeerConnect,
        EnableMultipleHttp2Connections = true,
        UseProxy = false,
        AllowAutoRedirect = false,
        UseCookies = false,
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        // What waits for the network is noticed by the silence of the stream above it.
        MaxResponseDrainSize = 0,
    })
    { Timeout = Timeout.InfiniteTimeSpan };

    public void Dispose() => _http.Dispose();

    /// <summary>Whether a hub answers, and is the one that is meant.</summary>
    public async Task<bool> IsAliveAsync(ClusterNode node, CancellationToken cancellation)
    {
        using var response = await TrySendAsync(node, HttpMethod.Get, "/v1/node", cancellation);
        return response?.StatusCode == HttpStatusCode.OK;
    }

    /// <summary>Asks a hub to end an answer, or to take it away.</summary>
    public async Task<PeerOutcome> TellAsync(ClusterNode node, HttpMethod method, string path, CancellationToken cancellation)
    {
        using var response = await TrySendAsync(node, method, path, cancellation);
        return OutcomeOf(response);
    }

    /// <summary>An answer of a hub as it is now, without being counted as a reader.</summary>
    public Task<(PeerTail? Tail, PeerOutcome Outcome)> LookAsync(ClusterNode node, string id, long position, CancellationToken cancellation) =>
        OpenAsync(node, string.Create(CultureInfo.InvariantCulture, $"/v1/answers/{Uri.EscapeDataString(id)}?from={position}&look=1"), cancellation);

    /// <summary>An answer's events behind a position, as they come.</summary>
    /// <param name="node">Who makes it, or is to take it.</param>
    /// <param name="id">Of the answer.</param>
    /// <param name="position">Events that are here already.</param>
    /// <param name="takes">Whether the hub goes on with it, where nobody makes it.</param>
    /// <param name="cancellation">Gives up.</param>
    public Task<(PeerTail? Tail, PeerOutcome Outcome)> FollowAsync(ClusterNode node, string id, long position, bool takes, CancellationToken cancellation) =>
        OpenAsync(node, string.Create(CultureInfo.InvariantCulture, $"/v1/answers/{Uri.EscapeDataString(id)}?from={position}{(takes ? "&take=1" : "")}"), cancellation);

    private async Task<(PeerTail?, PeerOutcome)> OpenAsync(ClusterNode node, string target, CancellationToken cancellation)
    {
        var response = await TrySendAsync(node, HttpMethod.Get, target, cancellation);
        if (OutcomeOf(response) is not PeerOutcome.Open and var outcome)
        {
            response?.Dispose();
            return (null, outcome);
        }
        Stream? stream = null;
        try
        {
            stream = await response!.Content.ReadAsStreamAsync(cancellation);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(limits.PeerSilence);
            var (kind, bytes) = await PeerFrames.ReadAsync(stream, deadline.Token);
            if (kind == PeerFrameKind.Head) return (new PeerTail(response, stream, PeerHead.Read(bytes), limits.PeerSilence), PeerOutcome.Open);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
        }
        if (stream is not null) await stream.DisposeAsync();
        response!.Dispose();
        return (null, PeerOutcome.Unreachable);
    }

    private static PeerOutcome OutcomeOf(HttpResponseMessage? response) => response?.StatusCode switch
    {
        null => PeerOutcome.Unreachable,
        HttpStatusCode.OK => PeerOutcome.Open,
        HttpStatusCode.NotFound or HttpStatusCode.MisdirectedRequest => PeerOutcome.NotThere,
        _ => PeerOutcome.Unreachable,
    };

    private async Task<HttpResponseMessage?> TrySendAsync(ClusterNode node, HttpMethod method, string target, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(method, new Uri(new Uri(node.Url), target)) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.TryAddWithoutValidation(PeerSignature.Header, signature.Sign(method.Method, target, node.Id));
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limits.PeerSilence);
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            return null;
        }
    }
}
