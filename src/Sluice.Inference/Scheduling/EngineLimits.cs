namespace Sluice.Inference.Scheduling;

/// <summary>Bounds of an engine.</summary>
internal static class EngineLimits
{
    /// <summary>Sequences in one batch: beyond 16 columns a CPU gains little throughput and every stream gets slower.</summary>
    public const int SlotCount = 16;

    /// <summary>
    /// Waiting generations: with 16 slots and a few seconds each, about half a minute of waiting. A caller alone can fill the queue.
    /// </summary>
    public const int QueueCapacity = 128;

    /// <summary>
    /// Time in milliseconds that the prompts of others may add to a step while streams are decoding: about the gap that a reader notices.
    /// </summary>
    public const double PrefillShareMilliseconds = 40;

    /// <summary>Fewest prompt tokens of a step that has any: two tiles of columns.</summary>
    public const int PrefillTokensMin = 16;

    /// <summary>Prompt tokens of one piece where a prompt is delivered without log probabilities: some kilobytes of text.</summary>
    public const int EchoTokens = 1024;

    /// <summary>Tokens guessed at a time for one sequence: with the known one, the widest tile of columns that weights are multiplied with.</summary>
    public const int DraftTokensMax = 7;

    /// <summary>Longest estimate, in seconds, that a refused client is told to wait.</summary>
    public const int RetryAfterSecondsMax = 60;

    /// <summary>Tokens of the longest block whose repetition ends an answer: a line of a list or a table, not a page.</summary>
    public const int RepetitionPeriodMax = 64;
}
