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

    /// <summary>Whether log probabilities were asked for.</summary>
    public bool HasLogprobs { get; init; }

    /// <summary>Whether calls have the older form, one function for an answer.</summary>
    public bool UsesFunctions { get; init; }

    /// <summary>The tier that the answer names; null for none.</summary>
    public string? ServiceTier { get; init; }
}
