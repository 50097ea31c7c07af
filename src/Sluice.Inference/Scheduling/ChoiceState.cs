using Sluice.Inference.Grammars;
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

    public ChoiceState(EngineGeneration generation, int index, int tokenLimit)
    {
        Generation = generation;
        Index = index;
        TokenLimit = tokenLimit;
        Cache = new KvSequence { Scope = generation.Request.Scope };
        Output = new ChoiceOutput(generation.Sink, index);
    }

    public EngineGeneration Generation { get; }

    public int Index { get; }

    /// <summary>Its caller's.</summary>
    public CallerShare Share => Generation.Share;

    /// <summary>Most tokens to generate.</summary>
    public int TokenLimit { get; }

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
    public AnswerParser? Answer { get; private set; }

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

    public int PromptLength => Generation.Request.PromptTokens.Count;

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
        Tokens.AddRange(request.PromptTokens);
        _sampler = new Sampler(request.Sampling, Index, request.PromptTokens);
        Answer = request.Answer?.CreateReader();
        Grammar? grammar = request.Answer is { CallThreshold: null, Forced: { } forced } ? forced : request.Grammar;
        bool isLater = Answer?.IsReasoning == true;
        Matcher = grammar == null || isLater ? null : new GrammarMatcher(grammar);
        AwaitedGrammar = isLater ? grammar : null;
        _text = new TextAssembler(request.StopSequences, request.Sampling.TopLogprobs != null);
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
        Output.Finished(EndReason.Value);
    }
}
