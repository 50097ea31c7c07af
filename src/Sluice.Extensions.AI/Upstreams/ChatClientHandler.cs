using System.Net;
using System.Text;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Sluice.Extensions.AI.Upstreams;

/// <summary>Answers the chat completions that the hub asks an upstream for with a chat client of the application. The client stays the application's.</summary>
/// <param name="client">Answers.</param>
/// <param name="time">Dates the answers.</param>
/// <param name="logger">Told of failures: their words are the application's, and no client of the hub sees them.</param>
internal sealed partial class ChatClientHandler(IChatClient client, TimeProvider time, ILogger<ChatClientHandler> logger) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri?.AbsolutePath.EndsWith("/chat/completions", StringComparison.Ordinal) != true)
            return Replies.Error(request, HttpStatusCode.NotFound, "This model of the application answers chat completions only.");
        var body = await request.Content!.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        if (!ChatRequestReader.TryRead(body, out var asked, out var problem)) return Replies.Error(request, HttpStatusCode.BadRequest, problem);
        try
        {
            if (asked.IsStream) return await StreamAsync(request, asked, cancellationToken).ConfigureAwait(false);
            var answer = await client.GetResponseAsync(asked.Messages, asked.Options, cancellationToken).ConfigureAwait(false);
            return Replies.Json(request, HttpStatusCode.OK, ChatAnswerWriter.WriteWhole(answer, asked.Model, time.GetUtcNow()));
        }
#pragma warning disable CA1031 // Whatever an application's client throws is a failure of this upstream, and the hub knows what to do then.
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
#pragma warning restore CA1031
        {
            LogFailed(exception, asked.Model);
            return exception is HttpRequestException { StatusCode: { } status }
                ? Replies.Error(request, status, exception.Message)
                : Replies.Error(request, HttpStatusCode.InternalServerError, $"The application's chat client failed: {exception.GetType().Name}.");
        }
    }

    // A failure before anything was said is a status, so the first piece is waited for.
    private async Task<HttpResponseMessage> StreamAsync(HttpRequestMessage request, AskedChat asked, CancellationToken cancellation)
    {
        var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var updates = client.GetStreamingResponseAsync(asked.Messages, asked.Options, ended.Token).GetAsyncEnumerator(ended.Token);
        try
        {
            var hasFirst = await updates.MoveNextAsync().ConfigureAwait(false);
            var writer = new ChatAnswerWriter(asked.Model, time.GetUtcNow());
            var stream = new PulledStream(() => PullAsync(updates, writer, asked.Model), hasFirst ? writer.Write(updates.Current) : writer.WriteEnd(), isWhole: !hasFirst, ended.CancelAsync, async () =>
            {
                await updates.DisposeAsync().ConfigureAwait(false);
                ended.Dispose();
            });
            return Replies.Stream(request, stream);
        }
        catch
        {
            await updates.DisposeAsync().ConfigureAwait(false);
            ended.Dispose();
            throw;
        }
    }

    // What the next update says; empty at the end, which the writer has then written.
    private async ValueTask<(ReadOnlyMemory<byte> Bytes, bool IsLast)> PullAsync(IAsyncEnumerator<ChatResponseUpdate> updates, ChatAnswerWriter writer, string model)
    {
        try
        {
            return await updates.MoveNextAsync().ConfigureAwait(false) ? (writer.Write(updates.Current), false) : (writer.WriteEnd(), true);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogFailed(exception, model);
            throw new HttpIOException(HttpRequestError.ResponseEnded, "The application's chat client broke its answer off.", exception);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "The application's chat client for {Model} failed.")]
    private partial void LogFailed(Exception exception, string model);

    /// <summary>Responses of this upstream.</summary>
    internal static class Replies
    {
        public static HttpResponseMessage Json(HttpRequestMessage request, HttpStatusCode status, ReadOnlyMemory<byte> body)
        {
            var content = new ReadOnlyMemoryContent(body);
            content.Headers.ContentType = new("application/json");
            return new HttpResponseMessage(status) { RequestMessage = request, Content = content };
        }

        public static HttpResponseMessage Error(HttpRequestMessage request, HttpStatusCode status, string message) =>
            Json(request, status, ChatAnswerWriter.WriteError(message, status));

        public static HttpResponseMessage Stream(HttpRequestMessage request, Stream body)
        {
            var content = new StreamContent(body);
            content.Headers.ContentType = new("text/event-stream") { CharSet = Encoding.UTF8.WebName };
            return new HttpResponseMessage(HttpStatusCode.OK) { RequestMessage = request, Content = content };
        }
    }
}
