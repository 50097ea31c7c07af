using System.Buffers;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>
/// <c>POST /v1/chat/completions</c>. There is one path for both kinds of reply: the upstream appends events to a log, an event
/// stream is a cursor in it, and a JSON object is the fold of a cursor's events. A request may find that its answer is being made already.
/// </summary>
internal sealed class ChatCompletionsEndpoint(AnswerProducer producer, AnswerTable answers, ServerState server, HubMetrics metrics, Limits limits, TimeProvider time)
{
    private const string IdPrefix = "chatcmpl-";
    private readonly AnswerReply _reply = new(limits, time);

    // What came, once it is known to be right.
    private sealed record Asked(ChatCompletionRequest Request, Route Route, byte[] Body, AnswerIdentity Owner, ResumeHeaders Headers);

    // The answer that a request gets.
    private readonly record struct Admitted(AnswerConnection Reader, string Way, bool IsNew);

    public async Task InvokeAsync(HttpContext context, RequestScope scope)
    {
        var (asked, error) = await ReadAsync(context, scope.Configuration);
        var admitted = default(Admitted);
        if (error is null) (admitted, error) = await AdmitAsync(context, scope, asked!);
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        if (admitted.IsNew) Produce(context, scope, asked!, admitted.Reader.Answer);
        await _reply.WriteAsync(context, admitted.Reader, asked!.Request.Stream, asked.Headers.WantsEventIds, admitted.Way);
    }

    private async Task<(Asked?, ApiError?)> ReadAsync(HttpContext context, HubSnapshot configuration)
    {
        var (router, store) = (configuration.Router, configuration.Options.Store);
        if ((RequestBody.CheckContentType(context.Request) ?? RescueHeader.FindProblem(context.Request)) is { } refused) return (null, refused);
        var (headers, wrong) = ResumeHeaders.Read(context.Request);
        if (wrong is not null) return (null, wrong);
        var (body, tooLarge) = await RequestBody.ReadAsync(context, limits);
        if (tooLarge is not null) return (null, tooLarge);
        ChatCompletionRequestReader.TryRead(body, out var request, out var error);
        var route = request is null ? null : router.Find(request.Model);
        if (route is null) error ??= ApiErrors.ModelNotFound(request!.Model);
        if (headers.Cursor is not null && request is { Stream: false }) error ??= ApiErrors.InvalidCursor("Only a stream can go on from a cursor: ask with \"stream\": true.");
        if (headers is { Cursor: { Id: null, Position: > 0 }, Key: null }) error ??= ApiErrors.InvalidCursor("A number of events alone says nothing: send the request's Idempotency-Key too, or {id}:{number} as the cursor.");
        var keeping = route is null || headers.IsStoreOff || !route.Model.KeepsAnswers || store == StoreKind.Off ? Retention.Off : answers.HasStore ? Retention.Store : Retention.Memory;
        // The buffers are given back now; an upstream gets what the client wrote, and a suspended answer is gone on with from it.
        var copy = error is null ? body.ToArray() : [];
        var isCanonical = headers.Key is not null || headers.Cursor is not null || headers.WantsEventIds;
        var fingerprint = error is null ? RequestFingerprint.Of(body, isCanonical) : null;
        context.Request.BodyReader.AdvanceTo(body.End);
        if (error is not null) return (null, error);
        var owner = new AnswerIdentity(Principal.Of(context.Request), headers.Key, fingerprint!, headers.OnDisconnect) { Retention = keeping, MayBeWhole = !request!.Stream };
        return (new Asked(request!, route!, copy, owner, headers), null);
    }

    private async Task<(Admitted, ApiError?)> AdmitAsync(HttpContext context, RequestScope scope, Asked asked)
    {
        var (owner, position) = (asked.Owner, asked.Headers.Cursor?.Position ?? 0);
        if (asked.Headers.Cursor is { Id: { } id })
        {
            if (!answers.TryFind(id, owner.Principal, out var found)) return (default, FindLost(id, owner.Principal));
            return await JoinAsync(context, scope, found, asked, position);
        }
        if (owner.Key is { } key)
        {
            // The rest of an answer that is not there can't be made: what came first is in the client's hands alone.
            if (position > 0)
            {
                return answers.TryFindKey(key, owner.Principal, out var known)
                    ? await JoinAsync(context, scope, known, asked, position)
                    : (default, FindLostKey(key, owner.Principal));
            }
        }
        else if (answers.TakeOrphan(owner) is { } orphan && !orphan.IsBroken
            && orphan.TryAttach(0, context.Response, adopts: true, out var adopted) == AttachOutcome.Attached)
        {
            var isAdopted = false;
            try
            {
                isAdopted = await producer.ContinueAsync(orphan, scope.Configuration) is null;
            }
            finally
            {
                // Nobody has seen anything of it: a new one is as good.
                if (!isAdopted) adopted!.Dispose();
            }
            if (isAdopted) return (new Admitted(adopted!, "adopted", IsNew: false), null);
        }
        if (server.IsStopping && !IsThere(owner)) return (default, ServerState.StoppingError);
        // What is folded is read as fast as it can be, and must not be lost because a thread came late: it may be as long as a completion.
        int? hotBytes = asked.Request.Stream ? null : ProtocolLimits.CompletionBytesMax;
        var record = new RequestFigures(time, started: scope.Started);
        if (answers.TryCreate(IdPrefix + scope.Id, owner, asked.Request.Model, record, hotBytes, out var existing) is not { } answer)
            return existing is null ? (default, ApiErrors.Unavailable(TimeSpan.FromSeconds(1))) : await JoinAsync(context, scope, existing, asked, 0);
        if (owner.Key is { } cancelled && answers.IsCancelled(cancelled, owner.Principal))
        {
            answers.Discard(answer);
            return (default, ApiErrors.GenerationCancelled());
        }
        answer.TryAttach(0, context.Response, adopts: false, out var reader);
        return (new Admitted(reader!, "created", IsNew: true), null);
    }

    // A hub that stops makes no new answers, and gives those that it has.
    private bool IsThere(AnswerIdentity owner) => owner.Key is { } key && answers.TryFindKey(key, owner.Principal, out var known) && !known.IsBroken;

    private ApiError FindLost(string id, string principal) => answers.HasExpired(id, principal) ? ApiErrors.StreamExpired() : ApiErrors.CompletionNotFound(id);

    private ApiError FindLostKey(string key, string principal) => answers.HasKeyExpired(key, principal) ? ApiErrors.StreamExpired() : ApiErrors.CompletionNotFound(key);

    private async Task<(Admitted, ApiError?)> JoinAsync(HttpContext context, RequestScope scope, Answer answer, Asked asked, long position)
    {
        if (!answer.Owner.Fingerprint.Matches(asked.Owner.Fingerprint)) return (default, asked.Owner.Key is null ? ApiErrors.RequestMismatch() : ApiErrors.KeyReused());
        if (asked.Owner.Key is not null && answer.Log.End is { Kind: StreamEndKind.Stopped }) return (default, ApiErrors.GenerationCancelled());
        var (isEnded, isStopped) = (answer.Log.End is not null, answer.Production.IsAsked);
        var (reader, error) = await AttachAsync(producer, scope.Configuration, answer, position, context);
        if (error is not null) return (default, error);
        return (new Admitted(reader!, isEnded ? "replayed" : asked.Headers.Cursor is null && !isStopped ? "joined" : "resumed", IsNew: false), null);
    }

    /// <summary>A reader behind the cursor, of an answer that is being made or has ended; or why there is none.</summary>
    public static async Task<(AnswerConnection?, ApiError?)> AttachAsync(
        AnswerProducer producer, HubSnapshot configuration, Answer answer, long position, HttpContext context)
    {
        if (answer.IsLost) return (null, ApiErrors.StreamLost());
        if (!answer.TryHold()) return (null, ApiErrors.StreamExpired());
        try
        {
            if (await producer.ContinueAsync(answer, configuration) is { } stays) return (null, stays);
            return await AttachAsync(answer, position, context);
        }
        finally
        {
            answer.Release();
        }
    }

    private static async Task<(AnswerConnection?, ApiError?)> AttachAsync(Answer answer, long position, HttpContext context)
    {
        if (!await answer.ReachAsync(position, context.RequestAborted))
            return (null, answer.Log.End is null ? ApiErrors.StreamDiverged() : ApiErrors.InvalidCursor("The cursor is behind the end of the stream."));
        return answer.TryAttach(position, context.Response, adopts: false, out var reader) switch
        {
            AttachOutcome.Attached => (reader, null),
            AttachOutcome.TooMany => (null, ApiErrors.TooManyReaders()),
            AttachOutcome.Dropped => (null, ApiErrors.EventsDropped()),
            _ => (null, ApiErrors.StreamExpired()),
        };
    }

    // Runs on when the request is over.
    private void Produce(HttpContext context, RequestScope scope, Asked asked, Answer answer)
    {
        // Whoever ends what runs looks at the table after setting the flag: one of the two sees the other.
        if (server.IsEnding) answer.Generation.Cancel(CancellationCause.Shutdown);
        var span = Tracing.StartRequest(context, asked.Request, time.GetUtcNow() - scope.Elapsed);
        var meter = new RequestMeter(metrics, asked.Route.Model.Id, span);
        answer.Record.Attach(meter);
        (answer.Meter, answer.RequestId) = (meter, scope.RequestId);
        answers.Record(answer, asked.Body);
        scope.Configuration.TryHold();
        var attempt = new Attempt(answer.Generation, asked.Request, asked.Body, ForwardedHeaders.Of(context.Request))
        {
            Principal = answer.Owner.Principal,
            Commit = new CommitPoint(time),
            IsRescuable = !RescueHeader.IsOff(context.Request),
            Dialect = answer.Owner.Dialect,
            Output = answer.CreateWriter(),
            Record = answer.Record,
            Production = answer.Production,
        };
        _ = producer.RunAsync(answer, attempt, asked.Route, scope.Configuration);
    }
}
