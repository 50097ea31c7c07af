using System.Buffers;
using System.Globalization;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>An answer as far as it has come, as one object.</summary>
internal static class AnswerObject
{
    /// <summary>Reads it, with where it stands under <c>sluice</c>.</summary>
    /// <param name="answer">The caller's own.</param>
    /// <param name="request">What was asked, where the dialect repeats it; else empty.</param>
    /// <param name="limits">Bounds.</param>
    public static async Task<(ReadOnlyMemory<byte> Json, ApiError? Error)> ReadAsync(Answer answer, ReadOnlyMemory<byte> request, Limits limits)
    {
        var fold = answer.Owner.Dialect.CreateFold();
        var events = new EventBuffer();
        using var reader = answer.Log.TryOpenReader(answer.Log.IsSpilled ? 0 : long.Min(answer.Log.FirstEvent, answer.Log.EventCount));
        if (reader is null) return (default, ApiErrors.TooManyReaders());
        if (reader.Position > 0) return (default, ApiErrors.EventsDropped());
        // Read before the events: what is said to have ended is there as a whole.
        var (state, end) = (answer.State, answer.Log.End);
        while (true)
        {
            var outcome = reader.TryRead(events, limits.ReadBatchBytes, events.AddEvent);
            if (outcome is ReadOutcome.NothingYet or ReadOutcome.Ended) break;
            if (outcome != ReadOutcome.Events && !(outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(events, limits.ReadBatchBytes, events.AddEvent)))
                return (default, ApiErrors.EventsDropped());
            for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
            events.Clear();
        }
        if (fold.Error is { } error) return (default, error);
        var json = new ArrayBufferWriter<byte>();
        var head = new AnswerHead(answer.Id, answer.Created, answer.Model) { Body = request };
        fold.WriteSoFar(json, head, Describe(answer, state, end, reader.Position), state, end?.Failure as ApiError);
        return (json.WrittenMemory, null);
    }

    private static ReadOnlySpan<byte> Describe(Answer answer, string state, StreamEnd? end, long position)
    {
        var members = new ArrayBufferWriter<byte>();
        var usage = end is null ? null : answer.Record.Usage;
        var billing = usage is not { } known
            ? "null"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{{\"prompt_tokens\":{known.PromptTokens},\"completion_tokens\":{known.CompletionTokens},\"estimated\":{(answer.Record.IsUsageEstimated ? "true" : "false")}}}");
        members.Write(Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"\"state\":\"{state}\",\"last_event\":{position},\"billing\":{billing}")));
        if (end?.Failure is ApiError failure)
        {
            var text = new ArrayBufferWriter<byte>();
            failure.WriteTo(text);
            members.Write(","u8);
            members.Write(text.WrittenSpan[1..^1]);
        }
        return members.WrittenSpan;
    }
}
