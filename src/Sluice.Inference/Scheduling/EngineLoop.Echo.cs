using Sluice.Inference.Sampling;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <content>
/// Prompts that are delivered in front of their choices. With log probabilities they are read a few tokens per step, because each of them needs
/// a row of logits, and what has been computed is delivered at once to all choices of the prompt.
/// </content>
internal sealed partial class EngineLoop
{
    // Whether nothing remains to be computed for the choice: then it has ended.
    private bool EchoAll(ChoiceState choice)
    {
        GenerationRequest request = choice.Generation.Request;
        if (request.Echo == null)
        {
            return false;
        }

        lock (choice.Generation.Gate)
        {
            while (!request.IsScored && choice.EchoedCount < choice.PromptLength)
            {
                choice.Echo(Math.Min(choice.PromptLength, choice.EchoedCount + EngineLimits.EchoTokens), []);
            }

            if (choice.TokenLimit > 0 || choice.IsScoring)
            {
                return false;
            }

            KeepPrompt(choice);
            Finish(choice, FinishReason.Length);
            return true;
        }
    }

    // The logits of a token score the one behind it.
    private void Score(ChoiceState choice, in StepRun run)
    {
        int end = run.Start + run.Count;
        int first = choice.EchoedCount;
        int known = Math.Min(choice.PromptLength, end + 1);
        if (known <= first)
        {
            return;
        }

        var scores = new TokenLogprob[known - first];
        for (int i = 0; i < scores.Length; i++)
        {
            int token = first + i;
            scores[i] = token == 0
                ? new TokenLogprob(choice.Tokens[0], choice.Prompt.Echo!.BytesOf(0), 0, []) { IsFirst = true }
                : ScoreOf(choice, token, _model.Logits(run.FirstLogitRow + run.LogitCount - (end - token) - 1));
        }

        lock (choice.Generation.Gate)
        {
            foreach (ChoiceState other in choice.Generation.ChoicesOf(choice.Prompt))
            {
                other.Echo(known, scores);
            }
        }
    }

    private TokenLogprob ScoreOf(ChoiceState choice, int index, ReadOnlySpan<float> logits)
    {
        double sum = LogprobReader.LogSumExp(logits);
        int token = choice.Tokens[index];
        return new TokenLogprob(
            token, choice.Prompt.Echo!.BytesOf(index), (float)(logits[token] - sum),
            Alternatives(logits, choice.Generation.Request.Sampling.TopLogprobs!.Value, sum));
    }
}
