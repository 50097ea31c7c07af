using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Answers by their id: <c>GET</c> and <c>DELETE /v1/chat/completions/{id}</c>, <c>POST …/cancel</c>, and <c>POST /v1/cancel</c> by key. Somebody
/// else's answer is not there.
/// </summary>
internal sealed class StoredCompletionsEndpoint(AnswerTable answers, Admission admission, Limits limits, TimeProvider time)
{
    private readonly AnswerReply _reply = new(limits, time);

    /// <summary>The answer so far as an object, or with <c>stream=true</c> as events behind <c>starting_after</c>.</summary>
    public async Task GetAsync(HttpContext context, string id, RequestScope scope)
    {
        var query = context.Request.Query;
        var isStream = query["stream"] == "true" && HttpMethods.IsGet(context.Request.Method);
        var (wish, error) = ResumeHeaders.Read(context.Request);
        var position = wish.Cursor?.Position ?? 0;
        if (wish.Cursor is { Id: { } other } && other != id) error ??= ApiErrors.InvalidCursor("The cursor is of another completion.");
        if (query.TryGetValue("starting_after", out var after) && wish.Cursor is null
            && !long.TryParse(after, NumberStyles.None, CultureInfo.InvariantCulture, out position))
        {
            error ??= ApiErrors.InvalidCursor("The parameter starting_after must be a number of events.");
        }
        if (!admission.TryFind(id, scope.Caller, out var answer, out var lost)) error ??= lost;
        else if (after.Count > 0 && wish.Cursor is null) position = answer.Owner.Dialect.PositionAfter(position);
        if (error is not null || answer is null)
        {
            await JsonReply.WriteErrorAsync(context, error!);
            return;
        }
        if (!isStream)
        {
            await WriteObjectAsync(context, answer);
            return;
        }
        // A browser's event source comes again after every end, until it is told that there is nothing more.
        if (wish.Cursor is not null && position == answer.Log.EventCount
            && answer.Log.End is { Kind: StreamEndKind.Completed or StreamEndKind.Stopped })
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }
        var way = answer.Log.End is null ? "resumed" : "replayed";
        var (connection, refused) = await admission.AttachAsync(answer, position, scope.Configuration, context.RequestAborted);
        if (refused is not null) await JsonReply.WriteErrorAsync(context, refused);
        else await _reply.WriteAsync(context, scope.Mount, new Admitted(connection!, way), isStream: true, hasIds: true);
    }

    /// <summary>Ends the answer if it runs, and forgets it.</summary>
    public async Task DeleteAsync(HttpContext context, string id, Caller caller)
    {
        if (!admission.TryFind(id, caller, out var answer, out var lost))
        {
            await JsonReply.WriteErrorAsync(context, lost);
            return;
        }
        answer.Cancel(CancellationCause.Requested);
        answers.Delete(answer);
        var isGone = answers.FlushRemovalsAsync();
        await Waits.WaitAsync(isGone, limits.CancelWait, time, context.RequestAborted);
        if (!isGone.IsCompletedSuccessfully || !await isGone)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.NotDeletedYet());
            return;
        }
        await JsonReply.WriteAsync(context, Encoding.UTF8.GetBytes($"{{\"object\":\"{answer.Owner.Dialect.DeletedKind}\",\"id\":\"{answer.Id}\",\"deleted\":true}}"));
    }

    /// <summary>Ends the answer in order if it runs; whoever reads it gets a regular end.</summary>
    public async Task CancelAsync(HttpContext context, string id, Caller caller)
    {
        if (!admission.TryFind(id, caller, out var answer, out var lost)) await JsonReply.WriteErrorAsync(context, lost);
        else await CancelAsync(context, answer);
    }

    /// <summary>The same by the request's key, which may come before the request does.</summary>
    public async Task CancelByKeyAsync(HttpContext context, Caller caller)
    {
        var (wish, error) = ResumeHeaders.Read(context.Request);
        if (wish.Key is null) error ??= ApiErrors.InvalidHeader("Idempotency-Key", "there: it says what to cancel");
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        if (admission.FindOrCancelKey(wish.Key!, caller) is { } answer)
        {
            await CancelAsync(context, answer);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        await JsonReply.WriteAsync(context, "{\"object\":\"chat.completion.cancellation\",\"pending\":true}"u8.ToArray());
    }

    private async Task CancelAsync(HttpContext context, Answer answer)
    {
        answer.Cancel(CancellationCause.Requested);
        if (answer.Generation.CancellationCause is not null)
            await Waits.WaitAsync(answer.Produced, limits.CancelWait, time, context.RequestAborted);
        await WriteObjectAsync(context, answer);
    }

    private async Task WriteObjectAsync(HttpContext context, Answer answer)
    {
        var fold = answer.Owner.Dialect.CreateFold();
        var events = new EventBuffer();
        using var reader = answer.Log.TryOpenReader(answer.Log.IsSpilled ? 0 : long.Min(answer.Log.FirstEvent, answer.Log.EventCount));
        if (reader is null)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.TooManyReaders());
            return;
        }
        if (reader.Position > 0)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.EventsDropped());
            return;
        }
        // Read before the events: what is said to have ended is there as a whole.
        var (state, end) = (answer.State, answer.Log.End);
        while (true)
        {
            var outcome = reader.TryRead(events, limits.ReadBatchBytes, events.AddEvent);
            if (outcome is ReadOutcome.NothingYet or ReadOutcome.Ended) break;
            if (outcome != ReadOutcome.Events && !(outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(events, limits.ReadBatchBytes, events.AddEvent)))
            {
                await JsonReply.WriteErrorAsync(context, ApiErrors.EventsDropped());
                return;
            }
            for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
            events.Clear();
        }
        if (fold.Error is { } error)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        var members = new ArrayBufferWriter<byte>();
        var usage = end is null ? null : answer.Record.Usage;
        var billing = usage is null
            ? "null"
            : string.Create(CultureInfo.InvariantCulture, $"{{\"prompt_tokens\":{usage.Value.PromptTokens},\"completion_tokens\":{usage.Value.CompletionTokens},\"estimated\":{(answer.Record.IsUsageEstimated ? "true" : "false")}}}");
        members.Write(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\"state\":\"{state}\",\"last_event\":{reader.Position},\"billing\":{billing}")));
        if (end?.Failure is ApiError failure)
        {
            var text = new ArrayBufferWriter<byte>();
            failure.WriteTo(text);
            members.Write(","u8);
            members.Write(text.WrittenSpan[1..^1]);
        }
        var json = new ArrayBufferWriter<byte>();
        fold.WriteSoFar(json, new AnswerHead(answer.Id, answer.Created, answer.Model), members.WrittenSpan);
        await JsonReply.WriteAsync(context, json.WrittenMemory, limits, time);
    }
}
