using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>Ends the log of a generation that stopped because it was told to, as the cause demands. Nobody else may write to it any more.</summary>
internal static class CancelledEnd
{
    public static void Write(Attempt attempt)
    {
        var log = attempt.Generation.Log;
        switch (attempt.Generation.CancellationCause)
        {
            case CancellationCause.Shutdown:
                log.Fail(ServerState.StoppingError);
                break;
            case CancellationCause.Deadline:
                log.Fail(ApiErrors.ServerError("The request exceeded its time limit.") with { Status = 504 });
                break;
            case CancellationCause.Exhausted when attempt.Record.Hold is { OnExhausted: not ExhaustedPolicy.Length } hold:
                log.Fail(LimitErrors.Exhausted(hold.Cut));
                break;
            case CancellationCause.Requested or CancellationCause.Exhausted:
                _ = WriteStopLaterAsync(attempt);
                break;
            default:
                log.Cancel();
                break;
        }
    }

    // It reads the log, and the engine's thread has others to serve.
    private static async Task WriteStopLaterAsync(Attempt attempt)
    {
        await Task.Yield();
        try
        {
            WriteStop(attempt);
        }
#pragma warning disable CA1031 // Whatever it was, the log must end: readers and the configuration wait for it.
        catch (Exception)
#pragma warning restore CA1031
        {
            attempt.Generation.Log.Cancel();
        }
    }

    private static void WriteStop(Attempt attempt)
    {
        var log = attempt.Generation.Log;
        if (log.End is not null) return;
        var isWhole = log.FirstEvent == 0;
        var finished = new bool[attempt.Outline.ChoiceCount];
        // What this process has no events of may be in the store alone.
        if (!isWhole && attempt.From?.Progress is { } progress)
        {
            for (var choice = 0; choice < int.Min(finished.Length, progress.Choices.Count); choice++) finished[choice] = progress.Choices[choice].Finish is not null;
        }
        var usage = attempt.Record.Usage.GetValueOrDefault();
        var isEstimated = attempt.Record is not { Usage: not null, IsUsageEstimated: false };
        var events = ReadDelivered(log);
        var head = attempt.HeadAt(attempt.Record.UnixTime);
        var isCut = attempt.Generation.CancellationCause == CancellationCause.Exhausted;
        if (isCut) head = head with { Budget = attempt.Record.Hold?.Cut?.ToMark() ?? new BudgetMark("key", null) };
        if (attempt.Dialect.TryWriteStop(head, events, isWhole, finished, usage, isEstimated, attempt.Output))
        {
            // A cut answer is whole for its key: asked for again it is given again.
            if (isCut) log.Complete();
            else log.Stop();
        }
        else if (isCut) log.Fail(LimitErrors.Exhausted(attempt.Record.Hold?.Cut));
        // An upstream's own events are of a shape that no end can be made for.
        else log.Cancel();
    }

    private static EventBuffer ReadDelivered(StreamLog log)
    {
        using var reader = log.TryOpenReader(log.FirstEvent);
        var events = new EventBuffer();
        while (reader?.TryRead(events, addEvent: events.AddEvent) == ReadOutcome.Events)
        {
        }
        return events;
    }
}
