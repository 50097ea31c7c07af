using System.Collections.Concurrent;
using System.Net;

namespace Sluice.Client;

/// <summary>
/// Under this handler an answer of Sluice outlives its connection, and the application sees one stream. It works with every <see cref="HttpClient"/>, that
/// of the official OpenAI package among them; for one client or many, from any thread.
/// </summary>
/// <remarks>
/// It acts on POSTs to <c>…/chat/completions</c> only, and goes on only with what a Sluice has begun: a response with the header <c>Sluice-Stream-Id</c>.
/// Where a stream can't be gone on with, the error is the one that broke it off. A stream that is disposed before its end is cancelled at the hub,
/// unless the request has an <c>Idempotency-Key</c> or a <c>Sluice-On-Disconnect</c> of its own. Synchronous calls wait for asynchronous ones.
/// </remarks>
public sealed class ResumingHandler : DelegatingHandler
{
    private readonly ConcurrentDictionary<string, byte> _known = new(StringComparer.Ordinal);
    private readonly UnansweredKeys _unanswered = new();

    /// <summary>Sends requests over a <see cref="SocketsHttpHandler"/> of its own.</summary>
    public ResumingHandler()
        : this(new SocketsHttpHandler { AutomaticDecompression = DecompressionMethods.All })
    {
    }

    /// <summary>Sends requests over another handler.</summary>
    /// <param name="inner">Disposed with this one.</param>
    public ResumingHandler(HttpMessageHandler inner)
        : base(inner)
    {
    }

    /// <summary>Attempts without a further event. The default value is 12.</summary>
    public int AttemptsMax { get; init; } = 12;

    /// <summary>Time without a further event after which nothing more is tried, waits included. The default value is 60 s.</summary>
    public TimeSpan TimeMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The first wait, which doubles up to 5 s; up to a half of each is left out at random. The default value is 100 ms.</summary>
    public TimeSpan PauseFirst { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>A stream without a byte for so long counts as dropped. The default value is 40 s: a hub sends something every 15 s.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(40);

    /// <summary>The clock of all this. The default value is the system's.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
        Exchange.IsChat(request) ? SendAsync(request, cancellationToken).GetAwaiter().GetResult() : base.Send(request, cancellationToken);

    /// <inheritdoc/>
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (!Exchange.IsChat(request)) return await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var body = await request.Content!.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        var origin = request.RequestUri!.GetLeftPart(UriPartial.Authority);
        var exchange = new Exchange(this, request, body, _unanswered);
        for (var pause = TimeSpan.Zero; ;)
        {
            try
            {
                if (pause > TimeSpan.Zero) await Task.Delay(pause, Time, cancellationToken).ConfigureAwait(false);
                var response = await SendInnerAsync(exchange.CreateRequest(), cancellationToken).ConfigureAwait(false);
                if (Exchange.IdOf(response) is not { } id) return Answer(request, response);
                _known.TryAdd(origin, 0);
                if (response.Content.Headers.ContentType?.MediaType != "text/event-stream" || response.Content.Headers.ContentEncoding.Count > 0)
                {
                    // A body that breaks off is asked for again, as long as nobody has seen a part of it.
                    if (response.Content.Headers.ContentEncoding.Count == 0) await response.Content.LoadIntoBufferAsync(cancellationToken).ConfigureAwait(false);
                    return Answer(request, response);
                }
                var first = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
                var content = new StreamContent(new ResumingStream(exchange, id, response, first));
                foreach (var (name, values) in response.Content.Headers) content.Headers.TryAddWithoutValidation(name, values);
                var answer = new HttpResponseMessage(response.StatusCode) { Content = content, Version = response.Version, ReasonPhrase = response.ReasonPhrase };
                foreach (var (name, values) in response.Headers) answer.Headers.TryAddWithoutValidation(name, values);
                return Answer(request, answer);
            }
            catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
            {
                var isKnown = _known.ContainsKey(origin);
                var isDrop = error is not (OperationCanceledException or HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError });
                if (isKnown && isDrop && exchange.NextPause() is { } next)
                {
                    pause = next;
                    continue;
                }
                _unanswered.Keep(exchange, cancels: isKnown && cancellationToken.IsCancellationRequested);
                throw;
            }
        }
    }

    internal Task<HttpResponseMessage> SendInnerAsync(HttpRequestMessage request, CancellationToken cancellation) => base.SendAsync(request, cancellation);

    private static HttpResponseMessage Answer(HttpRequestMessage request, HttpResponseMessage response)
    {
        response.RequestMessage = request;
        return response;
    }
}
