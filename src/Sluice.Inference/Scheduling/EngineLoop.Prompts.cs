using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <content>How much of which prompt a step computes, and what of it others have computed already.</content>
internal sealed partial class EngineLoop
{
    // Behind the decoding choices: the shortest remainder first, within what is left of the step.
    private void PlanPrompts(int room)
    {
        double milliseconds = _planned.Count == 0 ? double.PositiveInfinity : EngineLimits.PrefillShareMilliseconds;
        int least = EngineLimits.PrefillTokensMin;
        int scoredRows = _model.ScoredRowCapacity;
        _order.RemoveAll(static choice => choice.IsDecoding);
        _order.Sort(static (a, b) =>
            a.PendingCount != b.PendingCount ? a.PendingCount.CompareTo(b.PendingCount) : a.Admission.CompareTo(b.Admission));
        foreach (ChoiceState choice in _order)
        {
            if (room <= 0 || (least <= 0 && milliseconds <= 0))
            {
                return;
            }

            // One that gave its blocks away for another just now takes none before it is admitted again.
            if (!_active.Contains(choice))
            {
                continue;
            }

            Reuse(choice);
            int within = Math.Max(least, _cost.TokensWithin(milliseconds, choice.Cache.Length));
            int count = Math.Min(Math.Min(room, within), choice.PendingCount);
            count = Math.Min(count, choice.PendingCount - choice.ScoredWithin(choice.PendingCount) + scoredRows);
            count = _model.Cache.StepWithin(choice.Cache.Length, count, choice.ReusableLength);
            if (count > 0 && !IsComputedBeside(choice) && HasRoom(choice, count))
            {
                _planned.Add((choice, count));
                room -= count;
                scoredRows -= choice.ScoredWithin(count);
                least -= count;
                milliseconds -= _cost.Estimate(choice.Cache.Length, count);
            }
        }
    }

    // Whether another choice completes in this very step the block that this one needs next. It is worth one step to wait for it; more is
    // never waited for, since whoever computes may be cancelled or lose its turn.
    private bool IsComputedBeside(ChoiceState choice)
    {
        int start = choice.Cache.Path.Count * TransformerLimits.KvBlockTokens;
        int end = start + TransformerLimits.KvBlockTokens;
        if (end > choice.ReusableLength)
        {
            return false;
        }

        foreach ((ChoiceState other, int count) in _planned)
        {
            if (other.Cache.Length + count >= end && other.Cache.Scope == choice.Cache.Scope && other.Cache.Path.Count == choice.Cache.Path.Count
                && (start == 0 || other.Cache.Path[^1] == choice.Cache.Path[^1]) && HasSame(choice.Tokens, other.Tokens, start, end))
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasSame(List<int> a, List<int> b, int start, int end)
    {
        for (int i = start; i < end; i++)
        {
            if (a[i] != b[i])
            {
                return false;
            }
        }

        return true;
    }

    private void Reuse(ChoiceState choice)
    {
        _model.Cache.Reuse(choice.Cache, choice.Tokens, choice.ReusableLength);
        int reached = Math.Min(choice.Cache.Length, choice.PromptLength);
        if (choice.IsReader && reached > choice.ReachedLength)
        {
            choice.Prompt.CachedTokens += reached - choice.ReachedLength;
        }

        choice.ReachedLength = Math.Max(choice.ReachedLength, choice.Cache.Length);
    }

    private void Advance(ChoiceState choice, int count)
    {
        choice.Cache.Length += count;
        choice.ReachedLength = Math.Max(choice.ReachedLength, choice.Cache.Length);
        _model.Cache.Publish(choice.Cache, choice.Tokens, choice.ReusableLength);
    }

    private void Retire(ChoiceState choice) => _model.Cache.Retire(choice.Cache, choice.Tokens);

    // Further choices share the full blocks of the prompt; what is in the last one they copy, before the first choice writes on in it.
    private void KeepPrompt(ChoiceState choice)
    {
        EngineGeneration generation = choice.Generation;
        if (choice.Prompt.IsRead)
        {
            return;
        }

        choice.Prompt.IsRead = true;
        ReadOnlySpan<ChoiceState> choices = generation.ChoicesOf(choice.Prompt);
        if (choices.Length > 1)
        {
            _model.Cache.KeepTail(choice.Cache, choice.Tokens);
        }

        // Where the first choice had ended before, the others have waited from the beginning.
        if (choice.IsReader)
        {
            foreach (ChoiceState further in choices[1..])
            {
                Queue(further);
            }
        }
    }
}
