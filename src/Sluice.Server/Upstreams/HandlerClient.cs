using System.Net;
using Sluice.Server.Transport;

namespace Sluice.Server.Upstreams;

/// <summary>Sends by a handler of the platform: TLS, HTTP/2, proxies, and whatever an application puts in its place.</summary>
/// <param name="handler">Sends.</param>
/// <param name="isOwned">Whether it goes with the client.</param>
internal sealed class HandlerClient(HttpMessageHandler handler, bool isOwned = true) : UpstreamClient
{
    private readonly HttpMessageInvoker _http = new(handler, isOwned);

    public override async Task<ServerReply> SendAsync(ServerCall call, Func<ServerCall, HttpRequestMessage> createRequest, CancellationToken cancellation)
    {
        // An application's handler may take its time, which is not the reactor's.
        if (!isOwned) await ReactorThread.LeaveAsync();
        using var request = createRequest(call);
        var response = await _http.SendAsync(request, cancellation);
        // It has been sent, and may be long; the response holds on to its request.
        request.Content = null;
        return new Reply(response);
    }

    protected override void Dispose(bool disposing)
    {
        _http.Dispose();
        base.Dispose(disposing);
    }

    private sealed class Reply(HttpResponseMessage response) : ServerReply
    {
        public override HttpStatusCode Status => response.StatusCode;

        public override string? Find(string name) =>
            response.Headers.NonValidated.TryGetValues(name, out var values) || response.Content.Headers.NonValidated.TryGetValues(name, out values)
                ? values.ToString().Trim()
                : null;

        public override async ValueTask<Stream> OpenAsync(CancellationToken cancellation) => await response.Content.ReadAsStreamAsync(cancellation);

        protected override void Dispose(bool disposing) => response.Dispose();
    }
}
