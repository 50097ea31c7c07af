namespace Sluice.Inference.Sampling;

/// <summary>
/// How one token is chosen from the logits. Applied in vLLM's order: logit bias, penalties, temperature, min-p, top-k, top-p, draw.
/// The defaults draw from the model's own distribution.
/// </summary>
public sealed record SamplingParameters
{
    /// <summary>Below 1e-5 is greedy (lowest id wins a tie). The default value is 1.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keep the smallest set of tokens whose probabilities reach this sum, in (0, 1]. The default value is 1: all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep this many most likely tokens. The default value is 0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep tokens at least this fraction as likely as the most likely one, in [0, 1]. The default value is 0: all.</summary>
    public float MinP { get; init; }

    /// <summary>Subtracted once from the logit of every token already generated. The default value is 0.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from a token's logit per time it was generated. The default value is 0.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens in prompt and output. The default value is 1: off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Added to the logits of these token ids; ids outside the vocabulary are ignored. Null adds nothing.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>Key of the counter-based generator: the same seed and prompt give the same tokens, whatever else runs.</summary>
    public ulong Seed { get; init; }

    /// <summary>Alternatives to report with each token, 0 to 20; null reports no log probabilities at all.</summary>
    public int? TopLogprobs { get; init; }
}
