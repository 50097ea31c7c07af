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
        IReadOnlyList<KeyValuePair<string, string>> headers = [.. question.Headers.Where(header => !unknown.Contains(header.Key))];
        using var deadline = new CancellationTokenSource(Timeouts.FirstToken, Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            using var reply = await Client.SendAsync(new ServerCall(endpoint, body.WrittenMemory, "application/json", headers), CreateRequest, both.Token);
            var content = await ReadAsync(reply, both.Token);
            if (reply.IsSuccess) return Read(content);
            // What is wrong with the request would be wrong with the answer's too; anything else says nothing of it.
            return reply.Status is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge
                ? new TokenCount(null, UpstreamFailure.FromStatus(reply, content, Options, Time).Error)
                : default;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException or InvalidOperationException
            || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return default;
        }
    }

    private async Task<byte[]> ReadAsync(ServerReply reply, CancellationToken cancellation)
    {
        var stream = await reply.OpenAsync(cancellation);
        var content = new MemoryStream();
        var buffer = new byte[4 << 10];
        while (await stream.ReadAsync(buffer, cancellation) is > 0 and var count)
        {
            if (content.Length + count > Limits.ErrorBodyBytes) throw new HttpRequestException("The reply is too long.");
            content.Write(buffer, 0, count);
        }
        return content.ToArray();
    }

    private static TokenCount Read(byte[] content)
    {
        using var document = JsonDocument.Parse(content);
        return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("input_tokens"u8, out var tokens)
            && tokens.ValueKind == JsonValueKind.Number && tokens.TryGetInt32(out var count) && count >= 0
            ? new TokenCount(count, null)
            : default;
    }

    private HttpRequestMessage CreateMessage(ServerCall call)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, call.Target)
        {
            Content = new ReadOnlyMemoryContent(call.Body),
            // Over TLS both sides agree on HTTP/2 where they can; without it there is HTTP/1.1.
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.ParseAdd(call.Accept);
        request.Headers.UserAgent.Add(s_agent);
        // A compressed stream comes in blocks, not in tokens.
        request.Headers.AcceptEncoding.ParseAdd("identity");
        foreach (var (name, value) in call.Headers) request.Headers.TryAddWithoutValidation(name, value);
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
