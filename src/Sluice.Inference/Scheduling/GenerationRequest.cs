using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.ToolCalls;

namespace Sluice.Inference.Scheduling;

/// <summary>Prompts to continue, each of them <see cref="ChoiceCount"/> times. Mostly it is one prompt.</summary>
public sealed record GenerationRequest
{
    /// <summary>At least one token; shorter than the model's context length.</summary>
    public required IReadOnlyList<int> PromptTokens { get; init; }

    /// <summary>
    /// Further prompts, each as <see cref="PromptTokens"/>. Choice j of prompt i has the index i · <see cref="ChoiceCount"/> + j. The default
    /// value is none.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<int>> FurtherPrompts { get; init; } = [];

    /// <summary>
    /// The text of every prompt, to be delivered in front of each of its choices; with log probabilities of its tokens, where
    /// <see cref="SamplingParameters.TopLogprobs"/> asks for them. Null, the default value, delivers no prompts.
    /// </summary>
    public IReadOnlyList<PromptText>? Echo { get; init; }

    /// <summary>
    /// Most tokens generated per choice, at least 1, or 0 with <see cref="Echo"/>; cut to what the context has left.
    /// </summary>
    public required int MaxTokens { get; init; }

    /// <summary>Number of independent continuations of a prompt, at least 1. The choice of index i draws with a key derived from the seed and i.</summary>
    public int ChoiceCount { get; init; } = 1;

    /// <summary>How tokens are chosen.</summary>
    public SamplingParameters Sampling { get; init; } = new();

    /// <summary>
    /// What an answer may be; null is anything. Tokens that end an answer are allowed only where it is complete, and where nothing can
    /// follow it ends. Text that can't but follow is appended without sampling, unless log probabilities are asked for.
    /// </summary>
    public Grammar? Grammar { get; init; }

    /// <summary>How calls and reasoning are read from the answer, and what they may be. The default value is null: the answer is text.</summary>
    public AnswerPlan? Answer { get; init; }

    /// <summary>
    /// Whose prompt it is, the caller: what prompts begin with alike is computed once among those of one scope, and slots and places in the
    /// queue are shared out between scopes. The default value is the empty string.
    /// </summary>
    public string Scope { get; init; } = "";

    /// <summary>Generation ends before the first occurrence of any of these; no part of an occurrence is ever delivered.</summary>
    public IReadOnlyList<string> StopSequences { get; init; } = [];

    /// <summary>
    /// An answer whose newest tokens, this many, are one short block again and again ends with <see cref="FinishReason.Repetition"/>. Above
    /// 64 tokens, the longest such block. The default value, null, lets it run.
    /// </summary>
    public int? RepetitionWindow { get; init; }

    /// <summary>
    /// Asked on the engine's thread after each new token, over all choices, whether one more may be made; the first of each choice is not
    /// asked for. Must not block. The default value, null, allows all.
    /// </summary>
    public Func<NextToken>? MayContinue { get; init; }

    /// <summary>
    /// Where an earlier generation of the same request stopped, to go on from: the sink hears of nothing that was delivered before. The default
    /// value is null: from the beginning.
    /// </summary>
    public GenerationProgress? From { get; init; }

    /// <summary>Prompts in their order.</summary>
    internal IEnumerable<IReadOnlyList<int>> Prompts => FurtherPrompts.Prepend(PromptTokens);

    /// <summary>Whether the tokens of prompts have their log probabilities delivered.</summary>
    internal bool IsScored => Echo != null && Sampling.TopLogprobs != null;
}
