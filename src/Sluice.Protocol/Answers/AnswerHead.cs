namespace Sluice.Protocol.Answers;

/// <summary>What is known of an answer before a model has said anything.</summary>
/// <param name="Id">The answer's id.</param>
/// <param name="Created">Unix time in seconds.</param>
/// <param name="Model">The model's name in the answer.</param>
public sealed record AnswerHead(string Id, long Created, string Model)
{
    /// <summary>Choices that were asked for, at least 1.</summary>
    public int ChoiceCount { get; init; } = 1;

    /// <summary>Whether the events end with usage.</summary>
    public bool IncludesUsage { get; init; }

    /// <summary>The budget that ends an answer from outside; null where somebody cancelled it. For <see cref="AnswerDialect.TryWriteStop"/>.</summary>
    public BudgetMark? Budget { get; init; }

    /// <summary>Whether log probabilities were asked for.</summary>
    public bool HasLogprobs { get; init; }

    /// <summary>Whether calls have the older form, one function for an answer.</summary>
    public bool UsesFunctions { get; init; }

    /// <summary>The tier that the answer names; null for none.</summary>
    public string? ServiceTier { get; init; }

    /// <summary>For dialects whose events say when they were made; null leaves <see cref="Created"/>.</summary>
    public TimeProvider? Clock { get; init; }

    /// <summary>Time since the request came, for dialects that tell it; null where nobody knows.</summary>
    public Func<TimeSpan>? Elapsed { get; init; }

    /// <summary>Time from the request to the first content, for an end that is written from outside; null while there is none.</summary>
    public TimeSpan? FirstContent { get; init; }

    /// <summary>Time of it that went into loading the model.</summary>
    public TimeSpan LoadTime { get; init; }

    /// <summary>The request as the client wrote it: some dialects repeat parts of it in the answer.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Seals reasoning for the client; null gives none out.</summary>
    public ReasoningSeal? Seal { get; init; }

    /// <summary>Whether reasoning comes as a summary that its producer wrote for readers, and not as the thought itself.</summary>
    public bool ReasoningIsSummary { get; init; }

    /// <summary>Tokens of the prompt, counted or guessed; 0 where nobody knows. Some dialects state them at the beginning.</summary>
    public int PromptTokens { get; init; }
}
