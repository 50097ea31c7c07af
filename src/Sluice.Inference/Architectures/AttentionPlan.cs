namespace Sluice.Inference.Architectures;

/// <summary>Attention of one layer.</summary>
internal sealed record AttentionPlan
{
    public required int HeadCount { get; init; }

    /// <summary>Key/value heads; <see cref="HeadCount"/> is a multiple.</summary>
    public required int HeadCountKv { get; init; }

    /// <summary>Values of a key, a multiple of 16.</summary>
    public required int KeyLength { get; init; }

    /// <summary>Values of a value, a multiple of 16.</summary>
    public required int ValueLength { get; init; }

    /// <summary>Index into <see cref="ModelPlan.Ropes"/>; -1 where nothing turns.</summary>
    public int Rope { get; init; }

    /// <summary>Whether the file's query and key rows stand in interleaved pairs; they are put into halves at load.</summary>
    public bool IsInterleaved { get; init; }

    /// <summary>How queries and keys are normalised.</summary>
    public HeadNorm HeadNorm { get; init; }

    /// <summary>Whether values are normalised per head, without gain.</summary>
    public bool NormalizesValues { get; init; }

    /// <summary>The layer whose keys and values this one reads; null where it has its own.</summary>
    public int? SharesCacheOf { get; init; }

    /// <summary>Multiplies the products of queries and keys.</summary>
    public required float Scale { get; init; }

    /// <summary>c in c · tanh(score / c); 0 for none.</summary>
    public float ScoreCap { get; init; }

    public AttentionMask Mask { get; init; }

    /// <summary>Positions that <see cref="Mask"/> speaks of.</summary>
    public int Window { get; init; }

    /// <summary>Whether each head has a score that takes a share of the weights and has no value.</summary>
    public bool HasSinks { get; init; }

    /// <summary>Whether the query matrix has a row of a gate behind each head's, whose sigmoid multiplies what the head gives.</summary>
    public bool HasOutputGate { get; init; }

    /// <summary>Where keys and values are one latent vector; null where they are their own.</summary>
    public LatentPlan? Latent { get; init; }

    /// <summary>How queries grow with their position; null for not.</summary>
    public QueryTemperature? Temperature { get; init; }

    public int GroupSize => HeadCount / HeadCountKv;

    public int QueryLength => HeadCount * KeyLength;

    public int KeysLength => HeadCountKv * KeyLength;

    public int ValuesLength => HeadCountKv * ValueLength;

    /// <summary>Values of all heads' results.</summary>
    public int OutputLength => HeadCount * (Latent?.HeadLength ?? ValueLength);

    /// <summary>The keys that a position sees: from the first to before the end.</summary>
    /// <param name="position">From 0.</param>
    /// <param name="length">Tokens that are there, which only <see cref="AttentionMask.All"/> and <see cref="AttentionMask.Around"/> ask.</param>
    public (int First, int End) Visible(int position, int length) => Mask switch
    {
        AttentionMask.Window => (Math.Max(0, position - Window + 1), position + 1),
        AttentionMask.Chunk => (position / Window * Window, position + 1),
        AttentionMask.Around => (Math.Max(0, position - (Window / 2)), Math.Min(length, position + (Window / 2) + 1)),
        AttentionMask.All => (0, length),
        _ => (0, position + 1),
    };
}

/// <summary>What a position sees.</summary>
internal enum AttentionMask
{
    /// <summary>Itself and everything before.</summary>
    Causal,

    /// <summary>Itself and the <see cref="AttentionPlan.Window"/> - 1 positions before.</summary>
    Window,

    /// <summary>Itself and what is before in the same chunk of <see cref="AttentionPlan.Window"/>.</summary>
    Chunk,

    /// <summary>Half of <see cref="AttentionPlan.Window"/> on either side.</summary>
    Around,

    /// <summary>Everything.</summary>
    All,
}

/// <summary>How queries and keys are normalised, always with the model's ε.</summary>
internal enum HeadNorm
{
    /// <summary>As the file says: per head where it has the tensors.</summary>
    IfPresent,

    /// <summary>Per head, after they have turned.</summary>
    AfterRope,

    /// <summary>All heads of a token as one vector.</summary>
    WholeProjection,

    /// <summary>Per head without gain, after they have turned.</summary>
    UnitAfterRope,
}

/// <summary>Attention to one latent vector a token, of which each head makes its keys and values.</summary>
/// <param name="QueryRank">Values that queries are made of; 0 where they are made of the input.</param>
/// <param name="Length">Values of the latent vector.</param>
/// <param name="FixedLength">Values of a head's query that don't turn.</param>
/// <param name="TurningLength">Values of a head's query, and of the one key, that turn.</param>
/// <param name="HeadLength">Values of a head's result.</param>
internal sealed record LatentPlan(int QueryRank, int Length, int FixedLength, int TurningLength, int HeadLength);

/// <summary>Queries are multiplied by 1 + scale · ln(1 + ⌊(position + offset) / length⌋).</summary>
/// <param name="Scale">Of the logarithm.</param>
/// <param name="Length">Positions for which the factor stays.</param>
/// <param name="Offset">Added to the position.</param>
internal sealed record QueryTemperature(float Scale, int Length, int Offset)
{
    public float At(int position) => 1 + (Scale * MathF.Log(1 + ((position + Offset) / Length)));
}
