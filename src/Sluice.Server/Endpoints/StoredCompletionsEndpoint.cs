using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Answers by their id: <c>GET</c> and <c>DELETE /v1/chat/completions/{id}</c>, <c>POST …/cancel</c>, and <c>POST /v1/cancel</c> by key. Somebody
/// else's answer is not there.
/// </summary>
internal sealed class StoredCompletionsEndpoint(AnswerTable answers, Admission admission, Limits limits, TimeProvider time, IOtherHubs? others = null)
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
        var (answer, lost) = await FindAsync(id, scope.Caller, context.RequestAborted);
        if (answer is null) error ??= lost;
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
        var (answer, lost) = await FindAsync(id, caller, context.RequestAborted);
        if (answer is null)
        {
            await JsonReply.WriteErrorAsync(context, lost!);
            return;
        }
        var isGone = others is not null && answers.Find(id) is null ? others.DeleteAsync(answer, context.RequestAborted) : DeleteAsync(answer);
        await Waits.WaitAsync(isGone, limits.CancelWait, time, context.RequestAborted);
        if (!isGone.IsCompletedSuccessfully || !await isGone)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.NotDeletedYet());
            return;
        }
        await JsonReply.WriteAsync(context, Encoding.UTF8.GetBytes($"{{\"object\":\"{answer.Owner.Dialect.DeletedKind}\",\"id\":\"{answer.Id}\",\"deleted\":true}}"));
    }

    private Task<bool> DeleteAsync(Answer answer)
    {
        answer.Cancel(CancellationCause.Requested);
        answers.Delete(answer);
        return answers.FlushRemovalsAsync();
    }

    /// <summary>Ends the answer in order if it runs; whoever reads it gets a regular end.</summary>
    public async Task CancelAsync(HttpContext context, string id, RequestScope scope)
    {
        var (answer, lost) = await admission.FindAsync(id, scope.Caller, context.RequestAborted);
        if (answer is null) await JsonReply.WriteErrorAsync(context, lost!);
        else await CancelAsync(context, answer, scope);
    }

    /// <summary>The same by the request's key, which may come before the request does.</summary>
    public async Task CancelByKeyAsync(HttpContext context, RequestScope scope)
    {
        var (wish, error) = ResumeHeaders.Read(context.Request);
        if (wish.Key is null) error ??= ApiErrors.InvalidHeader("Idempotency-Key", "there: it says what to cancel");
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        if (await admission.FindOrCancelKeyAsync(wish.Key!, scope.Caller, context.RequestAborted) is { } answer)
        {
            await CancelAsync(context, answer, scope);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        await JsonReply.WriteAsync(context, "{\"object\":\"chat.completion.cancellation\",\"pending\":true}"u8.ToArray());
    }

    // What is not stored can be cancelled by whoever knows its id, and not looked at.
    private async Task<(Answer? Answer, ApiError? Lost)> FindAsync(string id, Caller caller, CancellationToken cancellation)
    {
        var (answer, lost) = await admission.FindAsync(id, caller, cancellation);
        return answer is { Owner.IsHidden: true } ? (null, ApiErrors.ResponseNotFound(id)) : (answer, lost);
    }

    private async Task CancelAsync(HttpContext context, Answer answer, RequestScope scope)
    {
        if (answer.Following is { } following && answer.Log.End is null)
        {
            // What it becomes is read from whoever makes it, or goes on with it.
            var (begun, error) = await following.BeginAsync(scope.Configuration, context.RequestAborted);
            if (begun is null)
            {
                await JsonReply.WriteErrorAsync(context, error!);
                return;
            }
            answer = begun;
        }
        // What comes from another hub comes only as long as somebody waits for it here.
        var isHeld = answer.Following is not null && answer.TryHold();
        try
        {
            answer.Cancel(CancellationCause.Requested);
            if (answer.Following is not null || answer.Generation.CancellationCause is not null)
                await Waits.WaitAsync(answer.Produced, limits.CancelWait, time, context.RequestAborted);
            await WriteObjectAsync(context, answer);
        }
        finally
        {
            if (isHeld) answer.Release();
        }
    }

    private async Task WriteObjectAsync(HttpContext context, Answer answer)
    {
        var request = answer.Owner.Dialect.WritesFromPast ? await answers.FindRequestAsync(answer, context.RequestAborted) : null;
        var (json, error) = await AnswerObject.ReadAsync(answer, request ?? default, limits);
        if (error is not null) await JsonReply.WriteErrorAsync(context, error);
        else await JsonReply.WriteAsync(context, json, limits, time);
    }
}
