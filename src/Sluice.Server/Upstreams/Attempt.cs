using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>An answer that broke off, for an attempt that is to go on with it.</summary>
/// <param name="Past">All its events.</param>
/// <param name="Delivered">What they say.</param>
/// <param name="GiveUp">To be called when the attempt says something else.</param>
internal sealed record RepeatedAnswer(EventBuffer Past, DeliveredDeltas Delivered, Action GiveUp);

/// <summary>One try at answering a request.</summary>
/// <param name="Generation">Whose log receives the answer.</param>
/// <param name="Outline">What the hub knows of the request.</param>
/// <param name="Client">The request as the client wrote it.</param>
/// <param name="Headers">Those of the client that may be passed on.</param>
internal sealed record Attempt(
    Generation Generation,
    RequestOutline Outline,
    ClientRequest Client,
    IReadOnlyList<KeyValuePair<string, string>> Headers)
{
    private const int ShorteningsMax = 8;

    private int _shortenings;

    /// <summary>What the hub knows of the request.</summary>
    public RequestOutline Outline { get; set; } = Outline;

    /// <summary>The request as the client wrote it, or what of it the model has room for.</summary>
    public ClientRequest Client { get; private set; } = Client;

    /// <summary>What is asked: as the client wrote it, unless the answer is to continue from a beginning.</summary>
    public ReadOnlyMemory<byte> Body { get; set; } = Client.Body;

    /// <summary>Ends the attempt: the generation's end, or that of a race which another attempt has won.</summary>
    public CancellationToken Cancellation { get; init; } = Generation.Cancellation;

    /// <summary>Who asks, by <see cref="Access.Caller.Id"/>. The engine shares what prompts have in common among those of one.</summary>
    public string Principal { get; init; } = "";

    /// <summary>Id of the hub's model that is asked: the price is its price. The default value is the name that was asked for.</summary>
    public string ModelId { get; init; } = Outline.Model;

    /// <summary>The model's name in the answer.</summary>
    public string ModelName { get; init; } = Outline.Model;

    /// <summary>
    /// Unix time in seconds for an answer that is to bear this time and <see cref="ModelName"/> and no others; null where it is free.
    /// </summary>
    public long? Created { get; init; }

    /// <summary>To be passed with the first content.</summary>
    public required CommitPoint Commit { get; init; }

    /// <summary>Whether nothing else is left to try until there is content.</summary>
    public bool IsLast { get; init; }

    /// <summary>Whether another attempt could go on with an answer that breaks off after content.</summary>
    public bool IsRescuable { get; init; }

    /// <summary>How the local engine is suspended; null where it can't be.</summary>
    public Production? Production { get; init; }

    /// <summary>What the attempt has to say again before it says more; null where the answer is a new one, or chunks are compared.</summary>
    public RepeatedAnswer? Repeats { get; init; }

    /// <summary>What the local engine goes on from; null from the beginning.</summary>
    public AnswerSnapshot? From { get; init; }

    /// <summary>What the answer is written in.</summary>
    public AnswerDialect Dialect { get; init; } = ChatDialect.Instance;

    /// <summary>Where the answer goes.</summary>
    public required AnswerWriter Output { get; init; }

    /// <summary>Where the request's figures are kept.</summary>
    public required RequestFigures Record { get; init; }

    /// <summary>Time that a model took to be loaded for it.</summary>
    public TimeSpan LoadTime { get; set; }

    /// <summary>What this attempt takes; null before it begins. An attempt is made once.</summary>
    public UsageEntry? Entry { get; set; }

    /// <summary>Takes up a shorter request in place of one that is longer than the model's context, where the client allows that.</summary>
    /// <param name="error">Why the model has refused it.</param>
    public bool TryShorten(ApiError error)
    {
        // A body that goes on from a beginning is the hub's own.
        if (_shortenings == ShorteningsMax || !Body.Equals(Client.Body) || Dialect.Shorten(Body, error) is not { } shorter) return false;
        _shortenings++;
        Outline = Outline with { PromptBytes = Outline.PromptBytes * shorter.Length / Body.Length };
        Client = new ClientRequest(shorter, Dialect, Client.Seal);
        Body = shorter;
        return true;
    }

    /// <summary>What it took, known when it has ended, or about to end.</summary>
    /// <param name="usage">Tokens.</param>
    /// <param name="isEstimated">Whether that is a guess.</param>
    /// <param name="isAnswers">Whether its answer is the client's, so that it is what the answer took too.</param>
    public void SetUsage(AnswerUsage usage, bool isEstimated, bool isAnswers = true)
    {
        Entry?.SetUsage(usage, isEstimated);
        if (isAnswers) Output.SetUsage(usage, isEstimated);
    }

    /// <summary>The answer is whole.</summary>
    /// <param name="usage">What the attempt took.</param>
    /// <param name="isEstimated">Whether that is a guess.</param>
    public void Complete(AnswerUsage usage, bool isEstimated)
    {
        Entry?.SetUsage(usage, isEstimated);
        Output.Complete(usage, isEstimated);
    }

    /// <summary>What turns neutral deltas into the client's events.</summary>
    public DeltaWriter CreateWriter(AnswerHead head)
    {
        var writer = Dialect.CreateWriter(head);
        if (Repeats is not { } repeated) return writer;
        writer.Restore(repeated.Past);
        return new RepeatingWriter(writer, repeated.Delivered, repeated.GiveUp);
    }

    /// <summary>What every event of the answer says.</summary>
    /// <param name="now">Unix time in seconds, for an answer that has no time yet.</param>
    public AnswerHead HeadAt(long now) => new(Generation.Id, Created ?? now, ModelName)
    {
        Body = Client.Body,
        Seal = Client.Seal,
        PromptTokens = AnswerRelay.EstimateTokens(Outline.PromptBytes),
        ChoiceCount = Outline.ChoiceCount,
        // A folded reply always has usage.
        IncludesUsage = Outline.IncludesUsage || !Outline.IsStream,
        HasLogprobs = Outline.HasLogprobs,
        UsesFunctions = Outline.UsesFunctions,
        ServiceTier = Outline.ServiceTier,
        Clock = Record.Clock,
        Elapsed = () => Record.Elapsed,
        FirstContent = Record.TimeToFirstToken,
        LoadTime = LoadTime,
    };
}
