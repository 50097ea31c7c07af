using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Transport;

namespace Sluice.Server.Upstreams;

/// <summary>Sends over plain TCP by the hub's own HTTP/1.1, with the same headers as a message of the platform would have.</summary>
internal sealed class DirectClient : UpstreamClient
{
    private readonly WireClient _wires;
    private readonly string _authority;

    // What is sent when a client's request adds nothing: that hardly ever changes.
    private readonly ConcurrentDictionary<(Uri Target, string Accept), byte[]> _heads = new();

    /// <param name="address">An address of the server.</param>
    /// <param name="timeouts">How long a connection may take.</param>
    /// <param name="limits">Bounds and lifetimes.</param>
    /// <param name="time">Clock of the lifetimes.</param>
    /// <param name="usesReactor">Whether the reactor waits for its sockets.</param>
    public DirectClient(Uri address, RouteTimeouts timeouts, Limits limits, TimeProvider time, bool usesReactor)
    {
        _authority = address.Authority;
        _wires = new WireClient(address.IdnHost, address.Port, timeouts.Connect, limits, time, usesReactor);
    }

    public override async Task<ServerReply> SendAsync(ServerCall call, Func<ServerCall, HttpRequestMessage> createRequest, CancellationToken cancellation)
    {
        // A redirect stays with the server, or it isn't followed.
        if (!string.Equals(call.Target.Authority, _authority, StringComparison.OrdinalIgnoreCase)) throw new HttpRequestException($"{call.Target.Authority} is another server.");
        var head = call.Headers.Count == 0 && !Tracing.IsForwarded ? FindHead(call, createRequest) : CreateHead(call, createRequest);
        return new Reply(await _wires.SendAsync(head, call.Body, cancellation));
    }

    protected override void Dispose(bool disposing)
    {
        _wires.Dispose();
        base.Dispose(disposing);
    }

    private byte[] FindHead(ServerCall call, Func<ServerCall, HttpRequestMessage> createRequest)
    {
        var key = (call.Target, call.Accept);
        if (_heads.TryGetValue(key, out var head)) return head;
        head = CreateHead(call, createRequest);
        // There are two for each of its few endpoints, and redirects may make more.
        if (_heads.Count < 64) _heads[key] = head;
        return head;
    }

    private static byte[] CreateHead(ServerCall call, Func<ServerCall, HttpRequestMessage> createRequest)
    {
        using var request = createRequest(call);
        var text = new StringBuilder($"POST {call.Target.PathAndQuery} HTTP/1.1\r\n");
        if (request.Headers.Host is null) text.Append("Host: ").Append(call.Target.IdnHost.Contains(':') ? $"[{call.Target.IdnHost}]" : call.Target.IdnHost)
            .Append(call.Target.IsDefaultPort ? "" : $":{call.Target.Port}").Append("\r\n");
        foreach (var (name, values) in request.Headers.NonValidated.Concat(request.Content!.Headers.NonValidated))
        {
            // Its own are those of the connection and of the body.
            if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) || name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase)
                || name.Equals("Connection", StringComparison.OrdinalIgnoreCase)) continue;
            text.Append(name).Append(": ").Append(values.ToString()).Append("\r\n");
        }
        // Values of a client's headers are bytes, and each stays the character of its number.
        return Encoding.Latin1.GetBytes(text.ToString());
    }

    private sealed class Reply(WireReply reply) : ServerReply
    {
        public override HttpStatusCode Status => (HttpStatusCode)reply.Status;

        public override string? Find(string name) => reply.Find(name);

        public override ValueTask<Stream> OpenAsync(CancellationToken cancellation) => new(reply);

        protected override void Dispose(bool disposing) => reply.Dispose();
    }
}
