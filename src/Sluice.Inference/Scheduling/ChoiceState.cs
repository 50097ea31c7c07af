using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.ToolCalls;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// One continuation of a prompt. Owned by the engine's thread.
/// Invariant: Cache.Length &lt; Tokens.Count; a choice decodes when exactly one token is not cached, else it still reads its prompt.
/// </summary>
internal sealed class ChoiceState
{
    private Sampler? _sampler;
    private TextAssembler? _text;

    public ChoiceState(EngineGeneration generation, PromptState prompt, int index, int tokenLimit)
    {
        Generation = generation;
        Prompt = prompt;
        Index = index;
        TokenLimit = tokenLimit;
        Cache = new KvSequence { Scope = generation.Request.Scope };
        Output = new ChoiceOutput(generation.Sink, index);
    }

    public EngineGeneration Generation { get; }

    /// <summary>What it continues.</summary>
    public PromptState Prompt { get; }

    /// <summary>Over the choices of all prompts.</summary>
    public int Index { get; }

    /// <summary>Whether it is the one that reads its prompt; the others start from there.</summary>
    public bool IsReader => Index == Prompt.FirstChoice;

    /// <summary>Tokens of the prompt that the sink has been told of.</summary>
    public int EchoedCount { get; set; }

    /// <summary>
    /// Whether it reads a prompt whose tokens have their log probabilities delivered, and has not come to the last of them. The scores of
    /// the first <see cref="EchoedCount"/> tokens have been.
    /// </summary>
    public bool IsScoring => IsReader && Generation.Request.IsScored && EchoedCount < PromptLength;

    /// <summary>How many of the next tokens to compute have logits that score the token behind them.</summary>
    public int ScoredWithin(int count) => IsScoring ? Math.Max(0, Cache.Length + count - Math.Max(Cache.Length, EchoedCount - 1)) : 0;

    /// <summary>
    /// Most tokens that the cache may have of it without being computed: the last one always is, for its logits, and of a prompt that is
    /// scored everything from the last known score on.
    /// </summary>
    public int ReusableLength => IsScoring ? Math.Max(0, EchoedCount - 1) : Math.Max(Tokens.Count, PromptLength) - 1;

    /// <summary>Its caller's.</summary>
    public CallerShare Share => Generation.Share;

    /// <summary>Most tokens to generate.</summary>
    public int TokenLimit { get; }

    /// <summary>Generated tokens that are known already while it is brought to where it stood.</summary>
    public int ReplayLimit { get; set; } = int.MaxValue;

    /// <summary>Whether it has been brought to where it stood, and no token has followed since.</summary>
    public bool IsReplayed { get; set; }

    /// <summary>Where its text goes.</summary>
    public ChoiceOutput Output { get; }

    /// <summary>Prompt and generated tokens. They outlive the cache: a choice whose blocks were taken away is computed again from here.</summary>
    public List<int> Tokens { get; } = [];

    public KvSequence Cache { get; }

    /// <summary>Guesses at the tokens behind <see cref="Tokens"/>.</summary>
    public ChoiceDrafts Drafts { get; } = new();

    /// <summary>Most tokens that <see cref="Cache"/> has held: those of them that it gave away were computed or found before.</summary>
    public int ReachedLength { get; set; }

    public Sampler Sampler => _sampler!;

    public TextAssembler Text => _text!;

    /// <summary>How far the answer has come in its grammar; null without one.</summary>
    public GrammarMatcher? Matcher { get; set; }

    /// <summary>Whether <see cref="Matcher"/> holds for a part of the answer only, which goes on behind it.</summary>
    public bool IsMatcherPartial { get; set; }

    /// <summary>Reads calls and reasoning; null where the answer is only text.</summary>
    public AnswerReader? Answer { get; private set; }

    /// <summary>Notices that the answer only repeats; null where it may.</summary>
    public RepetitionGuard? Repetition { get; private set; }

    /// <summary>Generated tokens that were reasoning.</summary>
    public int ReasoningCount { get; set; }

    /// <summary>Tokens whose text the reader holds back.</summary>
    public List<TokenLogprob> HeldTokens { get; } = [];

    /// <summary>Calls that the sink has been told of.</summary>
    public int DeliveredCallCount { get; set; }

    /// <summary>Whether the sink has been given arguments of the last of them.</summary>
    public bool HasArguments { get; set; }

    /// <summary>Whether a call has ended that was to be the only one: nothing more is delivered.</summary>
    public bool IsCut { get; set; }

    /// <summary>What the rest of the answer has to be once its reasoning has ended.</summary>
    public Grammar? AwaitedGrammar { get; set; }

    public int PromptLength => Prompt.Tokens.Count;

    public int GeneratedCount => Math.Max(0, Tokens.Count - PromptLength);

    /// <summary>Tokens that the next steps have to compute, at least 1.</summary>
    public int PendingCount => Tokens.Count - Cache.Length;

    public bool IsDecoding => PendingCount == 1 && GeneratedCount > 0;

    /// <summary>Why it has ended; null while it goes on.</summary>
    public FinishReason? EndReason { get; private set; }

    public bool IsFinished => EndReason != null;

    /// <summary>Whether a call was decided for before the first token.</summary>
    public bool IsCallForced { get; private set; }

    /// <summary>Whether it has a token that its grammar didn't allow.</summary>
    public bool IsOffGrammar { get; set; }

    /// <summary>Tokens with log probabilities whose text has not been delivered: always the last ones.</summary>
    public int HeldCount => HeldTokens.Count + (_text?.HeldCount ?? 0);

    /// <summary>How far it has come.</summary>
    public ChoiceProgress Progress => new()
    {
        Tokens = GeneratedCount == 0 ? [] : [.. Tokens.Skip(PromptLength)],
        OutputDigest = Output.Digest,
        Finish = EndReason,
        IsCallForced = IsCallForced,
        EchoedCount = EchoedCount,
        ReachedPromptTokens = IsReader ? Math.Min(ReachedLength, PromptLength) : 0,
        CachedPromptTokens = IsReader ? Prompt.CachedTokens : 0,
        Held = IsFinished ? [] : [.. HeldTokens, .. _text?.GetHeldTokens() ?? []],
    };

    /// <summary>Order of admission: the youngest gives way first. 0 before the first one.</summary>
    public long Admission { get; set; }

    /// <summary>Takes up the prompt, at the first admission: what waits in the queue holds no copy of it, unless it goes on from somewhere. Once is enough.</summary>
    public void Begin()
    {
        if (_sampler != null)
        {
            return;
        }

        GenerationRequest request = Generation.Request;
        Tokens.AddRange(Prompt.Tokens);
        _sampler = new Sampler(request.Sampling, Index, Prompt.Tokens);
        Repetition = request.RepetitionWindow is { } window ? new RepetitionGuard(window) : null;
        Answer = request.Answer?.CreateReader();
        Grammar? grammar = request.Answer is { CallThreshold: null, Forced: { } forced } ? forced : request.Grammar;
        bool isLater = Answer?.IsReasoning == true;
        Matcher = grammar == null || isLater ? null : new GrammarMatcher(grammar);
        AwaitedGrammar = isLater ? grammar : null;
        _text = new TextAssembler(request.StopSequences, request.Sampling.TopLogprobs != null);
    }

    /// <summary>Delivers more of the prompt.</summary>
    /// <param name="tokenCount">So many of its tokens have been delivered then.</param>
    /// <param name="scores">Of those that are new; empty where none are asked for.</param>
    public void Echo(int tokenCount, ReadOnlySpan<TokenLogprob> scores)
    {
        PromptText text = Prompt.Echo!;
        Output.Echo(text.Utf8.Span[text.LengthOf(EchoedCount)..text.LengthOf(tokenCount)], scores);
        EchoedCount = tokenCount;
    }

    /// <summary>The answer is a call from its first token on.</summary>
    public void ForceCall()
    {
        IsCallForced = true;
        Matcher = new GrammarMatcher(Generation.Request.Answer!.Forced!);
    }

    /// <summary>No token follows, and everything else has been delivered.</summary>
    public void Finish(FinishReason reason)
    {
        EndReason = reason == FinishReason.Stop && Answer is { CallCount: > 0, HasCutCall: false } ? FinishReason.ToolCalls : reason;
        if (reason == FinishReason.Stop && _text?.StopSequence is { } text)
        {
            Output.StopSequence(text);
        }

        Output.Finished(EndReason.Value);
    }
}
