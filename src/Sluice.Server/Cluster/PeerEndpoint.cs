using System.Globalization;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Streaming;

namespace Sluice.Server.Cluster;

/// <summary>
/// What other hubs ask of this one: an answer's events, its end, and whether it is there. <c>GET</c> and <c>DELETE /v1/answers/{id}</c>,
/// <c>POST …/cancel</c>, <c>GET /v1/node</c>.
/// </summary>
internal sealed class PeerEndpoint(
    PeerSignature signature, PostgresAnswerStore store, AnswerTable answers, Admission admission, Takeover takeover, Hub hub, ServerState server, Limits limits, TimeProvider time)
{
    private const string Answers = "/v1/answers/";
    private const string CancelPath = "/cancel";

    public async Task InvokeAsync(HttpContext context, string path)
    {
        var request = context.Request;
        // Nothing here is a browser's business, whatever it can be made to send.
        var outcome = request.Headers.Origin.Count > 0
            ? SignatureOutcome.Refused
            : signature.Check(request.Method, request.Path.ToUriComponent() + request.QueryString.ToUriComponent(), request.Headers[PeerSignature.Header]);
        if (outcome != SignatureOutcome.Valid)
        {
            context.Response.StatusCode = outcome == SignatureOutcome.Misdirected ? StatusCodes.Status421MisdirectedRequest : StatusCodes.Status401Unauthorized;
            return;
        }
        if (path == "/v1/node") return;
        var rest = path.StartsWith(Answers, StringComparison.Ordinal) ? Uri.UnescapeDataString(path[Answers.Length..]) : "";
        if (rest.EndsWith(CancelPath, StringComparison.Ordinal) && HttpMethods.IsPost(request.Method)) Cancel(context, rest[..^CancelPath.Length]);
        else if (rest.Length > 0 && HttpMethods.IsDelete(request.Method)) await DeleteAsync(context, rest);
        else if (rest.Length > 0 && HttpMethods.IsGet(request.Method)) await TailAsync(context, rest);
        else context.Response.StatusCode = StatusCodes.Status404NotFound;
    }

    private void Cancel(HttpContext context, string id)
    {
        if (answers.Find(id) is not { } answer) context.Response.StatusCode = StatusCodes.Status404NotFound;
        else answer.Cancel(CancellationCause.Requested);
    }

    private async Task DeleteAsync(HttpContext context, string id)
    {
        if (answers.Find(id) is not { } answer)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }
        answer.Cancel(CancellationCause.Requested);
        answers.Delete(answer);
        if (!await answers.FlushRemovalsAsync()) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
    }

    private async Task TailAsync(HttpContext context, string id)
    {
        var query = context.Request.Query;
        if (!long.TryParse(query["from"], NumberStyles.None, CultureInfo.InvariantCulture, out var position))
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }
        var answer = answers.Find(id);
        if (answer is null && query["take"] == "1") answer = await TryTakeAsync(id, context.RequestAborted);
        if (answer is null || server.IsEnding)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }
        context.Response.ContentType = "application/octet-stream";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        if (query["look"] == "1") await ShowAsync(context, answer, position);
        else await FollowAsync(context, answer, position);
    }

    private async Task<Answer?> TryTakeAsync(string id, CancellationToken cancellation)
    {
        var configuration = hub.Hold();
        try
        {
            return await store.FindAsync(id, cancellation) is { Stored.End: null, IsOwned: false } row
                ? (await takeover.TryTakeAsync(row, configuration, cancellation)).Local : null;
        }
        catch (StoreException)
        {
            // Whoever asks tries again.
            return null;
        }
        finally
        {
            configuration.Release();
        }
    }

    // As it is now. What the database has is not sent.
    private async Task ShowAsync(HttpContext context, Answer answer, long position)
    {
        var output = context.Response.BodyWriter;
        var (log, end) = (answer.Log, answer.Log.End);
        var first = long.Max(log.FirstEvent, long.Min(position, log.StoredEvents));
        var count = log.EventCount;
        using var reader = log.TryOpenReader(long.Min(first, count));
        PeerFrames.Write(output, PeerFrameKind.Head, PeerHead.Write(answer, long.Min(first, count), count));
        if (reader is null) PeerFrames.Write(output, PeerFrameKind.Refused, PeerFrames.WriteRefusal(ApiErrors.TooManyReaders()));
        var events = new EventBuffer();
        while (reader is not null && reader.Position < count)
        {
            var passed = reader.Position;
            var outcome = reader.TryRead(events, limits.ReadBatchBytes, events.AddEvent);
            if (outcome != ReadOutcome.Events && !(outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(events, limits.ReadBatchBytes, events.AddEvent))) break;
            PeerFrames.WriteEvents(output, passed, events);
            events.Clear();
            await output.FlushAsync(context.RequestAborted);
        }
        if (end is not null && reader?.Position == log.EventCount) PeerFrames.Write(output, PeerFrameKind.End, PeerFrames.WriteEnd(EndOf(answer, end)));
        else PeerFrames.WriteCommitted(output, log.StoredEvents);
        await output.FlushAsync(context.RequestAborted);
    }

    private async Task FollowAsync(HttpContext context, Answer answer, long position)
    {
        var output = context.Response.BodyWriter;
        PeerFrames.Write(output, PeerFrameKind.Head, PeerHead.Write(answer, position, answer.Log.EventCount));
        await output.FlushAsync(context.RequestAborted);
        var configuration = hub.Hold();
        AnswerConnection? connection = null;
        var attaching = admission.AttachAsync(answer, position, configuration, context.RequestAborted);
        try
        {
            // A model that has to be loaded takes its time.
            while (!attaching.IsCompleted)
            {
                await Waits.WaitAsync(attaching, limits.PeerBeat, time, context.RequestAborted);
                PeerFrames.Write(output, PeerFrameKind.Beat, []);
                await output.FlushAsync(context.RequestAborted);
            }
            (connection, var error) = await attaching;
            if (error is not null) PeerFrames.Write(output, PeerFrameKind.Refused, PeerFrames.WriteRefusal(error));
            else await SendAsync(context, output, connection!);
            await output.FlushAsync(context.RequestAborted);
        }
        finally
        {
            connection?.Dispose();
            if (!attaching.IsCompletedSuccessfully) _ = LeaveAsync(attaching);
            configuration.Release();
        }
    }

    // The other hub has gone before it had its place.
    private static async Task LeaveAsync(Task<(AnswerConnection? Connection, ApiError? Error)> attaching)
    {
        await ((Task)attaching).ConfigureAwait(Waits.Quietly);
        if (attaching.IsCompletedSuccessfully) (await attaching).Connection?.Dispose();
    }

    private async Task SendAsync(HttpContext context, PipeWriter output, AnswerConnection connection)
    {
        var (answer, reader, events) = (connection.Answer, connection.Cursor, new EventBuffer());
        var (log, committed) = (answer.Log, -1L);
        connection.SetSent();
        await using var left = context.RequestAborted.UnsafeRegister(static state => ((AnswerConnection)state!).Leave(), connection);
        await using var timer = time.CreateTimer(static state => ((StreamLogReader)state!).Wake(), reader, limits.PeerBeat, limits.PeerBeat);
        while (!context.RequestAborted.IsCancellationRequested)
        {
            var passed = reader.Position;
            var outcome = reader.TryRead(events, limits.ReadBatchBytes, events.AddEvent);
            if (outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(events, limits.ReadBatchBytes, events.AddEvent)) outcome = ReadOutcome.Events;
            if (log.StoredEvents != committed) PeerFrames.WriteCommitted(output, committed = log.StoredEvents);
            switch (outcome)
            {
                case ReadOutcome.Events:
                    PeerFrames.WriteEvents(output, passed, events);
                    events.Clear();
                    break;
                case ReadOutcome.NothingYet when answer.Following is not null || server.IsEnding:
                    PeerFrames.Write(output, PeerFrameKind.Moved, []);
                    return;
                case ReadOutcome.NothingYet:
                    PeerFrames.Write(output, PeerFrameKind.Beat, []);
                    break;
                case ReadOutcome.Ended when answer.Following is not null || IsLetGo(answer):
                    PeerFrames.Write(output, PeerFrameKind.Moved, []);
                    return;
                case ReadOutcome.Ended:
                    // What it took is written down behind its end.
                    await Waits.WaitAsync(answer.Produced, limits.PeerBeat, time, context.RequestAborted);
                    PeerFrames.Write(output, PeerFrameKind.End, PeerFrames.WriteEnd(EndOf(answer, log.End!)));
                    return;
                default:
                    PeerFrames.Write(output, PeerFrameKind.Refused, PeerFrames.WriteRefusal(RemoteAnswer.WhyNoMore(outcome, reader)));
                    return;
            }
            if ((await output.FlushAsync(context.RequestAborted)).IsCompleted) return;
            if (outcome == ReadOutcome.NothingYet) await reader.WaitAsync();
        }
    }

    // This hub stops, and its own readers are told so. Others get the end that the database has, or whoever goes on with it.
    private bool IsLetGo(Answer answer) =>
        server.IsEnding && answer.Owner.Retention == Retention.Store && answer.Log.End?.Failure is ApiError { Code: var code } && code == ServerState.StoppingError.Code;

    private static StoredEnd EndOf(Answer answer, StreamEnd end) =>
        new(end.Kind, end.Failure as ApiError, answer.Record.Usage, answer.Record.IsUsageEstimated, DateTimeOffset.UnixEpoch);
}
