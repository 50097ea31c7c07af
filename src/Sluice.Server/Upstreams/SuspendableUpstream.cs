using Sluice.Protocol.Errors;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Transport;

namespace Sluice.Server.Upstreams;

/// <summary>
/// What an answer and something of this process that makes it agree on, so that the answer can be suspended from the first moment on and
/// continued. The
/// engine is one, and in the simulation a script.
/// </summary>
/// <param name="modelId">Of the local model.</param>
/// <param name="random">Source of seeds.</param>
/// <param name="time">Clock.</param>
internal abstract class SuspendableUpstream(string modelId, RandomSource random, TimeProvider time) : IUpstream
{
    public UpstreamIdentity Identity { get; } = new(UpstreamIdentity.Local, Tags.Hub, modelId);

    public bool Continues => false;

    /// <summary>The hub's time, as templates show it.</summary>
    protected DateTimeOffset Now => time.GetLocalNow();

    /// <summary>
    /// Completes when the work has begun: from then on it writes to the log, and ends it; or when the attempt was suspended before.
    /// </summary>
    public async Task<AttemptResult> RunAsync(Attempt attempt)
    {
        // A prompt is read, rendered and counted in tokens before it is queued.
        await ReactorThread.LeaveAsync();
        // Another server may well be able to, so that this costs no attempt.
        if (!attempt.Client.TryRead(out var request, out var unreadable)) return AttemptResult.Failed(FailureKind.Inexpressible, unreadable);
        if (request.FindRefusal() is { } refusal) return AttemptResult.Failed(FailureKind.Inexpressible, refusal);
        var (production, frame) = (attempt.Production, attempt.From ?? CreateFrame(attempt, request));
        var stop = new CancellationTokenSource();
        await using var ended = attempt.Cancellation.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), stop);
        production?.Begin(new Waiting(stop, frame));
        ApiError? error;
        try
        {
            (var work, error) = await TrySubmitAsync(attempt, request, frame, stop.Token);
            while (error is not null && KindOf(error) == FailureKind.ContextLength && attempt.TryShorten(error) && attempt.Client.TryRead(out request, out _))
                (work, error) = await TrySubmitAsync(attempt, request, frame, stop.Token);
            if (work is not null)
            {
                production?.Begin(work);
                var whenCancelled = attempt.Cancellation.UnsafeRegister(static state => ((ISuspendable)state!).Cancel(), work);
                production?.Own(whenCancelled);
                return AttemptResult.Answered;
            }
        }
        catch (OperationCanceledException) when (production is { IsRequested: true } && !attempt.Cancellation.IsCancellationRequested)
        {
            production.Suspend(frame);
            return AttemptResult.Answered;
        }
        if (production?.TryRefuse() != false) return AttemptResult.Failed(KindOf(error!), error!);
        production.Suspend(frame);
        return AttemptResult.Answered;
    }

    /// <summary>
    /// Begins the work, which writes to the attempt's log through a sink from then on. Exactly one of the two results is null.
    /// </summary>
    /// <param name="attempt">What is asked.</param>
    /// <param name="request">The same, read.</param>
    /// <param name="frame">What a suspension keeps beside the work's progress.</param>
    /// <param name="stop">Nothing has to begin any more.</param>
    protected abstract Task<(ISuspendable? Work, ApiError? Error)> TrySubmitAsync(
        Attempt attempt, LocalRequest request, AnswerSnapshot frame, CancellationToken stop);

    /// <summary>What an answer begins from that nothing has been made of; null for a request that can't be read.</summary>
    public AnswerSnapshot? Begin(ClientRequest client, string modelName) =>
        client.TryRead(out var request, out _) ? CreateFrame(modelName, client.Body, null, request) : null;

    private AnswerSnapshot CreateFrame(Attempt attempt, LocalRequest request) => CreateFrame(attempt.ModelName, attempt.Body, attempt.Created, request);

    private AnswerSnapshot CreateFrame(string modelName, ReadOnlyMemory<byte> body, long? created, LocalRequest request) => new()
    {
        ModelId = modelId,
        ModelName = modelName,
        Body = body,
        Created = created ?? time.GetUtcNow().ToUnixTimeSeconds(),
        RenderedAt = time.GetLocalNow(),
        Seed = request.Seed is { } seed ? unchecked((ulong)seed) : random.NextUInt64(),
    };

    private static FailureKind KindOf(ApiError error) => error switch
    {
        { Code: "context_length_exceeded" } => FailureKind.ContextLength,
        // Whoever is asked next would have to be paid too.
        { Code: LimitErrors.QuotaCode } => FailureKind.Refused,
        { Status: 429 } => FailureKind.RateLimited,
        { Status: < 500 } => FailureKind.Refused,
        // A model that can't be loaded is no fault of the engine's, and the breaker would only hide the reason.
        _ => FailureKind.Rejected,
    };

    // Until the work has begun there is nothing but the request.
    private sealed class Waiting(CancellationTokenSource stop, AnswerSnapshot frame) : ISuspendable
    {
        public void Suspend() => stop.Cancel();

        public void Cancel() => stop.Cancel();

        public AnswerSnapshot? TrySnapshot() => frame;
    }
}

/// <summary>Makes what answers for a local model.</summary>
/// <param name="model">The model.</param>
/// <param name="grammars">Those of its configuration.</param>
internal delegate IUpstream LocalUpstreams(Models.LocalModel model, GrammarCache grammars);
