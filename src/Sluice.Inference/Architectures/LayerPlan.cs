namespace Sluice.Inference.Architectures;

/// <summary>
/// One layer: x += ρ · mixer(norm(x)), then x += ρ · feed-forward(norm(x)), each with further norms where a name says so. Names are those of
/// the tensors, without the layer's prefix and without <c>.weight</c>; null is none.
/// </summary>
internal sealed record LayerPlan
{
    /// <summary>Number in the names of its tensors.</summary>
    public required int Index { get; init; }

    /// <summary>Of what the mixer reads.</summary>
    public string? MixerNorm { get; init; } = "attn_norm";

    /// <summary>Of what the mixer gives, before it is added.</summary>
    public string? PostMixerNorm { get; init; }

    /// <summary>Of the sum behind the mixer.</summary>
    public string? MixerSumNorm { get; init; }

    /// <summary>Of what the feed-forward part reads.</summary>
    public string? FeedForwardNorm { get; init; } = "ffn_norm";

    /// <summary>Of what the feed-forward part gives, before it is added.</summary>
    public string? PostFeedForwardNorm { get; init; }

    /// <summary>Of the sum behind the feed-forward part.</summary>
    public string? FeedForwardSumNorm { get; init; }

    /// <summary>ρ: multiplies what is added to the residual.</summary>
    public float ResidualScale { get; init; } = 1;

    /// <summary>Whether the residual is multiplied by <c>layer_output_scale</c> at the end.</summary>
    public bool HasOutputScale { get; init; }

    /// <summary>Null for a layer that mixes otherwise, or not at all.</summary>
    public AttentionPlan? Attention { get; init; }

    /// <summary>In place of <see cref="Attention"/> or beside it, or null.</summary>
    public RecurrentPlan? Recurrent { get; init; }

    /// <summary>Null for a layer without.</summary>
    public FeedForwardPlan? FeedForward { get; init; }

    /// <summary>In place of <see cref="FeedForward"/>, or null; beside it in Gemma 4, where both read the same residual, each behind its own norm.</summary>
    public ExpertPlan? Experts { get; init; }

    /// <summary>The same layer with another activation.</summary>
    public LayerPlan With(Activation activation) => FeedForward == null ? this : this with { FeedForward = FeedForward with { Activation = activation } };

    /// <summary>The same layer whose queries and keys don't turn.</summary>
    public LayerPlan WithoutRope() => Attention == null ? this : this with { Attention = Attention with { Rope = -1 } };

    /// <summary>The same layer with norms behind its parts in place of those before.</summary>
    public LayerPlan WithPostNormsOnly() => this with
    {
        MixerNorm = null,
        FeedForwardNorm = null,
        PostMixerNorm = "post_attention_norm",
        PostFeedForwardNorm = "post_ffw_norm",
    };
}

/// <summary>A feed-forward part: down(activation(gate(x)) · up(x)), or down(activation(up(x))).</summary>
/// <param name="Length">Values between the matrices.</param>
/// <param name="Activation">With or without a gate.</param>
internal sealed record FeedForwardPlan(int Length, Activation Activation = Activation.Silu);

/// <summary>What a feed-forward part does between its matrices.</summary>
internal enum Activation
{
    /// <summary>x / (1 + e^-x) of the gate.</summary>
    Silu,

    /// <summary>x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))) of the gate.</summary>
    Gelu,

    /// <summary>The same without a gate.</summary>
    GeluUngated,

    /// <summary>max(x, 0)², without a gate.</summary>
    SquaredReluUngated,

    /// <summary>min(g, 7) · σ(1.702 · min(g, 7)) · (clamp(u, ±7) + 1), of gpt-oss.</summary>
    ClampedSwish,
}
