namespace Sluice.Inference.Transformer;

/// <summary>Sizes of steps, and of the blocks of the key/value cache.</summary>
internal static class TransformerLimits
{
    /// <summary>Fewest tokens of context that are worth loading a model for, where memory does not allow its own.</summary>
    public const int ContextLengthMin = 512;

    /// <summary>Tokens computed in one step: the activations of so many stay in a second-level cache of 1 MiB.</summary>
    public const int StepTokensMax = 256;

    /// <summary>Rows of logits that a step with guesses has room for however few sequences there may be: the widest tile of columns.</summary>
    public const int DraftedRowsMin = 8;

    /// <summary>
    /// Rows of logits for prompt tokens that are scored: as many tokens as a step of others always takes of a prompt, 10 MB of a large vocabulary.
    /// </summary>
    public const int ScoredRows = 16;

    /// <summary>Tokens of one block of the key/value cache.</summary>
    public const int KvBlockTokens = 32;

    /// <summary>Tokens after which a snapshot of a state is kept: a step's, so that no prompt is read in smaller ones for it.</summary>
    public const int SnapshotTokens = 256;

    /// <summary>Most bytes of snapshots of states, within an eighth of what is free: 16 of a model with a state of 66 MB, more of others.</summary>
    public const long SnapshotBytes = 1L << 30;

    /// <summary>Bytes of key/value blocks taken from the system at once: a multiple of a huge page.</summary>
    public const long KvSlabBytes = 16 << 20;
}
