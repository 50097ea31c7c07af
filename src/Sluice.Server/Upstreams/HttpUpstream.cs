using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Chat.Relay;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams.Dialects;

namespace Sluice.Server.Upstreams;

/// <summary>A server that speaks OpenAI's API or, by its dialect, another. It is always asked for a stream, also where the client wants one object.</summary>
internal sealed partial class HttpUpstream : IUpstream, IDisposable
{
    private readonly HttpMessageInvoker _http;
    private readonly UpstreamDialect _dialect;
    private readonly RouteTimeouts _timeouts;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <param name="options">The server.</param>
    /// <param name="modelId">The model's id here, which is its name there unless the options say otherwise.</param>
    /// <param name="timeouts">How long is waited.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="open">Opens the way to it.</param>
    /// <param name="time">Clock of every timeout but that of the connection.</param>
    /// <param name="logger">Told of failures.</param>
    public HttpUpstream(UpstreamOptions options, string modelId, RouteTimeouts timeouts, Limits limits, UpstreamTransport open, TimeProvider time, ILogger logger)
    {
        Options = options;
        _dialect = UpstreamDialect.Create(options, modelId);
        _timeouts = timeouts;
        _limits = limits;
        _time = time;
        _logger = logger;
        Identity = new UpstreamIdentity(options.Url, _dialect.Provider, _dialect.Model);
        _http = new HttpMessageInvoker(open(timeouts, limits));
    }

    public UpstreamOptions Options { get; }

    public UpstreamIdentity Identity { get; }

    public bool Continues => Options.Continues;

    public void Dispose() => _http.Dispose();

    public async Task<AttemptResult> RunAsync(Attempt attempt)
    {
        var body = new ArrayBufferWriter<byte>(attempt.Body.Length + 128);
        if (_dialect.WriteBody(attempt, body) is { } refusal) return AttemptResult.Failed(FailureKind.Inexpressible, refusal);
        var exchange = new HttpExchange(this, attempt, body.WrittenMemory);
        var result = await exchange.RunAsync();
        if (result.Error is { } error)
        {
            LogFailure(attempt.Generation.Id, Options.Url, result.Outcome, result.Kind, error.Status, error.Code);
            LogFailureMessage(attempt.Generation.Id, Options.Url, error.Message);
        }
        return result;
    }

    private HttpRequestMessage CreateRequest(Attempt attempt, ReadOnlyMemory<byte> body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, _dialect.Endpoint)
        {
            Content = new ReadOnlyMemoryContent(body),
            // Over TLS both sides agree on HTTP/2 where they can; without it there is HTTP/1.1.
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.ParseAdd("text/event-stream");
        // A compressed stream comes in blocks, not in tokens.
        request.Headers.AcceptEncoding.ParseAdd("identity");
        foreach (var (name, value) in attempt.Headers) request.Headers.TryAddWithoutValidation(name, value);
        Tracing.Forward(request);
        _dialect.AddHeaders(request.Headers);
        foreach (var (name, value) in Options.Headers)
        {
            request.Headers.Remove(name);
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return request;
    }

    private RelayOptions CreateAnswer(Attempt attempt)
    {
        var request = attempt.Request;
        var promptBytes = request.Messages.Sum(static message => 16L + (message.Text?.Length ?? 0));
        return new RelayOptions(attempt.Generation.Id, attempt.ModelName, attempt.Created ?? _time.GetUtcNow().ToUnixTimeSeconds())
        {
            KeepsUpstreamModel = attempt.Created is null && _dialect.Model == attempt.ModelName,
            KeepsUpstreamCreated = attempt.Created is null,
            ChoiceCount = request.N,
            // A folded reply always has usage.
            IncludesUsage = request.IncludeUsage || !request.Stream,
            HasForcedTool = request.ToolChoice is { ValueKind: System.Text.Json.JsonValueKind.Object },
            EstimatedPromptTokens = ChunkNormalizer.EstimateTokens(promptBytes),
        };
    }

    [LoggerMessage(1, LogLevel.Warning, "{Id}: {Upstream}: {Outcome} ({Kind}): {Status} {Code}")]
    private partial void LogFailure(string id, string upstream, AttemptOutcome outcome, FailureKind kind, int status, string? code);

    // Servers quote parameters, and at times what the user wrote.
    [LoggerMessage(3, LogLevel.Debug, "{Id}: {Upstream} says: {Message}")]
    private partial void LogFailureMessage(string id, string upstream, string message);

    [LoggerMessage(2, LogLevel.Debug, "{Id}: {Upstream} is drained: its answer is no longer wanted.")]
    private partial void LogDrained(string id, string upstream);
}
