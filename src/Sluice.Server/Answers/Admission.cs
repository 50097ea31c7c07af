using System.Diagnostics.CodeAnalysis;
using Sluice.Protocol;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>A place in an answer that somebody was given.</summary>
/// <param name="Connection">To be disposed.</param>
/// <param name="Way">How it came to this answer: a word.</param>
internal sealed record Admitted(AnswerConnection Connection, string Way)
{
    /// <summary>What the cache had to do with it: a word; null where there is none.</summary>
    public string? Cache { get; init; }
}

/// <summary>
/// Decides which answer a request gets: a new one, one that is there already, by its key, a cursor or adoption, or none. It knows no HTTP.
/// </summary>
internal sealed class Admission(
    AnswerTable answers, AnswerProducer producer, ServerState server, HubMetrics metrics, TimeProvider time, Limiter limiter, AnswerAccounting accounting,
    AnswerCache cache, RandomSource random, IOtherHubs? others = null)
{
    // While an answer is found to be lost, another hub may not have said so yet.
    private const int LostTriesMax = 10;
    private static readonly string? s_contentVariable = Environment.GetEnvironmentVariable(ContentCapture.Variable);
    private static readonly TimeSpan s_lostWait = TimeSpan.FromMilliseconds(50);

    /// <summary>The answer that a request gets, which is being made or has ended; or why it gets none.</summary>
    /// <param name="ask">What is asked for.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="wish">What the request says about its connection.</param>
    /// <param name="configuration">Whose models are used; held by the caller of this method.</param>
    /// <param name="cancellation">The client has left.</param>
    public async Task<(Admitted? Admitted, ApiError? Error)> AdmitAsync(
        Ask ask, Caller caller, ResumeWish wish, HubSnapshot configuration, CancellationToken cancellation)
    {
        if (FindProblem(ask, wish) is { } problem) return (null, problem);
        var position = wish.Cursor?.Position ?? 0;
        if (wish.Cursor is { Id: { } id })
        {
            var (found, lost) = await FindAsync(id, caller, cancellation);
            return found is not null ? await JoinAsync(found, ask, wish, position, configuration, cancellation) : (null, lost);
        }
        // The rest of an answer that is not there can't be made: what came first is in the client's hands alone.
        if (wish.Key is not null && position > 0)
        {
            if (TryFindKey(wish.Key, caller, out var known)) return await JoinAsync(known, ask, wish, position, configuration, cancellation);
            var (elsewhere, gone) = others is null ? default : await others.FindKeyAsync(wish.Key, caller.Ids, cancellation);
            return elsewhere is not null
                ? await JoinAsync(elsewhere, ask, wish, position, configuration, cancellation)
                : (null, gone ?? FindLostKey(wish.Key, caller));
        }
        var retention = RetentionOf(ask, wish, configuration);
        var owner = new AnswerIdentity(caller.Id, wish.Key, ask.Fingerprint, wish.OnDisconnect)
        {
            Retention = retention,
            Dialect = ask.Dialect,
            MayBeWhole = !ask.Outline.IsStream,
            Turn = wish.Turn,
            IsHidden = wish.IsHidden,
        };
        if (wish.Key is null && await TryAdoptAsync(owner, configuration) is { } adopted) return (new Admitted(adopted, "adopted"), null);
        // One that was kept under a former id of the caller is found before a new one takes the key.
        if (wish.Key is not null && TryFindFormer(wish.Key, caller, out var former) && !IsFree(former, ask))
            return await JoinAsync(former, ask, wish, 0, configuration, cancellation);
        if (server.IsRefusing && others is null && !IsThere(owner)) return (null, ServerState.StoppingError);
        // A session's key means something else as soon as a client has got to the end of the answer, which other hubs don't see.
        if (owner.Key is null || others is null || retention != Retention.Store || owner.Turn == TurnKind.Session) return await CreateAsync(ask, owner, caller, wish, null, configuration, cancellation);
        using var turn = await others.EnterKeyAsync(owner.Principal, owner.Key, cancellation);
        // One that is known here goes the way that it goes without a cluster.
        if (IsThere(owner))
        {
            turn.Dispose();
            return await CreateAsync(ask, owner, caller, wish, null, configuration, cancellation);
        }
        if (server.IsRefusing) return (null, ServerState.StoppingError);
        if (FindRefusal(ask, caller) is { } refusal)
        {
            // Whoever joins pays nothing, and is not refused. For a new one nothing is written down.
            var (holder, _) = await others.FindKeyAsync(owner.Key, [owner.Principal], cancellation);
            turn.Dispose();
            if (holder is not null && !IsFree(holder, ask)) return await JoinAsync(holder, ask, wish, 0, configuration, cancellation);
            metrics.CountRefusal(refusal);
            return (null, refusal);
        }
        return await CreateAloneAsync(ask, owner, caller, wish, turn, configuration, cancellation);
    }

    // Where all hubs know who makes the answer before anybody does.
    private async Task<(Admitted? Admitted, ApiError? Error)> CreateAloneAsync(
        Ask ask, AnswerIdentity owner, Caller caller, ResumeWish wish, IDisposable turn, HubSnapshot configuration, CancellationToken cancellation)
    {
        var frame = FrameOf(ask, configuration);
        var stored = new StoredAnswer(ask.AnswerId, owner, ask.Outline.Model, time.GetUtcNow().ToUnixTimeSeconds())
        {
            Charge = accounting.Describe(caller.Account, ask.Route.Model.Id, MeasureOf(ask).PromptTokens),
            Ledger = accounting.LedgerId,
        };
        var isKept = false;
        try
        {
            var (holder, refused) = await others!.TakeKeyAsync(stored, ask.Client.Body, frame?.Write(), cancellation);
            for (var tries = 0; holder is not null; tries++)
            {
                // Joining may take as long as a model takes to load, and those behind join as well.
                turn.Dispose();
                var joined = await JoinAsync(holder, ask, wish, 0, configuration, cancellation);
                if (joined.Error?.Code != ApiErrors.StreamLostCode || tries == LostTriesMax)
                {
                    // Somebody else has the key, and nothing was written down for this one.
                    isKept = true;
                    return joined;
                }

                // It broke off with the hub that made it, as somebody finds out in this moment, and so gives its key away.
                if (tries > 0) await Task.Delay(s_lostWait, time, cancellation);
                (holder, refused) = await others.TakeKeyAsync(stored, ask.Client.Body, frame?.Write(), cancellation);
            }
            if (refused is not null) return (null, refused);
            var created = await CreateAsync(ask, owner, caller, wish, frame, configuration, cancellation);
            isKept = created.Admitted is not null;
            return created;
        }
        finally
        {
            // Others must not wait for what nobody makes.
            if (!isKept) answers.DeleteStored(ask.AnswerId);
        }
    }

    private async Task<(Admitted? Admitted, ApiError? Error)> CreateAsync(
        Ask ask, AnswerIdentity owner, Caller caller, ResumeWish wish, AnswerSnapshot? frame, HubSnapshot configuration, CancellationToken cancellation)
    {
        if (server.IsRefusing && !IsThere(owner)) return (null, ServerState.StoppingError);
        // What is folded is read as fast as it can be, and must not be lost because a thread came late: it may be as long as a completion.
        // Where events depend on those before them, an answer can be looked at and continued only with all of them.
        int? hotBytes = !ask.Outline.IsStream ? ProtocolLimits.CompletionBytesMax : ask.Dialect.WritesFromPast ? ProtocolLimits.DependentEventsBytesMax : null;
        var record = new RequestFigures(time, started: ask.Started, requestId: ask.RequestId);
        if (answers.TryCreate(ask.AnswerId, owner, ask.Outline.Model, record, hotBytes, out var existing) is not { } answer)
        {
            return existing is null
                ? (null, ApiErrors.Unavailable(TimeSpan.FromSeconds(1)))
                : await JoinAsync(existing, ask, wish, 0, configuration, cancellation);
        }
        if (owner.Key is { } cancelled && answers.IsCancelled(cancelled, owner.Principal))
        {
            answers.Discard(answer);
            return (null, ApiErrors.GenerationCancelled());
        }
        answer.Subject = ask.Subject;
        var question = AnswerCache.FindKey(ask, caller);
        var cached = question is not null && ask.CacheWish == CacheWish.Use ? cache.Find(question) : null;
        if ((cached is null ? TryCharge(answer, ask, caller) : TryCount(caller)) is { } refusal)
        {
            answers.Discard(answer);
            return (null, refusal);
        }
        var way = ask.Route.Model.Cache is null ? null : question is null ? "bypass" : cached is null ? "miss" : "hit";
        if (way is not null) metrics.CountCacheLookup(way);
        if (question is not null) answer.CacheKey = (question, ask.Route.Model.Cache!, ask.Route.Model.Id);
        answer.TryAttach(0, adopts: false, out var connection);
        if (answers.ReplaceInTurn(answer) is { HasReader: false, Owner.OnDisconnect: not DisconnectPolicy.Continue } before) before.Cancel(CancellationCause.ClientLeft);
        if (cached is null) Produce(answer, ask, caller, wish, frame, configuration);
        else Repeat(answer, ask, caller, cached);
        return (new Admitted(connection!, "created") { Cache = way }, null);
    }

    /// <summary>A place behind the cursor, in an answer that is being made or has ended; or why there is none.</summary>
    /// <param name="answer">The caller's own.</param>
    /// <param name="position">Events that the client has.</param>
    /// <param name="configuration">As for <see cref="AdmitAsync"/>.</param>
    /// <param name="cancellation">As for <see cref="AdmitAsync"/>.</param>
    public async Task<(AnswerConnection? Connection, ApiError? Error)> AttachAsync(
        Answer answer, long position, HubSnapshot configuration, CancellationToken cancellation)
    {
        var attached = await TryAttachAsync(answer, position, configuration, cancellation);
        // It may have been handed over to another hub between the look at it and this.
        if (attached.Error?.Code != ApiErrors.StreamExpired().Code || others is null || answer.Following is not null || answers.FindById(answer.Id) == answer) return attached;
        var (moved, error) = await others.FindAsync(answer.Id, [answer.Owner.Principal], cancellation);
        return moved is null ? (null, error ?? attached.Error) : await TryAttachAsync(moved, position, configuration, cancellation);
    }

    private async Task<(AnswerConnection? Connection, ApiError? Error)> TryAttachAsync(
        Answer answer, long position, HubSnapshot configuration, CancellationToken cancellation)
    {
        if (answer.IsLost) return (null, ApiErrors.StreamLost());
        if (answer.Following is { } following)
        {
            var (begun, error) = await following.BeginAsync(configuration, cancellation);
            if (begun is null) return (null, error);
            answer = begun;
            // What the rest was found to be on the way.
            if (answer.IsLost) return (null, ApiErrors.StreamLost());
        }
        if (!answer.TryHold()) return (null, ApiErrors.StreamExpired());
        try
        {
            if (await producer.ContinueAsync(answer, configuration) is { } stays) return (null, stays);
            if (!await answer.ReachAsync(position, cancellation))
            {
                return answer.Log.End is null
                    ? (null, ApiErrors.StreamDiverged())
                    : (null, ApiErrors.InvalidCursor("The cursor is behind the end of the stream."));
            }
            return answer.TryAttach(position, adopts: false, out var connection) switch
            {
                AttachOutcome.Attached => (connection, null),
                AttachOutcome.TooMany => (null, ApiErrors.TooManyReaders()),
                AttachOutcome.Dropped => (null, ApiErrors.EventsDropped()),
                _ => (null, ApiErrors.StreamExpired()),
            };
        }
        finally
        {
            answer.Release();
        }
    }

    /// <summary>An answer of this caller, made by this hub or another one; somebody else's is not there.</summary>
    public async Task<(Answer? Answer, ApiError? Lost)> FindAsync(string id, Caller caller, CancellationToken cancellation)
    {
        if (TryFind(id, caller, out var answer, out var lost) || others is null) return (answer, lost);
        var (elsewhere, error) = await others.FindAsync(id, caller.Ids, cancellation);
        return (elsewhere, elsewhere is null ? error ?? lost : null);
    }

    /// <summary>An answer of this caller that this hub has; somebody else's is not there.</summary>
    public bool TryFind(string id, Caller caller, [NotNullWhen(true)] out Answer? answer, [NotNullWhen(false)] out ApiError? lost)
    {
        lost = null;
        answer = null;
        foreach (var principal in caller.Ids)
        {
            if (answers.TryFind(id, principal, out answer)) return true;
        }
        var hasExpired = caller.Ids.Any(principal => answers.HasExpired(id, principal));
        lost = hasExpired ? ApiErrors.StreamExpired() : ApiErrors.CompletionNotFound(id);
        return false;
    }

    /// <summary>The same as <see cref="FindOrCancelKey"/>, over all hubs.</summary>
    public async Task<Answer?> FindOrCancelKeyAsync(string key, Caller caller, CancellationToken cancellation)
    {
        var answer = FindOrCancelKey(key, caller);
        return answer is null && others is not null ? await others.CancelKeyAsync(key, caller.Id, cancellation) : answer;
    }

    /// <summary>The answer with this caller's key; null where there is none, and then requests with it are refused for a while.</summary>
    public Answer? FindOrCancelKey(string key, Caller caller) =>
        TryFindFormer(key, caller, out var former) ? former : answers.FindOrCancelKey(key, caller.Id);

    private static ApiError? FindProblem(Ask ask, ResumeWish wish) => wish switch
    {
        { Cursor: not null } when !ask.Outline.IsStream =>
            ApiErrors.InvalidCursor("Only a stream can be resumed from a cursor: ask with \"stream\": true."),
        { Cursor: { Id: null, Position: > 0 }, Key: null } => ApiErrors.InvalidCursor(
            "A number of events alone says nothing: send the request's Idempotency-Key too, or {id}:{number} as the cursor."),
        _ => null,
    };

    private Retention RetentionOf(Ask ask, ResumeWish wish, HubSnapshot configuration)
    {
        if (wish.IsStoreOff || !ask.Route.Model.KeepsAnswers || configuration.Options.Store == StoreKind.Off) return Retention.Off;
        return answers.HasStore && !wish.IsHidden ? Retention.Store : Retention.Memory;
    }

    private bool TryFindKey(string key, Caller caller, [NotNullWhen(true)] out Answer? answer) =>
        answers.TryFindKey(key, caller.Id, out answer) || TryFindFormer(key, caller, out answer);

    // The key's answer under the caller's present id goes first: it is the later one.
    private bool TryFindFormer(string key, Caller caller, [NotNullWhen(true)] out Answer? answer)
    {
        answer = null;
        if (caller.Ids.Count == 1 || answers.TryFindKey(key, caller.Id, out _)) return false;
        foreach (var principal in caller.Ids.Skip(1))
        {
            if (answers.TryFindKey(key, principal, out answer)) return true;
        }
        return false;
    }

    // One that broke off gives its key away, as within the table.
    private static bool IsFree(Answer answer, Ask ask) => answer.IsBroken && answer.Owner.Fingerprint.Matches(ask.Fingerprint);

    // A hub that stops makes no new answers, and gives those that it has.
    private bool IsThere(AnswerIdentity owner) =>
        owner.Key is { } key && answers.TryFindKey(key, owner.Principal, out var known) && !known.IsBroken;

    private ApiError FindLostKey(string key, Caller caller) =>
        caller.Ids.Any(principal => answers.HasKeyExpired(key, principal)) ? ApiErrors.StreamExpired() : ApiErrors.CompletionNotFound(key);

    private async Task<AnswerConnection?> TryAdoptAsync(AnswerIdentity owner, HubSnapshot configuration)
    {
        if (answers.TakeOrphan(owner) is not { IsBroken: false } orphan) return null;
        if (orphan.TryAttach(0, adopts: true, out var connection) != AttachOutcome.Attached) return null;
        var isAdopted = false;
        try
        {
            isAdopted = await producer.ContinueAsync(orphan, configuration) is null;
        }
        finally
        {
            // Nobody has seen anything of it: a new one is as good.
            if (!isAdopted) connection!.Dispose();
        }
        return isAdopted ? connection : null;
    }

    private async Task<(Admitted? Admitted, ApiError? Error)> JoinAsync(
        Answer answer, Ask ask, ResumeWish wish, long position, HubSnapshot configuration, CancellationToken cancellation)
    {
        if (!answer.Owner.Fingerprint.Matches(ask.Fingerprint))
            return (null, wish.Key is null ? ApiErrors.RequestMismatch() : ApiErrors.KeyReused());
        if (wish.Key is not null && answer.Log.End is { Kind: StreamEndKind.Stopped }) return (null, ApiErrors.GenerationCancelled());
        var (isEnded, isStopped) = (answer.Log.End is not null, answer.IsStopping);
        var (connection, error) = await AttachAsync(answer, position, configuration, cancellation);
        if (error is not null) return (null, error);
        return (new Admitted(connection!, isEnded ? "replayed" : wish.Cursor is null && !isStopped ? "joined" : "resumed"), null);
    }

    // Only what begins an answer is charged: whoever joins one, or comes back for it, has paid for it.
    private ApiError? TryCharge(Answer answer, Ask ask, Caller caller)
    {
        if (caller.Account is not { } account) return null;
        if (accounting.IsFull && account.HasBudget) return LimitErrors.LedgerUnavailable();
        var outline = ask.Outline;
        var (promptTokens, output) = MeasureOf(ask);
        var (hold, error) = limiter.TryBegin(account, ask.Route.Model.Id, promptTokens, output, outline.ChoiceCount, ask.Route.Model.ReasoningHold);
        answer.Record.Hold = hold;
        if (hold is not null)
        {
            hold.Subject = accounting.SubjectOf(outline.User);
            // Nobody is there to resume what runs in the background.
            hold.MayWait = answer.Owner is { Retention: not Retention.Off, OnDisconnect: not DisconnectPolicy.Continue };
            accounting.Begin(answer);
        }
        if (error is not null) metrics.CountRefusal(error);
        return error;
    }

    // The same before anything is written down for it elsewhere; nothing is taken.
    private ApiError? FindRefusal(Ask ask, Caller caller)
    {
        if (answers.IsStoreFull) return ApiErrors.Unavailable(TimeSpan.FromSeconds(1));
        if (caller.Account is not { } account) return null;
        // Of an answer that is there already only requests are counted, and that is known when it is given.
        if (ask.CacheWish == CacheWish.Use && AnswerCache.FindKey(ask, caller) is { } question && cache.Find(question) is not null) return null;
        if (accounting.IsFull && account.HasBudget) return LimitErrors.LedgerUnavailable();
        var (promptTokens, output) = MeasureOf(ask);
        return limiter.FindRefusal(account, ask.Route.Model.Id, promptTokens, output, ask.Outline.ChoiceCount, ask.Route.Model.ReasoningHold);
    }

    private static (long PromptTokens, long? Output) MeasureOf(Ask ask)
    {
        var outline = ask.Outline;
        // Three and a half bytes a token, for want of the model's own count. A vector has no tokens. What is no bound, or nobody's, is none.
        return ((outline.PromptBytes * 2 + 6) / 7,
            ask.Dialect is ObjectDialect ? 0
            : outline.MaxTokens is > 0 and var most ? long.Min(most, int.MaxValue) * outline.ChoiceCount
            : (long?)null);
    }

    // A request is a request, also where its answer costs nothing.
    private ApiError? TryCount(Caller caller)
    {
        if (caller.Account is not { } account || limiter.TryTakeRequest(account) is not { } error) return null;
        metrics.CountRefusal(error);
        return error;
    }

    private void Repeat(Answer answer, Ask ask, Caller caller, CachedAnswer cached)
    {
        answers.Record(answer, ask.Client.Body);
        if (ask.KeepsRequest && answer.Owner.Retention == Retention.Memory) answer.Request = ask.Client.Body;
        answer.CacheKey = null;
        if (caller.Account is { } account) accounting.AddCached(answer, account, ask.Route.Model.Id, cached.Usage, ask.Outline.User);
        cached.WriteTo(answer.Log, answer.Id);
        answer.Record.SetUsage(cached.Usage, isEstimated: false);
        answer.Log.Complete();
        answer.End();
    }

    // Where nothing but the engine can make the answer, another hub can make it from this, should this one die before its first commit.
    private static AnswerSnapshot? FrameOf(Ask ask, HubSnapshot configuration) =>
        ask.Route.Model is Models.LocalModel model && ask.Dialect is not EmbeddingsDialect && ask.Route.Fallbacks.Count == 0
        && configuration.Router.FindLocal(model.Id) is SuspendableUpstream engine
            ? engine.Begin(ask.Client, ask.Outline.Model) : null;

    // Runs on when the request is over.
    private void Produce(Answer answer, Ask ask, Caller caller, ResumeWish wish, AnswerSnapshot? frame, HubSnapshot configuration)
    {
        // Whoever ends what runs looks at the table after setting the flag: one of the two sees the other.
        if (server.IsEnding) answer.Cancel(CancellationCause.Shutdown);
        var span = Tracing.StartRequest(ask.TraceParent, ask.TraceState, ask.Outline, ask.Dialect, time.GetUtcNow() - time.GetElapsedTime(ask.Started));
        answer.Record.Attach(new RequestMeter(metrics, ask.Route.Model.Id, span, ask.Dialect.Operation));
        answer.Capture = ContentCapture.Decide(configuration.Options.Content, caller.Account, answer.Owner.Retention, wish, span, random, s_contentVariable);
        answer.Capture?.SetRequest(ask.Client.Body, ask.Dialect);
        answers.Record(answer, ask.Client.Body);
        if (ask.KeepsRequest && answer.Owner.Retention == Retention.Memory) answer.Request = ask.Client.Body;
        configuration.TryHold();
        var attempt = new Attempt(answer.Generation, ask.Outline, ask.Client, ask.Headers)
        {
            Principal = answer.Owner.Principal,
            ModelId = ask.Route.Model.Id,
            Commit = new CommitPoint(time),
            IsRescuable = ask.IsRescuable,
            Dialect = answer.Owner.Dialect,
            Output = answer.CreateWriter(),
            Record = answer.Record,
            Production = answer.Production,
            From = frame,
        };
        _ = producer.RunAsync(answer, attempt, ask.Route, configuration);
    }
}
