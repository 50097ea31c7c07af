using System.Buffers;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>The reply to a request that did not ask for a stream: the events of a log, folded into one object.</summary>
internal static class FoldedReply
{
    public static async Task WriteAsync(HttpContext context, AnswerDialect dialect, StreamLog log, StreamLogReader reader, Limits limits, TimeProvider time)
    {
        var fold = dialect.CreateFold(time);
        var events = new EventBuffer();
        while (true)
        {
            var outcome = reader.TryRead(events, limits.ReadBatchBytes, events.AddEvent);
            if (outcome == ReadOutcome.Spilled)
            {
                if (!await reader.ReadSpilledAsync(events, limits.ReadBatchBytes, events.AddEvent))
                {
                    await EndAsync(context, StreamReply.Unread, fold, limits, time);
                    return;
                }
                outcome = ReadOutcome.Events;
            }
            switch (outcome)
            {
                case ReadOutcome.Events:
                    for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
                    events.Clear();
                    if (fold.Error is { } error)
                    {
                        await JsonReply.WriteErrorAsync(context, error);
                        return;
                    }
                    break;
                case ReadOutcome.NothingYet:
                    if (context.RequestAborted.IsCancellationRequested) return;
                    await reader.WaitAsync();
                    break;
                default:
                    var end = outcome switch { ReadOutcome.Ended => log.End!, ReadOutcome.Dismissed => reader.Dismissal!, _ => StreamReply.Lost };
                    await EndAsync(context, end, fold, limits, time);
                    return;
            }
        }
    }

    private static async Task EndAsync(HttpContext context, StreamEnd end, AnswerFold fold, Limits limits, TimeProvider time)
    {
        // Nobody gets it, and who asks again may be given it.
        if (context.RequestAborted.IsCancellationRequested) return;
        switch (end.Kind)
        {
            case StreamEndKind.Failed:
                await JsonReply.WriteErrorAsync(context, (ApiError)end.Failure!);
                return;
            case StreamEndKind.Cancelled:
                // It was given up because nobody was there; a client that came in that moment sees a connection that breaks, and asks again.
                context.Abort();
                return;
            default:
                var json = new ArrayBufferWriter<byte>();
                fold.End();
                if (fold.Error is { } error)
                {
                    await JsonReply.WriteErrorAsync(context, error);
                    return;
                }
                fold.WriteTo(json);
                await JsonReply.WriteAsync(context, json.WrittenMemory, limits, time);
                return;
        }
    }
}
