using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Sluice.Protocol;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Routing;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>
/// <c>POST /v1/chat/completions</c>. There is one path for both kinds of reply: the upstream appends events to a log, an event
/// stream is a cursor in it, and a JSON object is the fold of a cursor's events.
/// </summary>
internal sealed partial class ChatCompletionsEndpoint(
    GenerationPump pump,
    GenerationTable generations,
    ServerState server,
    HubMetrics metrics,
    Limits limits,
    TimeProvider time,
    ILogger<ChatCompletionsEndpoint> logger)
{
    private const string IdPrefix = "chatcmpl-";

    public async Task InvokeAsync(HttpContext context, RequestScope scope)
    {
        var (request, route, body, error) = await ReadAsync(context, scope.Configuration.Router);
        error ??= server.IsStopping ? ServerState.StoppingError : null;
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }

        // What is folded is read as fast as it can be, and must not be lost because a thread came late: it may be as long as a completion.
        int? hotBytes = request!.Stream ? null : ProtocolLimits.CompletionBytesMax;
        if (generations.TryCreate(IdPrefix + scope.Id, hotBytes) is not { } generation)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
            return;
        }
        // Whoever stops the hub looks at the table after setting the flag: one of the two sees the other.
        if (server.IsStopping) generation.Cancel(CancellationCause.Shutdown);
        await RunAsync(context, scope, generation, request!, body, route!);
    }

    private async Task<(ChatCompletionRequest?, Route?, byte[], ApiError?)> ReadAsync(HttpContext context, ModelRouter router)
    {
        if ((RequestBody.CheckContentType(context.Request) ?? RescueHeader.FindProblem(context.Request)) is { } refused) return (null, null, [], refused);
        var (body, tooLarge) = await RequestBody.ReadAsync(context, limits);
        if (tooLarge is not null) return (null, null, [], tooLarge);
        ChatCompletionRequestReader.TryRead(body, out var request, out var error);
        var route = request is null ? null : router.Find(request.Model);
        if (route is null) error ??= ApiErrors.ModelNotFound(request!.Model);
        // The buffers are given back now, and an upstream gets what the client wrote.
        var copy = route is { NeedsBody: true } ? body.ToArray() : [];
        context.Request.BodyReader.AdvanceTo(body.End);
        return (request, route, copy, error);
    }

    private async Task RunAsync(HttpContext context, RequestScope scope, Generation generation, ChatCompletionRequest request, byte[] body, Route route)
    {
        using var reader = generation.Log.TryOpenReader()!;
        var span = Tracing.StartRequest(context, request, time.GetUtcNow() - scope.Elapsed);
        var meter = new RequestMeter(metrics, route.Model.Id, span);
        var record = new RequestRecord(time, meter, scope.Started);
        var producing = pump.RunAsync(
            new Attempt(generation, request, body, ForwardedHeaders.Of(context.Request))
            {
                Commit = new CommitPoint(time),
                IsRescuable = !RescueHeader.IsOff(context.Request),
                Record = record,
            },
            route);
        try
        {
            // The reply ends when the client does; what it did not want any more need not be computed.
            await using var left = context.RequestAborted.UnsafeRegister(
                static state =>
                {
                    var (generation, reader) = ((Generation, StreamLogReader))state!;
                    generation.Cancel(CancellationCause.ClientLeft);
                    reader.Wake();
                },
                (generation, reader));
            if (request.Stream) await new StreamReply(context, generation.Log, reader, limits, time).WriteAsync();
            else await FoldedReply.WriteAsync(context, generation.Log, reader, limits, time);
        }
        finally
        {
            generation.Cancel(CancellationCause.ClientLeft);
            await producing;
            await generation.Log.WhenEnded;
            meter.End(generation, record);
            LogEnded(
                scope.RequestId, generation.Id, request.Model, record.Upstream, generation.State, (long?)record.TimeToFirstToken?.TotalMilliseconds,
                (long)record.Elapsed.TotalMilliseconds, record.Usage?.PromptTokens, record.Usage?.CompletionTokens, record.IsUsageEstimated,
                record.AttemptCount, record.HedgeCount, record.RescueCount);
            reader.Dispose();
            generations.Remove(generation);
        }
    }

    [LoggerMessage(1, LogLevel.Information,
        "{RequestId} {Id}: {Model} by {Upstream}: {Outcome}; first token {FirstTokenMs} ms, all {ElapsedMs} ms; {PromptTokens} tokens asked and "
        + "{CompletionTokens} answered (estimated: {IsEstimated}); {Attempts} attempts, {Hedges} hedges, {Rescues} rescues")]
    private partial void LogEnded(
        string requestId, string id, string model, string? upstream, GenerationState outcome, long? firstTokenMs, long elapsedMs, int? promptTokens, int? completionTokens,
        bool isEstimated, int attempts, int hedges, int rescues);
}
