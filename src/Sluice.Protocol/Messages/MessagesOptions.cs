namespace Sluice.Protocol.Messages;

/// <summary>How a model is told to think where a request says how hard.</summary>
public enum ThinkingMode
{
    /// <summary>It decides by itself, and gets the effort as a word: models of Claude's generation 4.6 and later.</summary>
    Adaptive,

    /// <summary>It gets a number of tokens, a share of the answer's: earlier models.</summary>
    Budget,
}

/// <summary>What an upstream of Anthropic's Messages API is told beside the client's request.</summary>
/// <param name="Model">The model's name there.</param>
/// <param name="DefaultMaxTokens">Most tokens of an answer for a client that states none, at least 1: the API has no default.</param>
/// <param name="Thinking">What <c>reasoning_effort</c> becomes.</param>
/// <param name="TakesSampling">
/// Whether the version of the API has <c>temperature</c>, <c>top_p</c> and <c>top_k</c>. That of 2026-10-21 has none of them and
/// refuses what has.
/// </param>
public sealed record MessagesOptions(string Model, int DefaultMaxTokens, ThinkingMode Thinking, bool TakesSampling)
{
    /// <summary>Whether the version of the API has messages of the role <c>system</c> between the others, as that of 2026-10-21 does.</summary>
    public bool HasSystemTurns => !TakesSampling;

    /// <summary>
    /// Whether the request goes without the thinking of earlier turns, and so without thinking in this one: the API wants either all of a turn
    /// with tools or none. The default value is false.
    /// </summary>
    public bool LeavesOutThinking { get; init; }
}
