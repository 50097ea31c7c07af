using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Sluice.Server.Upstreams;

// Prompts that the server counts itself.
internal sealed partial class HttpUpstream : ITokenCounter
{
    public async Task<TokenCount> CountAsync(TokenQuestion question, CancellationToken cancellation)
    {
        if (Dialect.CountEndpoint is not { } endpoint) return default;
        var body = new ArrayBufferWriter<byte>(question.Client.Body.Length + 128);
        if (Dialect.WriteCountBody(question, _reasoning.IsTaken ? _origin : "", body) is { } refused) return new TokenCount(null, refused);
        // What only a server of the client's own API understands.
        var unknown = question.Client.Dialect.Name == Dialect.Wire ? [] : question.Client.Dialect.PassedHeaders;
        var headers = question.Headers.Where(header => !unknown.Contains(header.Key));
        using var deadline = new CancellationTokenSource(Timeouts.FirstToken, Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            using var request = CreateRequest(endpoint, body.WrittenMemory, "application/json", headers);
            using var response = await Http.SendAsync(request, both.Token);
            await response.Content.LoadIntoBufferAsync(Limits.ErrorBodyBytes, both.Token);
            var content = await response.Content.ReadAsByteArrayAsync(both.Token);
            if (response.IsSuccessStatusCode) return Read(content);
            // What is wrong with the request would be wrong with the answer's too; anything else says nothing of it.
            return response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge
                ? new TokenCount(null, UpstreamFailure.FromStatus(response.StatusCode, response.Headers, content, Options, Time).Error)
                : default;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException or InvalidOperationException
            || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return default;
        }
    }

    private static TokenCount Read(byte[] content)
    {
        using var document = JsonDocument.Parse(content);
        return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("input_tokens"u8, out var tokens)
            && tokens.ValueKind == JsonValueKind.Number && tokens.TryGetInt32(out var count) && count >= 0
            ? new TokenCount(count, null)
            : default;
    }

    private HttpRequestMessage CreateRequest(Uri target, ReadOnlyMemory<byte> body, string accept, IEnumerable<KeyValuePair<string, string>> headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, target)
        {
            Content = new ReadOnlyMemoryContent(body),
            // Over TLS both sides agree on HTTP/2 where they can; without it there is HTTP/1.1.
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.ParseAdd(accept);
        request.Headers.UserAgent.Add(s_agent);
        // A compressed stream comes in blocks, not in tokens.
        request.Headers.AcceptEncoding.ParseAdd("identity");
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        Telemetry.Tracing.Forward(request);
        Dialect.AddHeaders(request.Headers);
        foreach (var (name, value) in Options.Headers)
        {
            request.Headers.Remove(name);
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return request;
    }
}
