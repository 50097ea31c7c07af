using System.Buffers;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Responses;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Hooks;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Where answers are asked for, at every door. There is one path for both kinds of reply: the upstream appends events to a log, an event
/// stream is a cursor in it, and a JSON object is the fold of a cursor's events. A request may find that its answer is being made already.
/// </summary>
internal sealed class AnswersEndpoint(
    RequestBody bodies, Admission admission, ResponsesPreparation responses, Limits limits, TimeProvider time, Limiter limiter, BeforeHook hook,
    ReasoningSeal? seal = null)
{
    private const string CacheHeader = "Sluice-Cache";
    private readonly AnswerReply _reply = new(limits, time);

    /// <param name="context">The request.</param>
    /// <param name="scope">The same.</param>
    /// <param name="dialect">Of the door.</param>
    /// <param name="read">The body, where it has been read, or is the hub's own; null reads it.</param>
    public async Task InvokeAsync(HttpContext context, RequestScope scope, AnswerDialect dialect, byte[]? read = null)
    {
        var (wish, error) = FindProblem(context.Request, dialect) is { } refused ? (ResumeWish.None, refused) : ResumeHeaders.Read(context.Request);
        var (ask, admitted) = (default(Ask), default(Admitted));
        if (error is null) (ask, wish, error) = await ReadAsync(context, scope, dialect, wish, read);
        if (error is null)
            (admitted, error) = await admission.AdmitAsync(ask!, scope.Caller, wish, scope.Configuration, context.RequestAborted);
        if (scope.Caller.Account is { Scopes.Length: > 0 } account) LimitHeaders.Add(context.Response.Headers, limiter.View(account));
        if (admitted?.Cache is { } cache) context.Response.Headers[CacheHeader] = cache;
        if (error is not null) await JsonReply.WriteErrorAsync(context, error);
        else if (ask!.IsBackground) await WriteBegunAsync(context, scope, admitted!, ask);
        else await _reply.WriteAsync(context, scope.Mount, admitted!, ask.Outline.IsStream, wish.WantsEventIds);
    }

    // As a browser's fetch says it too.
    private static CacheWish ReadCacheWish(HttpRequest request)
    {
        var control = request.Headers.CacheControl.ToString();
        return control.Contains("no-store", StringComparison.OrdinalIgnoreCase) ? CacheWish.Avoid
            : control.Contains("no-cache", StringComparison.OrdinalIgnoreCase) ? CacheWish.Renew : CacheWish.Use;
    }

    private static ApiError? FindProblem(HttpRequest request, AnswerDialect dialect) => RequestBody.CheckContentType(request, dialect) ?? RescueHeader.FindProblem(request);

    // The answer goes on without a reader, and the client asks for it later.
    private async Task WriteBegunAsync(HttpContext context, RequestScope scope, Admitted admitted, Ask ask)
    {
        var answer = admitted.Connection.Answer;
        using (admitted.Connection) admitted.Connection.SetSent();
        AnswerReply.AddHeaders(context.Response.Headers, scope.Mount, answer, admitted.Way, isStream: false);
        var (json, error) = await AnswerObject.ReadAsync(answer, ask.Client.Body, limits);
        if (error is not null) await JsonReply.WriteErrorAsync(context, error);
        else await JsonReply.WriteAsync(context, json, limits, time);
    }

    private static HookSubject SubjectOf(RequestScope scope, AnswerDialect dialect, RequestOutline outline)
    {
        var account = scope.Caller.Account;
        return new HookSubject(scope.RequestId, dialect.Name, outline.Model)
        {
            IsStream = outline.IsStream,
            Key = scope.Caller.Id is { Length: > 0 } id ? account?.Key ?? id : null,
            KeyName = account?.Name is { Length: > 0 } name ? name : null,
            Project = account?.Project,
        };
    }

    // What the hook gives in the request's place has to be one, of a model that the caller may use, and the client has said what it can read.
    private Task<ApiError?> AskHookAsync(
        HookOptions options, HookSubject subject, RequestScope scope, AnswerDialect dialect, HookedRequest request, CancellationToken cancellation)
    {
        string? Take(ReadOnlyMemory<byte> changed)
        {
            if (!dialect.TryReadOutline(changed.Span, out var outline, out var error)) return $"the changed request is not valid: {error.Message}";
            if (outline.IsStream != request.Outline.IsStream) return "it changes 'stream', which is the client's to say";
            if (outline.Model == request.Outline.Model) (request.Outline, request.Body) = (outline, changed);
            else if (scope.Configuration.Router.Find(outline.Model) is { } other && scope.Caller.MayUse(other.Model)) (request.Outline, request.Body, request.Route) = (outline, changed, other);
            else return $"the changed request asks for the model '{ApiErrors.Elide(outline.Model)}', which is not there for this caller";
            return null;
        }

        return hook.AskAsync(options, subject, request.Body, Take, cancellation);
    }

    private async Task<(Ask?, ResumeWish, ApiError?)> ReadAsync(HttpContext context, RequestScope scope, AnswerDialect dialect, ResumeWish wish, byte[]? read)
    {
        var (bytes, unread) = read is null ? await bodies.ReadAsync(context) : (read, null);
        if (unread is not null) return (null, wish, unread);
        var route = dialect.TryReadOutline(bytes, out var outline, out var error) ? scope.Configuration.Router.Find(outline.Model) : null;
        if (outline is not null && route is null && dialect.FindPlainName(outline.Model) is { } plain) route = scope.Configuration.Router.Find(plain);
        // Nobody learns of what there is for others.
        if (route is not null && !scope.Caller.MayUse(route.Model)) route = null;
        if (outline is not null && route is null) error ??= UnknownModel.Refuse(outline.Model, scope.Configuration.Catalog, scope.Caller);
        var prepared = new PreparedResponse(bytes, IsStored: true, IsBackground: false);
        if (error is null && dialect is ResponsesDialect)
        {
            (var response, error) = await responses.PrepareAsync(bytes, scope.Caller, outline!.IsStream, context.RequestAborted);
            prepared = response ?? prepared;
        }
        if (error is not null) return (null, wish, error);
        var hooks = scope.Configuration.Options.Hooks;
        var subject = hooks == AnswerHooks.None ? null : SubjectOf(scope, dialect, outline!);
        // Whoever comes back with a cursor begins no answer.
        if (hooks.Before is { } asked && wish.Cursor is not ({ Id: not null } or { Position: > 0 }))
        {
            var question = new HookedRequest(prepared.Body, outline!, route!);
            if (await AskHookAsync(asked, subject!, scope, dialect, question, context.RequestAborted) is { } refused) return (null, wish, refused);
            (prepared, outline, route) = (prepared with { Body = question.Body }, question.Outline, question.Route);
        }
        // An upstream gets what the client wrote, and a suspended answer is continued from it.
        var client = new ClientRequest(prepared.Body, dialect, seal);
        var cacheWish = wish.IsStoreOff || !prepared.IsStored ? CacheWish.Avoid : ReadCacheWish(context.Request);
        wish = TurnMark.Apply(wish, context.Request, dialect, bytes) with { IsHidden = !prepared.IsStored };
        if (!dialect.IsKept) wish = wish with { IsStoreOff = true, Key = null };
        if (prepared.IsBackground) wish = wish with { OnDisconnect = DisconnectPolicy.Continue };
        // Of a model that only the local engine serves everything is known now.
        if (route is { Model: LocalModel, Fallbacks.Count: 0 } && dialect is not ObjectDialect && !client.TryRead(out _, out var unfit)) error = unfit;
        var body = new ReadOnlySequence<byte>(bytes);
        var ask = error is not null ? null : new Ask(outline!, route!, client, RequestFingerprint.Of(body, wish.NeedsCanonical))
        {
            Dialect = dialect,
            Subject = hooks.After is null ? null : subject,
            AnswerId = dialect.IdPrefix + scope.NewAnswerId(),
            RequestId = scope.RequestId,
            Started = scope.Started,
            Headers = ForwardedHeaders.Of(context.Request, dialect.PassedHeaders),
            KeepsRequest = dialect is ResponsesDialect && prepared.IsStored,
            IsBackground = prepared.IsBackground && !outline!.IsStream,
            CacheWish = cacheWish,
            IsRescuable = dialect is not (CompletionDialect or ObjectDialect) && !RescueHeader.IsOff(context.Request),
            TraceParent = context.Request.Headers[Tracing.TraceParent],
            TraceState = context.Request.Headers[Tracing.TraceState],
        };
        return (ask, wish, error);
    }
}
