using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Routing;

/// <summary>
/// Goes on with an answer that broke off after the client had a part of it. The request is made again elsewhere, and where the new answer
/// repeats what was delivered, byte by byte, it goes on from there; or an upstream that can is given the beginning to go on from.
/// </summary>
internal sealed partial class MidStreamRescue(Limits limits, TimeProvider time, ILogger<MidStreamRescue> logger)
{
    private enum Method
    {
        Rerun,
        Prefill,
    }

    private readonly record struct Step(Method Method, Deployment Deployment, string ModelName, string ModelId, bool WholeWords);

    /// <summary>Whether there would be anything to try if the deployment broke off.</summary>
    public static bool IsPossible(Route route, Deployment deployment, IReadOnlyList<Route> fallbacks) =>
        route.Rescues
        && (route.Deployments.Any(other => other != deployment && !other.IsAvoided)
            || fallbacks.Any(fallback => fallback.Deployments.Any(other => !other.IsAvoided)));

    /// <summary>Brings the answer to its end if that is possible.</summary>
    /// <param name="broken">The attempt whose answer broke off; its log is open and has a part of it.</param>
    /// <param name="broke">Where.</param>
    /// <param name="isStalled">Whether it fell silent, so that asking again there would take as long.</param>
    /// <param name="route">Of the deployment that broke.</param>
    /// <param name="fallbacks">Routes to other models that may be asked too.</param>
    /// <returns>Whether the log has the whole answer, and has ended.</returns>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    public async Task<bool> RunAsync(Attempt broken, Deployment broke, bool isStalled, Route route, IReadOnlyList<Route> fallbacks)
    {
        // What was delivered is compared chunk by chunk.
        if (!route.Rescues) return false;
        var count = 0;
        foreach (var step in Plan(broke, isStalled, route, fallbacks, broken.Outline.Model, broken.ModelId))
        {
            if (count == limits.RescueAttemptsMax) break;
            // One that a budget has no room for is passed over.
            if (broken.Record.Hold?.TrySetModel(step.ModelId) == false) continue;
            if (ReadEvents(broken) is not { } events) return false;
            if (broken.Dialect is not ChatDialect)
            {
                if (step.Method != Method.Rerun || ReadDeltas(broken, events) is not { } deltas) return false;
                count++;
                LogTry(broken.Generation.Id, step.Deployment.Upstream.Identity.Name, WordFor(step.Method), broken.Output.EventCount);
                if (await RepeatAsync(broken, step, events, deltas)) return true;
                continue;
            }
            if (ReadDelivered(broken, events) is not { } delivered) return false;
            var attempt = Prepare(broken, step, delivered);
            if (attempt is null) continue;
            count++;
            LogTry(broken.Generation.Id, step.Deployment.Upstream.Identity.Name, WordFor(step.Method), broken.Output.EventCount);
            if (await FollowAsync(broken, attempt, step, delivered)) return true;
        }
        return false;
    }

    // Another place with the same model first, then other models, then the same place again; then, in the same order, those of the same
    // model that can be given a beginning.
    private static IEnumerable<Step> Plan(Deployment broke, bool isStalled, Route route, IReadOnlyList<Route> fallbacks, string modelName, string modelId)
    {
        var others = route.Deployments.Where(deployment => deployment != broke && !deployment.IsAvoided).ToList();
        var same = isStalled || broke.IsAvoided ? [] : (Deployment[])[broke];
        foreach (var other in others) yield return new Step(Method.Rerun, other, modelName, modelId, false);
        foreach (var fallback in fallbacks)
        {
            if (fallback.Deployments.FirstOrDefault(deployment => deployment != broke && !deployment.IsAvoided) is { } other)
                yield return new Step(Method.Rerun, other, fallback.Model.Id, fallback.Model.Id, false);
        }
        foreach (var again in same) yield return new Step(Method.Rerun, again, modelName, modelId, false);
        foreach (var able in others.Concat(same).Where(deployment => deployment.Upstream.Continues))
        {
            yield return new Step(Method.Prefill, able, modelName, modelId, WholeWords: true);
            yield return new Step(Method.Prefill, able, modelName, modelId, WholeWords: false);
        }
    }

    // Null when a part of what was delivered is no longer in the log.
    private EventBuffer? ReadEvents(Attempt broken)
    {
        using var reader = broken.Generation.Log.TryOpenReader();
        if (reader is null) return null;
        var events = new EventBuffer();
        var end = broken.Generation.Log.EventCount;
        while (reader.Position < end)
        {
            if (reader.TryRead(events, limits.ReadBatchBytes, events.AddEvent) != ReadOutcome.Events) return null;
        }
        return events;
    }

    // The same for other dialects.
    private DeliveredDeltas? ReadDeltas(Attempt broken, EventBuffer events)
    {
        try
        {
            return broken.Dialect.ReadDelivered(events);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            LogUnreadable(exception, broken.Generation.Id);
            return null;
        }
    }

    // Null when it is more than text.
    private DeliveredAnswer? ReadDelivered(Attempt broken, EventBuffer events)
    {
        try
        {
            var delivered = new DeliveredAnswer(broken.Outline.ChoiceCount, events);
            return delivered.IsRepeatable ? delivered : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            LogUnreadable(exception, broken.Generation.Id);
            return null;
        }
    }

    // Null when this can't be asked.
    private Attempt? Prepare(Attempt broken, Step step, DeliveredAnswer delivered)
    {
        var body = broken.Body;
        if (step.Method == Method.Prefill)
        {
            if (!delivered.IsContinuable) return null;
            var continued = new ArrayBufferWriter<byte>();
            if (!ContinuedRequest.TryWrite(body.Span, delivered.TakePrefill(step.WholeWords), delivered.TokenCount, continued)) return null;
            body = continued.WrittenMemory;
        }
        return broken with
        {
            Outline = broken.Outline with { Model = step.ModelName },
            Body = body,
            ModelName = delivered.Model,
            ModelId = step.ModelId,
            Created = delivered.Created,
            Commit = new CommitPoint(time),
            IsLast = false,
            IsRescuable = true,
            Production = null,
        };
    }

    // The same for a dialect whose deltas are compared, and not its events.
    private async Task<bool> RepeatAsync(Attempt broken, Step step, EventBuffer events, DeliveredDeltas delivered)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(broken.Cancellation);
        var writer = new RepeatedWriter(broken.Output, WordFor(step.Method), broken.Record, end.Cancel);
        var attempt = broken with
        {
            Outline = broken.Outline with { Model = step.ModelName },
            // As the events say it already.
            ModelName = delivered.Model,
            ModelId = step.ModelId,
            Created = delivered.Created,
            Commit = new CommitPoint(time),
            IsLast = false,
            IsRescuable = true,
            Production = null,
            Repeats = new RepeatedAnswer(events, delivered, writer.GiveUp),
        };
        return await EndAsync(broken, step, attempt with { Output = writer, Cancellation = end.Token }, writer);
    }

    // True when the answer has come to its end.
    private async Task<bool> FollowAsync(Attempt broken, Attempt attempt, Step step, DeliveredAnswer delivered)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(broken.Cancellation);
        var continuedTokens = step.Method == Method.Prefill ? delivered.TokenCount : 0;
        // Here and now, and not on another thread: what is registered ends a wait or closes a connection.
        var writer = new SplicingWriter(broken.Output, delivered, continuedTokens, WordFor(step.Method), broken.Record, end.Cancel);
        return await EndAsync(broken, step, attempt with { Output = writer, Cancellation = end.Token }, writer);
    }

    private async Task<bool> EndAsync(Attempt broken, Step step, Attempt attempt, RescueWriter writer)
    {
        // The engine ends the answer itself, and an upstream that answered has.
        if (await RunAsync(step.Deployment, attempt) == AttemptOutcome.Answered) await writer.WhenEnded;
        if (writer.IsDifferent) LogDifferent(broken.Generation.Id, step.Deployment.Upstream.Identity.Name);
        // What it appended before it broke off too.
        broken.Output.Publish();
        if (!writer.IsWhole) broken.Cancellation.ThrowIfCancellationRequested();
        return writer.IsWhole;
    }

    private static async Task<AttemptOutcome> RunAsync(Deployment deployment, Attempt attempt)
    {
        try
        {
            return (await deployment.RunAsync(attempt)).Outcome;
        }
        catch (OperationCanceledException)
        {
            return AttemptOutcome.Failed;
        }
    }

    private static string WordFor(Method method) => method == Method.Rerun ? "rerun" : "prefill";

    [LoggerMessage(1, LogLevel.Information, "{Id}: its answer broke off, so {Upstream} is asked ({Method}) to go on after {EventCount} events.")]
    private partial void LogTry(string id, string upstream, string method, long eventCount);

    [LoggerMessage(2, LogLevel.Information, "{Id}: {Upstream} answers otherwise, and can't go on with it.")]
    private partial void LogDifferent(string id, string upstream);

    [LoggerMessage(3, LogLevel.Warning, "{Id}: its own events can't be read.")]
    private partial void LogUnreadable(Exception error, string id);
}
