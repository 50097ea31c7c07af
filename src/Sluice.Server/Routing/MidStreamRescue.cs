using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
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

    private readonly record struct Step(Method Method, Deployment Deployment, string ModelName, bool WholeWords);

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
        if (!route.Rescues) return false;
        var count = 0;
        foreach (var step in Plan(broke, isStalled, route, fallbacks, broken.Request.Model))
        {
            if (count == limits.RescueAttemptsMax) break;
            if (ReadDelivered(broken) is not { } delivered) return false;
            var attempt = Prepare(broken, step, delivered);
            if (attempt is null) continue;
            count++;
            var method = step.Method == Method.Rerun ? "rerun" : "prefill";
            var at = broken.Generation.Log.EventCount;
            LogTry(broken.Generation.Id, step.Deployment.Upstream.Identity.Name, method, at);
            if (await FollowAsync(broken, attempt, step, delivered)) return true;
        }
        return false;
    }

    // Another place with the same model first, then other models, then the same place again; then, in the same order, those of the same
    // model that can be given a beginning.
    private static IEnumerable<Step> Plan(Deployment broke, bool isStalled, Route route, IReadOnlyList<Route> fallbacks, string modelName)
    {
        var others = route.Deployments.Where(deployment => deployment != broke && !deployment.IsAvoided).ToList();
        var same = isStalled || broke.IsAvoided ? [] : (Deployment[])[broke];
        foreach (var other in others) yield return new Step(Method.Rerun, other, modelName, false);
        foreach (var fallback in fallbacks)
        {
            if (fallback.Deployments.FirstOrDefault(deployment => deployment != broke && !deployment.IsAvoided) is { } other)
                yield return new Step(Method.Rerun, other, fallback.Model.Id, false);
        }
        foreach (var again in same) yield return new Step(Method.Rerun, again, modelName, false);
        foreach (var able in others.Concat(same).Where(deployment => deployment.Upstream.Continues))
        {
            yield return new Step(Method.Prefill, able, modelName, WholeWords: true);
            yield return new Step(Method.Prefill, able, modelName, WholeWords: false);
        }
    }

    // Null when a part of what was delivered is no longer in the log, or is more than text.
    private DeliveredAnswer? ReadDelivered(Attempt broken)
    {
        using var reader = broken.Generation.Log.TryOpenReader();
        if (reader is null) return null;
        var events = new ArrayBufferWriter<byte>();
        var end = broken.Generation.Log.EventCount;
        while (reader.Position < end)
        {
            if (reader.TryRead(events, limits.ReadBatchBytes) != ReadOutcome.Events) return null;
        }
        try
        {
            var delivered = new DeliveredAnswer(broken.Request.N, events.WrittenSpan);
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
        var scratch = new Generation(broken.Generation.Id, limits.Streams);
        return broken with
        {
            Generation = scratch,
            Cancellation = scratch.Cancellation,
            Request = broken.Request with { Model = step.ModelName },
            Body = body,
            ModelName = delivered.Model,
            Created = delivered.Created,
            Commit = new CommitPoint(time),
            IsLast = false,
            IsRescuable = true,
            Production = null,
            Record = broken.Record.CreateScratch(),
        };
    }

    // True when the answer has come to its end.
    private async Task<bool> FollowAsync(Attempt broken, Attempt attempt, Step step, DeliveredAnswer delivered)
    {
        var scratch = attempt.Generation;
        var continuedTokens = step.Method == Method.Prefill ? delivered.TokenCount : 0;
        var splicer = new AnswerSplicer(delivered, continuedTokens);
        var rescueCount = broken.Record.RescueCount;
        using var reader = scratch.Log.TryOpenReader()!;
        await using var left = broken.Cancellation.UnsafeRegister(
            static state =>
            {
                // Whatever the cause is, it is the whole answer's to tell.
                ((Generation)state!).Cancel(CancellationCause.Superseded);
            },
            scratch);
        var running = SettleAsync(step.Deployment.RunAsync(attempt));
        var waking = WakeAsync(running, reader);
        try
        {
            return await CopyAsync(broken, scratch, running, reader, splicer, step, CountUsage);
        }
        finally
        {
            scratch.Cancel(CancellationCause.Superseded);
            // The engine ends the log itself, and an upstream that answered has; after a failure nobody else does.
            if (await running == AttemptOutcome.Answered) await scratch.Log.WhenEnded;
            else scratch.Log.Cancel();
            await waking;
            CountUsage();
            scratch.Dispose();
        }

        void CountUsage()
        {
            // What an attempt said that came to nothing is no part of the answer.
            if (attempt.Record.Usage is not { } usage || broken.Record.RescueCount == rescueCount) return;
            var whole = usage with { PromptTokens = int.Max(0, usage.PromptTokens - continuedTokens), CompletionTokens = usage.CompletionTokens + continuedTokens };
            broken.Record.SetUsage(whole, attempt.Record.IsUsageEstimated || continuedTokens > 0);
        }
    }

    private static async Task<AttemptOutcome> SettleAsync(Task<AttemptResult> running)
    {
        try
        {
            return (await running).Outcome;
        }
        catch (OperationCanceledException)
        {
            return AttemptOutcome.Failed;
        }
    }

    // When the task is seen to be over, not a moment before: the reader looks at it next.
    private static async Task WakeAsync(Task running, StreamLogReader reader)
    {
        await running.ConfigureAwait(Waits.Quietly);
        reader.Wake();
    }

    private async Task<bool> CopyAsync(
        Attempt broken, Generation scratch, Task<AttemptOutcome> running, StreamLogReader reader, AnswerSplicer splicer, Step step, Action countUsage)
    {
        var events = new ArrayBufferWriter<byte>();
        var beyond = new ArrayBufferWriter<byte>();
        var grace = new ReaderGrace(broken.Generation.Log, limits.ReaderGrace, time);
        var isRescued = false;
        while (true)
        {
            broken.Cancellation.ThrowIfCancellationRequested();
            // Looked at first: what it had appended by then is read below.
            var isOver = running.IsCompleted && await running != AttemptOutcome.Answered;
            events.ResetWrittenCount();
            var outcome = reader.TryRead(events, limits.ReadBatchBytes);
            if (outcome == ReadOutcome.Events)
            {
                if (!Splice(events.WrittenSpan, splicer, beyond))
                {
                    LogDifferent(scratch.Id, step.Deployment.Upstream.Identity.Name);
                    return false;
                }
                isRescued |= await AppendAsync(broken, step.Method, splicer, beyond, grace, isRescued);
            }
            else if (outcome == ReadOutcome.NothingYet && !isOver)
            {
                await reader.WaitAsync();
            }
            else
            {
                // Otherwise it failed too, or has nothing beyond what was there.
                var isWhole = outcome == ReadOutcome.Ended && scratch.Log.End!.Kind == StreamEndKind.Completed && isRescued;
                if (isWhole)
                {
                    // Whoever sees that the answer has ended may ask what it took.
                    countUsage();
                    broken.Generation.Log.Complete();
                }
                else
                {
                    broken.Cancellation.ThrowIfCancellationRequested();
                }
                return isWhole;
            }
        }
    }

    private static bool Splice(ReadOnlySpan<byte> events, AnswerSplicer splicer, ArrayBufferWriter<byte> beyond)
    {
        while (!events.IsEmpty)
        {
            var end = events.IndexOf("\n\n"u8) + 2;
            if (splicer.Add(events[..end], beyond) == SpliceState.Different || beyond.WrittenCount > Protocol.ProtocolLimits.CompletionBytesMax) return false;
            events = events[end..];
        }
        return true;
    }

    // Whether anything was appended. Until all choices have been repeated it might still have to be given up.
    private static async Task<bool> AppendAsync(
        Attempt broken, Method method, AnswerSplicer splicer, ArrayBufferWriter<byte> beyond, ReaderGrace grace, bool isRescued)
    {
        if (splicer.State != SpliceState.Beyond || beyond.WrittenCount == 0) return false;
        var log = broken.Generation.Log;
        if (!isRescued)
        {
            broken.Record.AddRescue(method == Method.Rerun ? "rerun" : "prefill");
            ChatChunkWriter.WriteRescue(log, method == Method.Rerun ? "rerun"u8 : "prefill"u8);
        }
        var events = beyond.WrittenMemory;
        while (!events.IsEmpty)
        {
            var end = events.Span.IndexOf("\n\n"u8) + 2;
            if (grace.IsNeeded(end)) await grace.WaitAsync(end, broken.Cancellation);
            log.Append(events.Span[..end]);
            if (DeliveredAnswer.IsContent(events.Span[..end])) broken.Record.AddContent();
            events = events[end..];
        }
        beyond.ResetWrittenCount();
        return true;
    }

    [LoggerMessage(1, LogLevel.Information, "{Id}: its answer broke off, so {Upstream} is asked ({Method}) to go on after {EventCount} events.")]
    private partial void LogTry(string id, string upstream, string method, long eventCount);

    [LoggerMessage(2, LogLevel.Information, "{Id}: {Upstream} answers otherwise, and can't go on with it.")]
    private partial void LogDifferent(string id, string upstream);

    [LoggerMessage(3, LogLevel.Warning, "{Id}: its own events can't be read.")]
    private partial void LogUnreadable(Exception error, string id);
}
