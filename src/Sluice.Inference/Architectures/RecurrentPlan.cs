namespace Sluice.Inference.Architectures;

/// <summary>A layer that mixes tokens through a state: a short convolution over the last few, and for two of the kinds a matrix for each head.</summary>
internal sealed record RecurrentPlan
{
    public required RecurrentKind Kind { get; init; }

    /// <summary>Values that the convolution runs over; a multiple of 16.</summary>
    public required int ChannelCount { get; init; }

    /// <summary>Tokens that the convolution sees, the last one included.</summary>
    public required int KernelLength { get; init; }

    /// <summary>Values that the output matrix reads; a multiple of 16.</summary>
    public required int InnerLength { get; init; }

    /// <summary>Heads with a matrix each; 0 for <see cref="RecurrentKind.ShortConvolution"/>.</summary>
    public int HeadCount { get; init; }

    /// <summary>Values of a head's input and result.</summary>
    public int HeadLength { get; init; }

    /// <summary>The other side of a head's matrix; a multiple of 16.</summary>
    public int StateLength { get; init; }

    /// <summary>Sets of keys and queries that heads share.</summary>
    public int GroupCount { get; init; } = 1;

    /// <summary>Singles of a sequence's state in this layer: the last inputs of the convolution, then the matrices.</summary>
    public long StateCount => ((long)(KernelLength - 1) * ChannelCount) + ((long)HeadCount * HeadLength * StateLength);

    /// <summary>Multiplications of a token with weights, beside the output matrix.</summary>
    public double RowCount => ChannelCount + InnerLength + (Kind == RecurrentKind.ShortConvolution ? ChannelCount : 2 * HeadCount);
}

/// <summary>How a state goes from token to token.</summary>
internal enum RecurrentKind
{
    /// <summary>y = c ⊙ conv(b ⊙ x), of LFM2.</summary>
    ShortConvolution,

    /// <summary>The gated delta rule of Qwen3.5: M ← e^g M; M ← M + k β (v - Mᵀk)ᵀ; y = Mᵀq / √S.</summary>
    DeltaRule,

    /// <summary>Mamba 2: s ← e^(Δa) s + Δ x ⊗ B; y = s C + d x.</summary>
    Mamba2,
}
