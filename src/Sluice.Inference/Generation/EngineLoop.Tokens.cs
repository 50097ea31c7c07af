using System.Diagnostics;
using Sluice.Inference.Grammars;
using Sluice.Inference.Sampling;

namespace Sluice.Inference.Generation;

/// <content>From the logits of a choice to its next token, and to those that can't but follow.</content>
internal sealed partial class EngineLoop
{
    private TokenMasks? _masks;
    private ForcedTokens? _forced;

    private void TakeToken(ChoiceState choice, Span<float> logits)
    {
        GenerationRequest request = choice.Generation.Request;
        ReadOnlySpan<ulong> allowed = [];
        if (request.Answer is { CallThreshold: { } threshold } plan && choice.GeneratedCount == 0 && choice.Matcher == null
            && logits[plan.CallToken] - LogprobReader.LogSumExp(logits) >= threshold)
        {
            choice.Matcher = new GrammarMatcher(plan.Forced!);
        }

        if (choice.Matcher != null)
        {
            _masks ??= new TokenMasks(_tokenTrie.Value);
            allowed = _masks.Find(choice.Matcher);
            if (allowed.IsEmpty)
            {
                Fail(choice.Generation, new InvalidOperationException("The model's vocabulary can't write what the grammar asks for."));
                return;
            }
        }

        double? logSum = request.Sampling.TopLogprobs == null ? null : LogprobReader.LogSumExp(logits);
        TokenAlternative[] top = logSum is { } sum ? Alternatives(logits, request.Sampling.TopLogprobs!.Value, sum) : [];
        float[]? raw = logSum == null || request.Sampling is { Temperature: <= 0, LogitBias: null, PresencePenalty: 0, FrequencyPenalty: 0, RepetitionPenalty: 1 }
            ? null
            : logits.ToArray();
        int token = choice.Sampler.Sample(logits, choice.GeneratedCount, allowed);
        TokenLogprob? logprob = logSum is { } total
            ? new TokenLogprob(token, _model.Tokenizer.GetBytes(token), (float)((raw?[token] ?? logits[token]) - total), top)
            : null;
        choice.Tokens.Add(token);
        if (_model.Tokenizer.IsEndOfGeneration(token))
        {
            Finish(choice, FinishReason.Stop);
            return;
        }

        FinishReason? end = Append(choice, token, logprob) ?? Deliver(choice);
        if (end == null && choice.Matcher != null && logSum == null)
        {
            end = AppendForced(choice, choice.Matcher) ?? Deliver(choice);
        }

        if (end is { } reason)
        {
            Finish(choice, reason);
        }
    }

    private FinishReason? AppendForced(ChoiceState choice, GrammarMatcher matcher)
    {
        _forced ??= new ForcedTokens(_tokenTrie.Value);
        foreach (int token in _forced.Find(matcher))
        {
            choice.Tokens.Add(token);
            choice.Sampler.Observe(token);
            if (Append(choice, token, null) is { } end)
            {
                return end;
            }
        }

        return null;
    }

    // Returns why the choice has to end after the token, if it has to.
    private FinishReason? Append(ChoiceState choice, int token, TokenLogprob? logprob)
    {
        ReadOnlySpan<byte> bytes = Bytes(choice, token);
        choice.ReasoningCount += choice.Answer?.IsReasoning == true ? 1 : 0;
        bool isAllowed = choice.Matcher is not { } matcher
            || (_model.Tokenizer.GetBytes(token).IsEmpty ? matcher.TryAdvance(token) : matcher.TryAdvance(bytes));
        Debug.Assert(isAllowed, "A mask allows only what its grammar accepts.");
        bool isStop = choice.Text.Append(bytes, logprob);
        if (choice.Matcher?.IsExhausted == true)
        {
            isStop |= !choice.IsMatcherPartial;
            choice.Matcher = null;
        }

        if (isStop)
        {
            return FinishReason.Stop;
        }

        return choice.GeneratedCount < choice.TokenLimit ? null : choice.Text.Finish() ? FinishReason.Stop : FinishReason.Length;
    }

    // Control tokens print nothing, but some of them begin calls or reasoning.
    private ReadOnlySpan<byte> Bytes(ChoiceState choice, int token)
    {
        ReadOnlySpan<byte> bytes = _model.Tokenizer.GetBytes(token).Span;
        return bytes.IsEmpty && choice.Generation.Request.Answer?.Markers.TryGetValue(token, out byte[]? marker) == true ? marker : bytes;
    }

    private TokenAlternative[] Alternatives(ReadOnlySpan<float> logits, int count, double logSum)
    {
        int[] best = LogprobReader.Top(logits, count);
        var alternatives = new TokenAlternative[best.Length];
        for (int i = 0; i < best.Length; i++)
        {
            alternatives[i] = new TokenAlternative(best[i], _model.Tokenizer.GetBytes(best[i]), (float)(logits[best[i]] - logSum));
        }

        return alternatives;
    }
}
