namespace Sluice.Inference.Architectures;

/// <summary>
/// What a model computes, as plain data: a page of its family fills it in from the keys of a file, the weights are read by it, and the
/// phases of the forward pass are driven by it. A default value is the way of Llama.
/// </summary>
internal sealed record ModelPlan
{
    public required string Architecture { get; init; }

    public required int ContextLength { get; init; }

    /// <summary>d_model.</summary>
    public required int EmbeddingLength { get; init; }

    public NormKind Norm { get; init; } = NormKind.RootMeanSquare;

    public required float NormEpsilon { get; init; }

    /// <summary>In order; at least one.</summary>
    public required IReadOnlyList<LayerPlan> Layers { get; init; }

    /// <summary>Whether a layer mixes tokens or feeds forward, and doesn't do both.</summary>
    public bool HasLayersOfOnePart { get; init; }

    /// <summary>Ways to turn that layers refer to by index; empty where nothing turns.</summary>
    public IReadOnlyList<RopeConfig> Ropes { get; init; } = [];

    /// <summary>Multiplies the embedding of a token.</summary>
    public float EmbeddingScale { get; init; } = 1;

    /// <summary>Tensor of the norm of the embedding; null for none.</summary>
    public string? EmbeddingNorm { get; init; }

    /// <summary>Whether a table has a vector for each position, and another the one for texts of the first kind.</summary>
    public bool HasPositionTable { get; init; }

    /// <summary>Whether the first row of <c>token_types</c> is added to every embedding.</summary>
    public bool HasTokenTypes { get; init; }

    /// <summary>Values of what each layer adds of the token's own, from a table and from its embedding; 0 for none.</summary>
    public int PerLayerLength { get; init; }

    /// <summary>Tensor of the last norm; null for none.</summary>
    public string? OutputNorm { get; init; } = "output_norm";

    /// <summary>Multiplies the logits.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>c in c · tanh(logit / c); 0 for none.</summary>
    public float LogitCap { get; init; }

    /// <summary>Whether a position sees no later one. A model that sees all of its input keeps nothing, and writes no text.</summary>
    public bool IsCausal { get; init; } = true;

    /// <summary>How the rows of an input become one vector.</summary>
    public Pooling Pooling { get; init; }

    /// <summary>What follows the pooled vector, in order.</summary>
    public IReadOnlyList<PooledLayerPlan> PooledLayers { get; init; } = [];

    /// <summary>Whether what comes out last is a share of 1 for each label.</summary>
    public bool SharesLabels { get; init; }

    /// <summary>Whether tokens follow tokens, and inputs are not only made into vectors.</summary>
    public bool WritesText => IsCausal && Pooling == Pooling.None;

    /// <summary>Singles of a sequence's state over all layers; 0 for a model that has none.</summary>
    public long StateCount => Layers.Sum(static l => l.Recurrent?.StateCount ?? 0);

    /// <summary>Multiplications of a token for each token that it attends to.</summary>
    public double AttentionProducts => Layers.Sum(static l => l.Attention is { } a ? (double)a.HeadCount * (a.KeyLength + a.ValueLength) : 0);

    /// <summary>Multiplications of a token with the weights of all layers.</summary>
    public double TokenProducts => EmbeddingLength * Layers.Sum(static l =>
        (l.Attention is { } a ? (double)a.QueryLength + a.KeysLength + a.ValuesLength + a.OutputLength : 0)
        + (l.Recurrent is { } r ? r.RowCount + r.InnerLength : 0)
        + (3.0 * (l.FeedForward?.Length ?? 0))
        + (3.0 * (l.Experts is { } e ? (e.UsedCount * e.Length) + e.SharedLength : 0)));
}

/// <summary>A matrix, and a bias where the file has it, behind pooling.</summary>
/// <param name="Name">Tensor name without <c>.weight</c>.</param>
/// <param name="Outputs">Rows.</param>
/// <param name="HasTanh">Whether a tangent follows.</param>
internal sealed record PooledLayerPlan(string Name, int Outputs, bool HasTanh);

/// <summary>How a vector is brought to one size.</summary>
internal enum NormKind
{
    /// <summary>x / √(mean(x²) + ε) · gain.</summary>
    RootMeanSquare,

    /// <summary>(x - mean(x)) / √(variance(x) + ε) · gain + bias.</summary>
    Layer,
}

/// <summary>How the rows of an input become one vector; the values are the file's.</summary>
internal enum Pooling
{
    None = 0,
    Mean = 1,
    First = 2,
    Last = 3,

    /// <summary>A classifier reads the first row, or the last one of a causal model: its output is a score.</summary>
    Rank = 4,
}
