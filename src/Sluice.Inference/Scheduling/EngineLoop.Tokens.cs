using Sluice.Inference.Grammars;
using Sluice.Inference.Sampling;

namespace Sluice.Inference.Scheduling;

/// <content>From the logits of a choice to its next token.</content>
internal sealed partial class EngineLoop
{
    private TokenMasks? _masks;

    private void TakeToken(ChoiceState choice, Span<float> logits)
    {
        GenerationRequest request = choice.Generation.Request;
        ReadOnlySpan<ulong> allowed = [];
        if (request.Answer is { CallThreshold: { } threshold } plan && choice.GeneratedCount == 0 && choice.Matcher == null
            && logits[plan.CallToken] - LogprobReader.LogSumExp(logits) >= threshold)
        {
            choice.ForceCall();
        }

        bool isReplayed = choice.IsReplayed;
        choice.IsReplayed = false;
        if (isReplayed && choice.Matcher != null && request.Sampling.TopLogprobs == null && choice.GeneratedCount > 0
            && _writer.TryTakeForced(choice, out FinishReason? forcedEnd))
        {
            if (forcedEnd is { } reason)
            {
                Finish(choice, reason);
            }

            return;
        }

        if (choice.Matcher != null)
        {
            _masks ??= new TokenMasks(_tokenTrie.Value);
            allowed = _masks.Find(choice.Matcher);
            if (allowed.IsEmpty)
            {
                Fail(choice.Generation, new GrammarException("the model's vocabulary can't write what has to come next, such as a character that only a pattern allows"));
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
        if (_writer.Take(choice, token, logprob) is { } end)
        {
            Finish(choice, end);
        }
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
