using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <summary>How an engine uses the machine.</summary>
public sealed record EngineOptions
{
    /// <summary>Threads that compute a step, at least 1. The default value is the number of processors.</summary>
    public int ThreadCount { get; init; } = Environment.ProcessorCount;

    /// <summary>Sequences that decode in one batch, at least 1. The default value is 16.</summary>
    public int SlotCount { get; init; } = EngineLimits.SlotCount;

    /// <summary>Generations that wait for a slot before new ones are refused. The default value is 128.</summary>
    public int QueueCapacity { get; init; } = EngineLimits.QueueCapacity;

    /// <summary>
    /// Most tokens that are guessed at a time for one sequence, from what its own text says, where that is expected to save time; 0 guesses
    /// none. Answers are the same with any value. The default value is 7: with the known one, a tile of columns.
    /// </summary>
    public int DraftTokensMax { get; init; } = EngineLimits.DraftTokensMax;

    /// <summary>
    /// Most tokens kept in the key/value cache over all sequences. The default value is null: a full context for every slot, within half of the
    /// free memory.
    /// </summary>
    public long? KvTokenCapacity { get; init; }

    /// <summary>
    /// In what keys and values are kept. The default value is <see cref="KvCacheType.F16"/>; <see cref="KvCacheType.Q8_0"/> takes a little more
    /// than half of its memory.
    /// </summary>
    public KvCacheType CacheType { get; init; }

    /// <summary>Most tokens of prompt and answer together, at least 1. The default value is null: those of the file, as far as memory reaches.</summary>
    public int? ContextLengthMax { get; init; }
}
