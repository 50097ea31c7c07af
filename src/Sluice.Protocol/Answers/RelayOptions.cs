namespace Sluice.Protocol.Answers;

/// <summary>What is known of an answer before its first frame.</summary>
/// <param name="Id">The completion's id, in every frame.</param>
/// <param name="Model">The model's name in the answer.</param>
/// <param name="Created">Unix time in seconds, for an upstream that states none.</param>
public sealed record RelayOptions(string Id, string Model, long Created)
{
    /// <summary>
    /// Whether the upstream's own name for the model stays where it states one: it has been asked by the same name, and may say which
    /// version answers.
    /// </summary>
    public bool KeepsUpstreamModel { get; init; }

    /// <summary>Whether the time that the upstream states is the answer's.</summary>
    public bool KeepsUpstreamCreated { get; init; } = true;

    /// <summary>The request as the client wrote it: of what it says about the answer's keeping, the upstream was told something else.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Who produces the answer: dialect, server and model. Reasoning goes back to nobody else.</summary>
    public string Origin { get; init; } = "";

    /// <summary>Choices asked for, 1 to <see cref="ProtocolLimits.ChoicesMax"/>.</summary>
    public int ChoiceCount { get; init; } = 1;

    /// <summary>Whether usage is part of the answer.</summary>
    public bool IncludesUsage { get; init; }

    /// <summary>Whether one function was named to be called: the API's own answer then finishes with <c>stop</c>.</summary>
    public bool HasForcedTool { get; init; }

    /// <summary>Tokens of the prompt, for an upstream that states no usage.</summary>
    public int EstimatedPromptTokens { get; init; }
}
