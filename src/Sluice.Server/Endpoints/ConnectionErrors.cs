using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>
/// What Kestrel refuses itself, before there is a request: a line or headers that are not HTTP, too large, or too late. It answers with
/// a status alone and lets nobody add to that; but it says so first, by an event, and here another answer takes the place of its own,
/// with the body and the id that every error has.
/// </summary>
internal sealed partial class ConnectionErrors(RandomSource random, TimeProvider time, ILogger<ConnectionErrors> logger)
    : IObserver<KeyValuePair<string, object?>>
{
    private const string EventName = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    /// <summary>From now on, on the connections that are <see cref="Prepare"/>d.</summary>
    public static void Attach(IServiceProvider services)
    {
        var errors = services.GetRequiredService<ConnectionErrors>();
        services.GetRequiredService<DiagnosticListener>().Subscribe(errors, static (name, _, _) => name == EventName);
    }

    /// <summary>Lets the answer on an HTTP/1 connection be replaced. Under TLS it comes behind the handshake, which tells the protocol.</summary>
    public static ConnectionDelegate Prepare(ConnectionDelegate next) => connection =>
    {
        if (connection.Features.Get<ITlsApplicationProtocolFeature>()?.ApplicationProtocol.Span.SequenceEqual("h2"u8) == true) return next(connection);
        var transport = connection.Transport;
        var output = new ReplaceableOutput(transport.Output);
        connection.Transport = new Duplex(transport.Input, output);
        connection.Features.Set(output);
        return next(connection);
    };

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Value is not IFeatureCollection features || features.Get<ReplaceableOutput>() is not { } output) return;
        // Within a request it is the dispatcher's.
        if (features.Get<IHttpResponseFeature>() is not { HasStarted: false } response || response.Headers.ContainsKey("x-request-id")) return;
        if (features.Get<IBadRequestExceptionFeature>()?.Error is not BadHttpRequestException error) return;
        var id = RequestScope.NameOf(random.NextId(time.GetUtcNow()));
        LogRefused(id, error.StatusCode, error.Message);
        output.Replace(Write(id, error));
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    private ReadOnlyMemory<byte> Write(string id, BadHttpRequestException error)
    {
        var body = new ArrayBufferWriter<byte>();
        ApiErrors.UnreadableRequest(error.StatusCode, error.Message).WriteTo(body);
        var response = new ArrayBufferWriter<byte>();
        Encoding.ASCII.GetBytes(
            string.Create(
                CultureInfo.InvariantCulture,
                $"HTTP/1.1 {error.StatusCode} {ReasonPhrases.GetReasonPhrase(error.StatusCode)}\r\nContent-Type: application/json\r\nContent-Length: {body.WrittenCount}\r\nConnection: close\r\nDate: {time.GetUtcNow():r}\r\nx-request-id: {id}\r\n\r\n"),
            response);
        response.Write(body.WrittenSpan);
        return response.WrittenMemory;
    }

    [LoggerMessage(1, LogLevel.Information, "{RequestId} {Status} {Reason}")]
    private partial void LogRefused(string requestId, int status, string reason);

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
