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

    public RecurrentWeights? Recurrent { get; init; }

    /// <summary>Of what the feed-forward part reads.</summary>
    public required NormWeights FeedForwardNorm { get; init; }

    /// <summary>How the feed-forward part's result goes onto the residual.</summary>
    public required BranchEnd FeedForwardEnd { get; init; }

    public FeedForwardWeights? FeedForward { get; init; }

    public ExpertWeights? Experts { get; init; }

    /// <summary>What is added of the token's own behind all else, or null.</summary>
    public PerLayerWeights? PerLayer { get; init; }
}

/// <summary>What a layer adds of the token's own: norm(projection · (gelu(gate · x) ⊙ own)).</summary>
internal sealed class PerLayerWeights
{
    /// <summary>(PerLayerLength, EmbeddingLength)</summary>
    public required PackedMatrix Gate { get; init; }

    /// <summary>(EmbeddingLength, PerLayerLength)</summary>
    public required PackedMatrix Projection { get; init; }

    public required BranchEnd End { get; init; }
}

/// <summary>
/// How the result of a branch goes onto the residual: x = sumNorm(x + scale · norm(result + bias)) · outputScale; with a part beside experts the
/// result is expertNorm(experts) + that part's.
/// </summary>
internal sealed unsafe class BranchEnd
{
    /// <summary>(EmbeddingLength)</summary>
    public float* Bias { get; init; }

    public NormWeights Norm { get; init; }

    /// <summary>Of the experts' result, before that of the part beside them is added; none where there is no such part.</summary>
    public NormWeights ExpertNorm { get; init; }

    public NormWeights SumNorm { get; init; }

    public float Scale { get; init; } = 1;

    public float OutputScale { get; init; } = 1;

    /// <summary>Whether products can be added to the residual as they come.</summary>
    public bool IsPlain => Bias == null && Norm.IsNone && SumNorm.IsNone && Scale == 1 && OutputScale == 1;
}

/// <summary>Attention of one layer.</summary>
internal sealed unsafe class AttentionWeights
{
    /// <summary>(HeadCount · KeyLength, EmbeddingLength)</summary>
    public required PackedMatrix Query { get; init; }

    /// <summary>(HeadCount · ValueLength, EmbeddingLength): the sigmoids multiply what heads give; null for none.</summary>
    public PackedMatrix? Gate { get; init; }

    /// <summary>(HeadCountKv · KeyLength, EmbeddingLength); null where the layer reads the cache of another.</summary>
    public PackedMatrix? Key { get; init; }

    /// <summary>(HeadCountKv · ValueLength, EmbeddingLength); null where values are keys, or the layer reads the cache of another.</summary>
    public PackedMatrix? Value { get; init; }

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

    /// <summary>Where keys and values are one latent vector; null where they are their own.</summary>
    public LatentWeights? Latent { get; init; }
}

/// <summary>
/// What attention to a latent vector needs beside query, (HeadCount · (FixedLength + TurningLength), QueryRank or EmbeddingLength), and key,
/// (Length + TurningLength, EmbeddingLength).
/// </summary>
internal sealed unsafe class LatentWeights
{
    /// <summary>(QueryRank, EmbeddingLength), or null.</summary>
    public PackedMatrix? QueryInput { get; init; }

    /// <summary>(QueryRank), or null.</summary>
    public float* QueryNorm { get; init; }

    /// <summary>(Length)</summary>
    public required float* Norm { get; init; }

    /// <summary>For each head (Length, FixedLength).</summary>
    public required PackedMatrix[] Keys { get; init; }

    /// <summary>For each head (HeadLength, Length).</summary>
    public required PackedMatrix[] Values { get; init; }
}

/// <summary>A recurrent layer. What a kind doesn't have is null.</summary>
internal sealed unsafe class RecurrentWeights
{
    /// <summary>(ChannelCount, EmbeddingLength): what the convolution runs over.</summary>
    public required PackedMatrix Channels { get; init; }

    /// <summary>(InnerLength, EmbeddingLength): z, or c of a short convolution.</summary>
    public required PackedMatrix Gate { get; init; }

    /// <summary>(HeadCount, EmbeddingLength): Δ or the decay; of a short convolution (ChannelCount, EmbeddingLength): b.</summary>
    public required PackedMatrix Step { get; init; }

    /// <summary>(HeadCount, EmbeddingLength): β of the delta rule.</summary>
    public PackedMatrix? Beta { get; init; }

    /// <summary>(KernelLength, ChannelCount), the oldest token's first.</summary>
    public required float* Kernel { get; init; }

    /// <summary>(ChannelCount)</summary>
    public float* KernelBias { get; init; }

    /// <summary>(HeadCount): added to the step.</summary>
    public float* StepBias { get; init; }

    /// <summary>(HeadCount): negative.</summary>
    public float* Decay { get; init; }

    /// <summary>(HeadCount): d of Mamba 2.</summary>
    public float* Skip { get; init; }

    /// <summary>(HeadLength) of the delta rule, (InnerLength) of Mamba 2, which may have none.</summary>
    public float* Norm { get; init; }

    /// <summary>(EmbeddingLength, InnerLength)</summary>
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

    /// <summary>What experts do beside a dense part that reads the same residual; null for none.</summary>
    public BesideWeights? Beside { get; init; }
}

/// <summary>Experts beside a dense part: each has norms of its own before and behind it, and the router another.</summary>
internal sealed unsafe class BesideWeights
{
    /// <summary>(EmbeddingLength): of what the dense part gives.</summary>
    public required NormWeights DenseNorm { get; init; }

    /// <summary>(EmbeddingLength): of what experts read.</summary>
    public required NormWeights InputNorm { get; init; }

    /// <summary>(EmbeddingLength): multiplies the normalised residual that the router reads.</summary>
    public required float* RouterScale { get; init; }

    /// <summary>(Count): multiplies an expert's weight; null for none.</summary>
    public float* DownScale { get; init; }
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
