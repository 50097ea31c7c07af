namespace Sluice.Inference.Scheduling;

/// <summary>
/// Receives what a generation produces, on the engine's thread, in order. Implementations must not block and must not throw:
/// every other stream waits meanwhile. Exactly one of <see cref="OnCompleted"/>, <see cref="OnCancelled"/>, <see cref="OnSuspended"/> and
/// <see cref="OnFailed"/> is called, last.
/// </summary>
public interface IGenerationSink
{
    /// <summary>More text of one choice.</summary>
    /// <param name="choiceIndex">From 0; see <see cref="GenerationRequest.FurtherPrompts"/>.</param>
    /// <param name="utf8">
    /// Whole code points, never empty unless tokens of an echoed prompt print nothing; valid during the call only.
    /// </param>
    /// <param name="tokens">The tokens that ended in this text, with their log probabilities; empty when none were asked for.</param>
    void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens);

    /// <summary>More of the reasoning of one choice, before its text. Only with <see cref="GenerationRequest.Answer"/>.</summary>
    /// <param name="choiceIndex">0 to <see cref="GenerationRequest.ChoiceCount"/> - 1.</param>
    /// <param name="utf8">Whole code points, never empty; valid during the call only.</param>
    void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8);

    /// <summary>A call of a tool begins. Its arguments follow before anything else of the choice. Only with <see cref="GenerationRequest.Answer"/>.</summary>
    /// <param name="choiceIndex">0 to <see cref="GenerationRequest.ChoiceCount"/> - 1.</param>
    /// <param name="callIndex">From 0, for each choice.</param>
    /// <param name="tool">Name of the tool: one of the request's.</param>
    void OnToolCall(int choiceIndex, int callIndex, string tool);

    /// <summary>More of the arguments of the call that began last.</summary>
    /// <param name="choiceIndex">0 to <see cref="GenerationRequest.ChoiceCount"/> - 1.</param>
    /// <param name="callIndex">The call's.</param>
    /// <param name="utf8Json">Text of a JSON object, whole code points, never empty; valid during the call only.</param>
    void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json);

    /// <summary>Text that another sink was given, before the generation was suspended. The default does nothing.</summary>
    /// <param name="choiceIndex">As in <see cref="OnText"/>.</param>
    /// <param name="utf8">Valid during the call only.</param>
    void OnReplayedText(int choiceIndex, ReadOnlySpan<byte> utf8)
    {
    }

    /// <summary>A call that another sink was told of, before the generation was suspended: <see cref="OnToolArguments"/> may follow for it. The default does nothing.</summary>
    /// <param name="choiceIndex">0 to <see cref="GenerationRequest.ChoiceCount"/> - 1.</param>
    /// <param name="callIndex">From 0, for each choice.</param>
    /// <param name="tool">Name of the tool.</param>
    void OnReplayedToolCall(int choiceIndex, int callIndex, string tool)
    {
    }

    /// <summary>Arguments that another sink was given, before the generation was suspended. The default does nothing.</summary>
    /// <param name="choiceIndex">0 to <see cref="GenerationRequest.ChoiceCount"/> - 1.</param>
    /// <param name="callIndex">The call's.</param>
    /// <param name="utf8Json">Valid during the call only.</param>
    void OnReplayedToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json)
    {
    }

    /// <summary>A stop sequence ends the choice; <see cref="OnFinished"/> follows. The default does nothing.</summary>
    /// <param name="choiceIndex">0 to <see cref="GenerationRequest.ChoiceCount"/> - 1.</param>
    /// <param name="text">One of the request's.</param>
    void OnStopSequence(int choiceIndex, string text)
    {
    }

    /// <summary>One choice has ended.</summary>
    void OnFinished(int choiceIndex, FinishReason reason);

    /// <summary>Every choice has ended.</summary>
    void OnCompleted(GenerationUsage usage);

    /// <summary>The generation was cancelled; <paramref name="usage"/> counts what was computed.</summary>
    void OnCancelled(GenerationUsage usage);

    /// <summary>The generation was suspended, and can be gone on with by <see cref="GenerationRequest.From"/>; <paramref name="usage"/> counts what was computed.</summary>
    void OnSuspended(GenerationProgress progress, GenerationUsage usage);

    /// <summary>
    /// The engine could not go on. A <see cref="Grammars.GrammarException"/> says that the request is at fault, and a
    /// <see cref="GenerationDisplacedException"/> that the generation never started, because other callers need its place.
    /// </summary>
    void OnFailed(Exception error);
}

/// <summary>Why a choice ended.</summary>
public enum FinishReason
{
    /// <summary>An end-of-generation token or a stop sequence.</summary>
    Stop,

    /// <summary>The same, in an answer that calls tools.</summary>
    ToolCalls,

    /// <summary>The token limit or the end of the context.</summary>
    Length,

    /// <summary>The answer only repeated itself; only with <see cref="GenerationRequest.RepetitionWindow"/>.</summary>
    Repetition,

    /// <summary><see cref="GenerationRequest.MayContinue"/> refused a further token.</summary>
    Exhausted,
}

/// <summary>Tokens counted over all choices of one generation; each prompt counts once.</summary>
/// <param name="PromptTokens">Tokens of the prompts.</param>
/// <param name="CachedPromptTokens">Those of them that were not computed again.</param>
/// <param name="CompletionTokens">Tokens generated, an end-of-generation token included.</param>
/// <param name="ReasoningTokens">Those of them that were reasoning.</param>
public readonly record struct GenerationUsage(int PromptTokens, int CachedPromptTokens, int CompletionTokens, int ReasoningTokens = 0);

/// <summary>A generated token with the natural log of its probability before any sampling parameter.</summary>
/// <param name="Token">Token id.</param>
/// <param name="Bytes">Bytes of the token's text; may be part of a code point.</param>
/// <param name="Logprob">At most 0.</param>
/// <param name="Top">Most likely tokens, best first; as many as were asked for.</param>
public sealed record TokenLogprob(int Token, ReadOnlyMemory<byte> Bytes, float Logprob, IReadOnlyList<TokenAlternative> Top)
{
    /// <summary>Whether it is the first token of a prompt: nothing is before it that would give it a probability.</summary>
    public bool IsFirst { get; init; }
}

/// <summary>One of the most likely tokens at a position.</summary>
/// <param name="Token">Token id.</param>
/// <param name="Bytes">Bytes of the token's text.</param>
/// <param name="Logprob">Natural log of its probability.</param>
public readonly record struct TokenAlternative(int Token, ReadOnlyMemory<byte> Bytes, float Logprob);
