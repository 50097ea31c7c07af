using Sluice.Inference.Grammars;
using Sluice.Inference.ToolCalls;

namespace Sluice.Inference.Scheduling;

/// <content>From the text of a choice to its sink.</content>
internal sealed partial class TokenWriter
{
    // Returns why the choice has to end, if it has to.
    private static FinishReason? Deliver(ChoiceState choice)
    {
        if (!Deliver(choice, isLast: false))
        {
            return FinishReason.Stop;
        }

        if (choice.Answer != null && choice.Matcher == null)
        {
            FindMatcher(choice, choice.Answer, choice.Generation.Request.Answer!);
        }

        return null;
    }

    // False when the answer has to end: nothing of what follows is delivered.
    private static bool Deliver(ChoiceState choice, bool isLast)
    {
        ReadOnlySpan<byte> text = choice.Text.Take(isLast);
        IReadOnlyList<TokenLogprob> tokens = choice.Text.DeliveredTokens;
        if (choice.Answer == null)
        {
            if (text.Length > 0)
            {
                choice.Output.Text(text, tokens.Count == 0 ? [] : [.. tokens]);
            }

            return true;
        }

        if (tokens.Count > 0)
        {
            choice.HeldTokens.AddRange(tokens);
        }

        choice.Answer.Read(text, isLast);
        return DeliverParts(choice, choice.Answer);
    }

    private static bool DeliverParts(ChoiceState choice, AnswerReader answer)
    {
        AnswerPlan plan = choice.Generation.Request.Answer!;
        foreach (AnswerPart part in answer.Parts)
        {
            if (choice.IsCut)
            {
                return false;
            }

            switch (part.Kind)
            {
                case AnswerPartKind.Content:
                    choice.Output.Text(answer.Text(part), choice.HeldTokens.Count == 0 ? [] : [.. choice.HeldTokens]);
                    choice.HeldTokens.Clear();
                    break;
                case AnswerPartKind.Reasoning:
                    choice.Output.Reasoning(answer.Text(part));
                    choice.HeldTokens.Clear();
                    break;
                case AnswerPartKind.Call:
                    choice.HeldTokens.Clear();
                    choice.HasArguments = false;
                    choice.Output.ToolCall(choice.DeliveredCallCount++, plan.ToolName(part.Tool));
                    break;
                case AnswerPartKind.Arguments:
                    choice.HasArguments = true;
                    choice.Output.ToolArguments(choice.DeliveredCallCount - 1, answer.Text(part));
                    break;
                case AnswerPartKind.CallEnd:
                    if (!choice.HasArguments)
                    {
                        choice.Output.ToolArguments(choice.DeliveredCallCount - 1, "{}"u8);
                    }

                    choice.HeldTokens.Clear();
                    choice.IsCut = plan.EndsAfterCall;
                    break;
                default:
                    break;
            }
        }

        return !choice.IsCut;
    }

    // A call that has begun is held to its tool's schema; what is forced begins when the reasoning has ended.
    private static void FindMatcher(ChoiceState choice, AnswerReader answer, AnswerPlan plan)
    {
        if (answer.TryTakeAwaited(out int tool, out bool isNamed, out ReadOnlySpan<byte> since))
        {
            choice.Matcher = plan.Match(tool, isNamed, since);
            choice.IsMatcherPartial = true;
        }
        else if (choice.AwaitedGrammar is { } grammar && !answer.IsReasoning)
        {
            choice.AwaitedGrammar = null;
            choice.Matcher = new GrammarMatcher(grammar);
        }
    }
}
