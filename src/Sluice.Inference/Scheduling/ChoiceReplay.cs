using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// Brings a choice to where it stood: its tokens pass through sampler, grammar, text and reader once more, and the sink hears nothing. Runs on
/// the thread of whoever submits, before the engine knows of the generation.
/// </summary>
internal static class ChoiceReplay
{
    /// <exception cref="GenerationDivergedException">The tokens don't give what they gave.</exception>
    public static void Run(ChoiceState choice, ChoiceProgress progress, TokenWriter writer, Tokenizer tokenizer)
    {
        choice.Begin();
        choice.Output.IsMuted = true;
        choice.ReplayLimit = progress.Tokens.Count;
        bool hasLogprobs = choice.Generation.Request.Sampling.TopLogprobs != null;
        if (progress.IsCallForced)
        {
            choice.ForceCall();
        }

        if (progress.EchoedCount > 0)
        {
            if (choice.Prompt.Echo == null || progress.EchoedCount > choice.PromptLength)
            {
                throw Diverged("its prompt was not delivered like this");
            }

            choice.Echo(progress.EchoedCount, []);
        }

        // Where no token may follow the prompt, it has ended without one.
        FinishReason? end = choice.TokenLimit == 0 ? progress.Finish : null;
        while (end == null && choice.GeneratedCount < progress.Tokens.Count)
        {
            int token = progress.Tokens[choice.GeneratedCount];
            if ((uint)token >= (uint)tokenizer.VocabularySize)
            {
                throw Diverged("a token is not in the model's vocabulary");
            }

            TokenLogprob? logprob = hasLogprobs ? Logprob(progress, choice.GeneratedCount, token, tokenizer) : null;
            choice.Sampler.Observe(token);
            end = writer.Take(choice, token, logprob);
            if (choice.IsOffGrammar)
            {
                throw Diverged("a token is not allowed by the grammar");
            }
        }

        // That depended on what others used, and not on the tokens.
        if (end == null && progress.Finish == FinishReason.Exhausted)
        {
            choice.Text.Finish();
            end = FinishReason.Exhausted;
        }

        if (end is { } reason)
        {
            TokenWriter.Flush(choice);
            choice.Finish(reason);
        }

        if (!choice.Tokens.Skip(choice.PromptLength).SequenceEqual(progress.Tokens) || choice.EndReason != progress.Finish
            || choice.Output.Digest != progress.OutputDigest || (hasLogprobs && end == null && choice.HeldCount != progress.Held.Count))
        {
            throw Diverged("the tokens give another text than before");
        }

        choice.Output.IsMuted = false;
        choice.ReplayLimit = int.MaxValue;
        choice.IsReplayed = true;
    }

    private static GenerationDivergedException Diverged(string what) => new($"The answer can't be resumed: {what}.");

    // Of what the sink has been told the figures are gone, and nobody asks for them again.
    private static TokenLogprob Logprob(ChoiceProgress progress, int position, int token, Tokenizer tokenizer)
    {
        int held = position - (progress.Tokens.Count - progress.Held.Count);
        if (held < 0)
        {
            return new TokenLogprob(token, tokenizer.GetBytes(token), 0, []);
        }

        TokenLogprob kept = progress.Held[held];
        return kept with
        {
            Token = token,
            Bytes = tokenizer.GetBytes(token),
            Top = [.. kept.Top.Select(top => top with { Bytes = tokenizer.GetBytes(top.Token) })],
        };
    }
}
