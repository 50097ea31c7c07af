using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Completions;

/// <summary>A prompt of a text completion: a text, or token ids. Exactly one of them is there.</summary>
/// <param name="Text">Null where token ids were given.</param>
/// <param name="Tokens">Null where a text was given; not empty.</param>
public sealed record CompletionPrompt(string? Text, IReadOnlyList<int>? Tokens);

/// <summary>
/// A request to <c>/v1/completions</c> in which everything has been validated; <c>null</c> in the body is the same as absent. Immutable.
/// </summary>
public sealed record CompletionRequest
{
    /// <summary>Model that is asked for; 1 to <see cref="ProtocolLimits.ModelNameLengthMax"/> characters.</summary>
    public required string Model { get; init; }

    /// <summary>At least one. Choice j of prompt i has the index i · <see cref="N"/> + j.</summary>
    public required IReadOnlyList<CompletionPrompt> Prompts { get; init; }

    /// <summary>What stands behind the text that is asked for; null where nothing does. May be empty.</summary>
    public string? Suffix { get; init; }

    /// <summary>Whether the reply is an event stream. The default value is false.</summary>
    public bool Stream { get; init; }

    /// <summary>Most tokens to generate per choice, at least 0, and 0 only with <see cref="Echo"/>. The default value is 16.</summary>
    public int MaxTokens { get; init; } = 16;

    /// <summary>Choices of each prompt, 1 to <see cref="ProtocolLimits.ChoicesMax"/>. The default value is 1.</summary>
    public int N { get; init; } = 1;

    /// <summary>Alternatives to take the best <see cref="N"/> of, at least as many. The default value is <see cref="N"/>.</summary>
    public int BestOf { get; init; } = 1;

    /// <summary>Alternatives reported per token, 0 to <see cref="ProtocolLimits.TopLogprobsMax"/>. Null reports no log probabilities.</summary>
    public int? Logprobs { get; init; }

    /// <summary>Whether each choice begins with its prompt. The default value is false.</summary>
    public bool Echo { get; init; }

    /// <summary>At most <see cref="ProtocolLimits.StopSequencesMax"/>, none of them empty. The default value is none.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Any 64-bit integer. Null leaves it to the server.</summary>
    public long? Seed { get; init; }

    /// <summary>0 to 2. The default value is 1.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>0 to 1. The default value is 1.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Vendor extension: keep this many most likely tokens; 0 keeps all. The default value is 0.</summary>
    public int TopK { get; init; }

    /// <summary>Vendor extension: keep tokens this fraction as likely as the most likely one, 0 to 1. The default value is 0, all.</summary>
    public double MinP { get; init; }

    /// <summary>Vendor extension: above 0, at most <see cref="ProtocolLimits.RepetitionPenaltyMax"/>. The default value is 1, none.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>-2 to 2. The default value is 0.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>-2 to 2. The default value is 0.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Token id, at least 0, to bias, -100 to 100. The default value is none.</summary>
    public IReadOnlyDictionary<int, int> LogitBias { get; init; } = new Dictionary<int, int>();

    /// <summary>The 400 for what a valid request may ask of the API and the local engine cannot do; null when it can serve it.</summary>
    public ApiError? FindLocalRefusal() =>
        BestOf > N ? ApiErrors.BestOfNotLocal() : Echo && Suffix is not null ? ApiErrors.EchoWithSuffix() : null;
}
