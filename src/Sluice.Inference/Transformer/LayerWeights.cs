using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>One layer. Vectors are owned by <see cref="TransformerWeights"/>; optional ones are null.</summary>
internal sealed class LayerWeights
{
    public required LayerPlan Plan { get; init; }

    /// <summary>Of what the mixer reads.</summary>
    public required NormWeights MixerNorm { get; init; }

    /// <summary>How the mixer's result goes onto the residual.</summary>
    public required BranchEnd MixerEnd { get; init; }

    public AttentionWeights? Attention { get; init; }

    /// <summary>Of what the feed-forward part reads.</summary>
    public required NormWeights FeedForwardNorm { get; init; }

    /// <summary>How the feed-forward part's result goes onto the residual.</summary>
    public required BranchEnd FeedForwardEnd { get; init; }

    public FeedForwardWeights? FeedForward { get; init; }

    public ExpertWeights? Experts { get; init; }
}

/// <summary>How the result of a branch goes onto the residual: x = sumNorm(x + scale · norm(result + bias)).</summary>
internal sealed unsafe class BranchEnd
{
    /// <summary>(EmbeddingLength)</summary>
    public float* Bias { get; init; }

    public NormWeights Norm { get; init; }

    public NormWeights SumNorm { get; init; }

    public float Scale { get; init; } = 1;

    /// <summary>Whether products can be added to the residual as they come.</summary>
    public bool IsPlain => Bias == null && Norm.IsNone && SumNorm.IsNone && Scale == 1;
}

/// <summary>Attention of one layer.</summary>
internal sealed unsafe class AttentionWeights
{
    /// <summary>(HeadCount · KeyLength, EmbeddingLength)</summary>
    public required PackedMatrix Query { get; init; }

    /// <summary>(HeadCountKv · KeyLength, EmbeddingLength)</summary>
    public required PackedMatrix Key { get; init; }

    /// <summary>(HeadCountKv · ValueLength, EmbeddingLength)</summary>
    public required PackedMatrix Value { get; init; }

    public float* QueryBias { get; init; }

    public float* KeyBias { get; init; }

    public float* ValueBias { get; init; }

    /// <summary>(KeyLength), or (HeadCount · KeyLength) where all heads are normalised as one.</summary>
    public float* QueryNorm { get; init; }

    /// <summary>(KeyLength), or (HeadCountKv · KeyLength) where all heads are normalised as one.</summary>
    public float* KeyNorm { get; init; }

    /// <summary>(HeadCount)</summary>
    public float* Sinks { get; init; }

    /// <summary>(EmbeddingLength, HeadCount · ValueLength)</summary>
    public required PackedMatrix Output { get; init; }
}

/// <summary>A feed-forward part that every token takes.</summary>
internal sealed unsafe class FeedForwardWeights
{
    public required Activation Activation { get; init; }

    /// <summary>(Length, EmbeddingLength); null where the activation has no gate.</summary>
    public PackedMatrix? Gate { get; init; }

    /// <summary>(Length, EmbeddingLength)</summary>
    public required PackedMatrix Up { get; init; }

    public float* GateBias { get; init; }

    public float* UpBias { get; init; }

    /// <summary>(EmbeddingLength, Length)</summary>
    public required PackedMatrix Down { get; init; }
}

/// <summary>Experts and the part that every token takes beside them.</summary>
internal sealed unsafe class ExpertWeights
{
    public required ExpertPlan Plan { get; init; }

    /// <summary>(Count, EmbeddingLength)</summary>
    public required PackedMatrix Router { get; init; }

    /// <summary>(Count): added to the router's numbers.</summary>
    public float* RouterBias { get; init; }

    /// <summary>(Count): added for the choice alone.</summary>
    public float* ChoiceBias { get; init; }

    /// <summary>In the order of their numbers; <see cref="DownBiases"/> have what the matrices' results get.</summary>
    public required FeedForwardWeights[] Experts { get; init; }

    /// <summary>(EmbeddingLength) of each expert; empty without.</summary>
    public float*[] DownBiases { get; init; } = [];

    public FeedForwardWeights? Shared { get; init; }

    /// <summary>(EmbeddingLength): the sigmoid of its product with the input multiplies what the shared part gives; null for 1.</summary>
    public float* SharedGate { get; init; }
}

/// <summary>A matrix behind pooling.</summary>
/// <param name="matrix">(outputs, inputs)</param>
/// <param name="bias">(outputs), or null.</param>
/// <param name="hasTanh">Whether a tangent follows.</param>
internal sealed unsafe class PooledLayerWeights(PackedMatrix matrix, float* bias, bool hasTanh)
{
    public PackedMatrix Matrix => matrix;

    public float* Bias => bias;

    public bool HasTanh => hasTanh;
}
