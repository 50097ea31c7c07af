namespace Sluice.Inference.Sampling;

/// <summary>What holds for a request that leaves a parameter out. Null leaves it to the next source, and in the end to the API's own default.</summary>
public sealed record SamplingDefaults
{
    /// <summary>Nothing but nulls.</summary>
    public static SamplingDefaults None { get; } = new();

    /// <summary>0 to 2.</summary>
    public double? Temperature { get; init; }

    /// <summary>0 to 1.</summary>
    public double? TopP { get; init; }

    /// <summary>Tokens, at least 0; 0 keeps all.</summary>
    public int? TopK { get; init; }

    /// <summary>0 to 1.</summary>
    public double? MinP { get; init; }

    /// <summary>Above 0; 1 is off.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Tokens of an answer, at least 1.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>These values, and those of <paramref name="other"/> for what is null here.</summary>
    public SamplingDefaults Or(SamplingDefaults other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new SamplingDefaults
        {
            Temperature = Temperature ?? other.Temperature,
            TopP = TopP ?? other.TopP,
            TopK = TopK ?? other.TopK,
            MinP = MinP ?? other.MinP,
            RepetitionPenalty = RepetitionPenalty ?? other.RepetitionPenalty,
            MaxTokens = MaxTokens ?? other.MaxTokens,
        };
    }
}
