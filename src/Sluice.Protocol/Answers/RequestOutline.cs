namespace Sluice.Protocol.Answers;

/// <summary>
/// What the hub itself must know of a request, whoever answers it. Everything else is for the server of the model, and goes there as the client
/// wrote it.
/// </summary>
/// <param name="Model">The model that is asked for; 1 to <see cref="ProtocolLimits.ModelNameLengthMax"/> characters.</param>
public sealed record RequestOutline(string Model)
{
    /// <summary>Whether the reply is an event stream. The default value is false.</summary>
    public bool IsStream { get; init; }

    /// <summary>Whether the stream ends with usage. The default value is false.</summary>
    public bool IncludesUsage { get; init; }

    /// <summary>Choices that are asked for, 1 to <see cref="ProtocolLimits.ChoicesMax"/>; 1 where what is asked is not a number of choices.</summary>
    public int ChoiceCount { get; init; } = 1;

    /// <summary>Whether log probabilities are asked for.</summary>
    public bool HasLogprobs { get; init; }

    /// <summary>Whether one tool is named to be called.</summary>
    public bool HasForcedTool { get; init; }

    /// <summary>Whether calls have the older form, one function for an answer.</summary>
    public bool UsesFunctions { get; init; }

    /// <summary>The tier that the reply names; null for none.</summary>
    public string? ServiceTier { get; init; }

    /// <summary>The most tokens that are asked for, for traces; null where it isn't a number.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>For traces; null where it isn't a number.</summary>
    public double? Temperature { get; init; }

    /// <summary>For traces; null where it isn't a number.</summary>
    public double? TopP { get; init; }

    /// <summary>Whom the client asks for, as it calls them; null where it doesn't say, or at more length than a name has.</summary>
    public string? User { get; init; }

    /// <summary>Bytes of the conversation's texts, for an estimate of its tokens.</summary>
    public long PromptBytes { get; init; }
}
