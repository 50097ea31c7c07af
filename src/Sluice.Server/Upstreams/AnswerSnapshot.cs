using Sluice.Inference.Scheduling;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Completions;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>
/// What is kept of an answer of the local engine in order to continue it, in this process or in another one. Plain values; immutable. With
/// the
/// first <see cref="EventCount"/> events of its log it is the whole answer.
/// </summary>
internal sealed partial record AnswerSnapshot
{
    /// <summary>Id of the local model that makes the answer, which may be a fallback of the one that was asked for.</summary>
    public required string ModelId { get; init; }

    /// <summary>The model's name in the answer.</summary>
    public required string ModelName { get; init; }

    /// <summary>The request as the client wrote it.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Unix time in seconds, in every event.</summary>
    public required long Created { get; init; }

    /// <summary>When the prompt was rendered, with the offset of that place: templates print the date.</summary>
    public required DateTimeOffset RenderedAt { get; init; }

    /// <summary>The request's seed, or the one that was drawn for it.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Null when the engine had not begun.</summary>
    public GenerationProgress? Progress { get; init; }

    /// <summary>Events of the log that <see cref="Progress"/> accounts for.</summary>
    public long EventCount { get; init; }

    /// <summary>Tokens up to there; null in a snapshot of an engine that runs, and where the answer's record has them.</summary>
    public AnswerUsage? Usage { get; init; }

    /// <summary>Choices that were asked for.</summary>
    public int ChoiceCount
    {
        get
        {
            if (Progress is { } progress) return progress.Choices.Count;
            // Counts prompts as well as choices, and no other door has several prompts.
            return CompletionDialect.Instance.TryReadOutline(Body.Span, out var outline, out _) ? outline.ChoiceCount : 1;
        }
    }

    /// <summary>About what it takes in memory.</summary>
    public long Bytes => Body.Length + (Progress?.Choices.Sum(BytesOf) ?? 0);

    /// <summary>The attempt that continues the answer.</summary>
    /// <param name="generation">The answer's.</param>
    /// <param name="owner">Who asked, and in what dialect.</param>
    /// <param name="figures">The answer's.</param>
    /// <param name="output">Where the rest of the answer goes.</param>
    /// <param name="production">How the attempt is suspended in its turn.</param>
    /// <param name="seal">Of the hub.</param>
    /// <param name="time">Clock of the commit.</param>
    /// <returns>Null when this hub does not take the request: another version of it may have kept it.</returns>
    public Attempt? TryAsk(
        Generation generation, AnswerIdentity owner, RequestFigures figures, AnswerWriter output, Production production, ReasoningSeal? seal, TimeProvider time)
    {
        var client = new ClientRequest(Body, owner.Dialect, seal);
        if (!owner.Dialect.TryReadOutline(Body.Span, out var outline, out _) || !client.TryRead(out _, out _)) return null;
        return new Attempt(generation, outline with { Model = ModelName }, client, [])
        {
            Principal = owner.Principal,
            ModelName = ModelName,
            Created = Created,
            Commit = new CommitPoint(time),
            IsLast = true,
            Dialect = owner.Dialect,
            Output = output,
            Record = figures,
            Production = production,
            From = this,
            // The engine counts the whole answer each time.
            Entry = figures.LastEntry,
        };
    }

    // A token with a few alternatives.
    private const long HeldBytes = 256;

    private static long BytesOf(ChoiceProgress choice) => (choice.Tokens.Count * (long)sizeof(int)) + (choice.Held.Count * HeldBytes);
}
