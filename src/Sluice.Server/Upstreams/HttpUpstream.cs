using System.Buffers;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Transport;
using Sluice.Server.Upstreams.Dialects;

namespace Sluice.Server.Upstreams;

/// <summary>A server that speaks OpenAI's API or, by its dialect, another. It is asked for a stream where the client wants one.</summary>
internal sealed partial class HttpUpstream : IUpstream, IDisposable
{
    // Some providers refuse requests without one.
    private static readonly ProductInfoHeaderValue s_agent = new("Sluice", typeof(HttpUpstream).Assembly.GetName().Version?.ToString(3) ?? "0");

    /// <summary>What is longer is not read and written on a reactor's thread.</summary>
    public const int LongBytes = 64 << 10;

    private readonly StreamShape _shape;
    private readonly ReasoningShape _reasoning;
    private readonly ILogger _logger;
    private readonly string _origin;

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
        Dialect = UpstreamDialect.Create(options, modelId);
        Timeouts = timeouts;
        Limits = limits;
        Time = time;
        _logger = logger;
        _shape = new StreamShape(limits, time);
        _reasoning = new ReasoningShape(limits, time);
        _origin = OriginOf(Dialect.Wire, options.Url, Dialect.Model);
        Identity = new UpstreamIdentity(options.Url, Dialect.Provider, Dialect.Model);
        Client = options.Handler is { } handler ? new HandlerClient(handler, isOwned: false) : open(Dialect.Endpoint, timeouts, limits, time);
        CreateRequest = CreateMessage;
    }

    public UpstreamOptions Options { get; }

    public UpstreamClient Client { get; }

    /// <summary>Makes the message of a call.</summary>
    public Func<ServerCall, HttpRequestMessage> CreateRequest { get; }

    public UpstreamDialect Dialect { get; }

    public RouteTimeouts Timeouts { get; }

    public Limits Limits { get; }

    public TimeProvider Time { get; }

    public UpstreamIdentity Identity { get; }

    public bool Continues => Options.Continues;

    public void Dispose() => Client.Dispose();

    public async Task<AttemptResult> RunAsync(Attempt attempt)
    {
        var origin = _reasoning.IsTaken ? _origin : "";
        var result = await RunAsync(attempt, Wants(attempt), origin);
        // The turn before may have been another server's, or another account's. Without its reasoning the conversation can go on.
        if (origin.Length > 0 && Dialect.TakesReasoning && _reasoning.Learn(result))
        {
            LogWithoutReasoning(attempt.Generation.Id, Options.Url, result.Error?.Code);
            origin = "";
            var other = await RunAsync(attempt, Wants(attempt), origin);
            // Clients of the same API know the words of the first refusal, and have their own ways out.
            if (other is not { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Refused } || Dialect.Translates(attempt)) result = other;
        }
        // A server that takes no streams, or no options for them, may well answer without.
        if (_shape.Learn(result, Wants(attempt)) is { } wish) result = await RunAsync(attempt, wish, origin);
        while (result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.ContextLength, Error: { } tooLong } && attempt.TryShorten(tooLong))
        {
            LogShortened(attempt.Generation.Id, Options.Url);
            result = await RunAsync(attempt, Wants(attempt), origin);
        }
        if (result.Error is { } error)
        {
            LogFailure(attempt.Generation.Id, Options.Url, result.Outcome, result.Kind, error.Status, error.Code);
            LogFailureMessage(attempt.Generation.Id, Options.Url, error.Message);
        }
        return result;
    }

    // What isn't streamed to the client is not asked for as a stream, unless it has to be translated.
    private StreamWish Wants(Attempt attempt) => attempt.Outline.IsStream ? _shape.Current : Dialect.Translates(attempt) ? StreamWish.WithUsage : StreamWish.None;

    private async Task<AttemptResult> RunAsync(Attempt attempt, StreamWish wish, string origin)
    {
        // Also where an earlier attempt's end has brought it back to the reactor.
        if (attempt.Body.Length > LongBytes) await ReactorThread.LeaveAsync();
        var body = new ArrayBufferWriter<byte>(attempt.Body.Length + 128);
        if (Dialect.WriteBody(attempt, wish, origin, body) is { } refusal) return AttemptResult.Failed(FailureKind.Inexpressible, refusal);
        return await new HttpExchange(this, attempt, body.WrittenMemory, asksForStream: wish != StreamWish.None).RunAsync();
    }

    /// <param name="attempt">What is asked.</param>
    /// <param name="body">As the upstream wants it.</param>
    /// <param name="asksForStream">Whether events are asked for, or one object.</param>
    /// <param name="target">Where it has sent us; null for where requests go.</param>
    public ServerCall CreateCall(Attempt attempt, ReadOnlyMemory<byte> body, bool asksForStream, Uri? target)
    {
        var headers = attempt.Headers;
        // What only a server of the client's own API understands.
        if (headers.Count > 0 && Dialect.Translates(attempt) && attempt.Dialect.PassedHeaders is { Count: > 0 } unknown)
            headers = [.. headers.Where(header => !unknown.Contains(header.Key))];
        return new ServerCall(target ?? Dialect.EndpointOf(attempt.Dialect), body, asksForStream ? "text/event-stream" : "application/json", headers);
    }

    public RelayOptions CreateAnswer(Attempt attempt)
    {
        var outline = attempt.Outline;
        return new RelayOptions(attempt.Generation.Id, attempt.ModelName, attempt.Created ?? Time.GetUtcNow().ToUnixTimeSeconds())
        {
            KeepsUpstreamModel = attempt.Created is null && Dialect.Model == attempt.ModelName,
            KeepsUpstreamCreated = attempt.Created is null,
            ChoiceCount = outline.ChoiceCount,
            // A folded reply always has usage.
            IncludesUsage = outline.IncludesUsage || !outline.IsStream,
            HasForcedTool = outline.HasForcedTool,
            Body = attempt.Client.Body,
            Origin = _origin,
            EstimatedPromptTokens = AnswerRelay.EstimateTokens(outline.PromptBytes),
        };
    }

    // The address itself is no business of those who hold sealed reasoning, though they can't read it.
    private static string OriginOf(string wire, string url, string model) =>
        $"{wire}/{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(url)).AsSpan(0, 4))}/{model}";

    [LoggerMessage(1, LogLevel.Warning, "{Id}: {Upstream}: {Outcome} ({Kind}): {Status} {Code}")]
    private partial void LogFailure(string id, string upstream, AttemptOutcome outcome, FailureKind kind, int status, string? code);

    // Servers quote parameters, and at times what the user wrote.
    [LoggerMessage(3, LogLevel.Debug, "{Id}: {Upstream} says: {Message}")]
    private partial void LogFailureMessage(string id, string upstream, string message);

    [LoggerMessage(4, LogLevel.Warning, "{Id}: {Upstream} refuses the reasoning of earlier turns ({Code}), so it is asked again without.")]
    private partial void LogWithoutReasoning(string id, string upstream, string? code);

    [LoggerMessage(5, LogLevel.Information, "{Id}: The conversation is longer than the context at {Upstream}, so it is asked without the oldest items.")]
    private partial void LogShortened(string id, string upstream);

    [LoggerMessage(2, LogLevel.Debug, "{Id}: {Upstream} is drained: its answer is no longer wanted.")]
    public partial void LogDrained(string id, string upstream);
}
