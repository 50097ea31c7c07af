namespace Sluice.Inference.Architectures;

/// <summary>A feed-forward part of which each token takes a few: those with the best scores of a router.</summary>
internal sealed record ExpertPlan
{
    public required int Count { get; init; }

    /// <summary>Experts of a token.</summary>
    public required int UsedCount { get; init; }

    /// <summary>Values between the matrices of an expert.</summary>
    public required int Length { get; init; }

    public Activation Activation { get; init; } = Activation.Silu;

    public ExpertGate Gate { get; init; } = ExpertGate.Softmax;

    /// <summary>Whether the weights of a token's experts are divided by their sum.</summary>
    public bool NormalizesWeights { get; init; }

    /// <summary>Multiplies the weights.</summary>
    public float WeightScale { get; init; } = 1;

    /// <summary>Whether a weight multiplies what its expert reads, not what it gives.</summary>
    public bool WeighsInput { get; init; }

    /// <summary>Groups of experts, of which the <see cref="GroupUsedCount"/> with the best pairs are chosen from.</summary>
    public int GroupCount { get; init; } = 1;

    public int GroupUsedCount { get; init; } = 1;

    /// <summary>Values between the matrices of the part that every token takes as well; 0 for none.</summary>
    public int SharedLength { get; init; }
}

/// <summary>From the router's numbers to weights; the values are the file's.</summary>
internal enum ExpertGate
{
    /// <summary>Softmax over all experts.</summary>
    Softmax = 1,

    /// <summary>1 / (1 + e^-x).</summary>
    Sigmoid = 2,

    /// <summary>Softmax over those that are chosen.</summary>
    SoftmaxOfChosen = 3,
}
