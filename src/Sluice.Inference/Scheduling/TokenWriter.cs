using Sluice.Inference.Grammars;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// From a choice's next token to its text, and to the tokens that can't but follow. What it does depends on the tokens alone, so that the same
/// ones give the same pieces again. For one thread.
/// </summary>
internal sealed partial class TokenWriter(Tokenizer tokenizer, Lazy<TokenTrie> tokenTrie)
{
    private ForcedTokens? _forced;

    // Whether the last token of the present choice is not to be followed now.
    private bool _isLater;

    /// <summary>Takes up a token and delivers what has become text.</summary>
    /// <param name="choice">Its sampler knows the token already.</param>
    /// <param name="token">Id.</param>
    /// <param name="logprob">Null where none are asked for.</param>
    /// <returns>Why the choice has to end, if it has to; then <see cref="Flush"/> delivers the rest.</returns>
    public FinishReason? Take(ChoiceState choice, int token, TokenLogprob? logprob)
    {
        _isLater = false;
        choice.Tokens.Add(token);
        if (tokenizer.IsEndOfGeneration(token))
        {
            return FinishReason.Stop;
        }

        FinishReason? end = Append(choice, token, logprob) ?? Deliver(choice);
        if (end == null && choice.Matcher != null && logprob == null && !_isLater)
        {
            end = AppendForced(choice, choice.Matcher) ?? Deliver(choice);
        }

        return end;
    }

    /// <summary>
    /// Appends the text that can't but follow, of a choice that has just been brought to where it stood: it may have stopped within it.
    /// </summary>
    /// <param name="choice">With a grammar, and without log probabilities.</param>
    /// <param name="end">As of <see cref="Take"/>.</param>
    /// <returns>False where nothing is forced, and the next token has to be sampled.</returns>
    public bool TryTakeForced(ChoiceState choice, out FinishReason? end)
    {
        _isLater = false;
        int before = choice.GeneratedCount;
        end = AppendForced(choice, choice.Matcher!) ?? Deliver(choice);
        return choice.GeneratedCount > before || end != null;
    }

    /// <summary>Delivers what is held back: no token follows.</summary>
    public static void Flush(ChoiceState choice)
    {
        choice.Text.Finish();
        Deliver(choice, isLast: true);
    }

    private FinishReason? AppendForced(ChoiceState choice, GrammarMatcher matcher)
    {
        _forced ??= new ForcedTokens(tokenTrie.Value);
        foreach (int token in _forced.Find(matcher))
        {
            // What stopped within such a text is brought to where it was, and no further.
            if (choice.GeneratedCount >= choice.ReplayLimit || _isLater)
            {
                break;
            }

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
            || (tokenizer.GetBytes(token).IsEmpty ? matcher.TryAdvance(token) : matcher.TryAdvance(bytes));
        if (!isAllowed && !choice.Output.IsMuted)
        {
            // A mask allows only what its grammar accepts, unless so much is open at once that each of them drops something else.
            throw new GrammarException("too many alternatives are open at the same place to tell which of them the answer is");
        }

        choice.IsOffGrammar |= !isAllowed;
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

        bool repeats = choice.Repetition?.Add(choice.Tokens, choice.GeneratedCount) == true;
        if (repeats || choice.GeneratedCount >= choice.TokenLimit)
        {
            return choice.Text.Finish() ? FinishReason.Stop : repeats ? FinishReason.Repetition : FinishReason.Length;
        }

        // A token that was made before is asked for no more.
        if (choice.Output.IsMuted || choice.Generation.Request.MayContinue is not { } mayContinue || mayContinue() is var next && next == NextToken.Allowed)
        {
            return null;
        }

        if (next == NextToken.Later)
        {
            _isLater = true;
            choice.Generation.Suspend();
            return null;
        }

        return choice.Text.Finish() ? FinishReason.Stop : FinishReason.Exhausted;
    }

    // Control tokens print nothing, but some of them begin calls or reasoning.
    private ReadOnlySpan<byte> Bytes(ChoiceState choice, int token)
    {
        ReadOnlySpan<byte> bytes = tokenizer.GetBytes(token).Span;
        return bytes.IsEmpty && choice.Generation.Request.Answer?.Markers.TryGetValue(token, out byte[]? marker) == true ? marker : bytes;
    }
}
