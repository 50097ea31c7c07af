namespace Sluice.Cli.Bench;

/// <summary>How one request went. Times are zero where it did not come so far.</summary>
/// <param name="Fault">In a few words, the same for the same kind; null when the stream was complete.</param>
/// <param name="FirstToken">From the request to the first content.</param>
/// <param name="PerToken">Mean over the tokens after the first.</param>
/// <param name="Whole">From the request to the end.</param>
/// <param name="PromptTokens">By the server's count; 0 without one.</param>
/// <param name="OutputTokens">By the server's count, else the chunks with content.</param>
/// <param name="IsCounted">Whether the server has counted the tokens.</param>
internal readonly record struct StreamOutcome(
    string? Fault, TimeSpan FirstToken, TimeSpan PerToken, TimeSpan Whole, int PromptTokens, int OutputTokens, bool IsCounted);
