using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <content>
/// Who gets a slot. A free slot goes to the caller that holds the fewest, then to the oldest generation. A caller alone gets all of them.
/// A caller that holds none doesn't wait for a free one: it takes one back from the caller with the most. The choice that loses it waits
/// with its tokens and resumes from them, to the same answer. Nobody takes back more than a first slot, so each caller that comes stops
/// at most one stream.
/// </content>
internal sealed partial class EngineLoop
{
    private readonly List<CallerShare> _callers = [];
    private int _waitingCount;
    private long _generationNumber;

    public void Accept(EngineGeneration generation)
    {
        generation.Number = ++_generationNumber;
        generation.Share = ShareOf(generation.Request.Scope);
        _generations.Add(generation);

        // Further choices start from what the first one of their prompt has read, so they wait until then.
        foreach (PromptState prompt in generation.Prompts)
        {
            ReadOnlySpan<ChoiceState> choices = generation.ChoicesOf(prompt);
            foreach (ChoiceState choice in choices[..(choices[0].IsFinished ? choices.Length : 1)])
            {
                Queue(choice);
            }
        }
    }

    private CallerShare ShareOf(string scope)
    {
        foreach (CallerShare share in _callers)
        {
            if (share.Scope == scope)
            {
                return share;
            }
        }

        var added = new CallerShare(scope);
        _callers.Add(added);
        return added;
    }

    private void Admit()
    {
        while (_waitingCount > 0)
        {
            CallerShare share = FindNext();
            ChoiceState choice = share.Waiting.Min!;
            if (_active.Count < _slotCount && HasRoomToStart(choice))
            {
                Unqueue(choice);
                Start(choice);
            }
            else if (!TryTakeBack(share))
            {
                break;
            }
        }

        _activeCount = _active.Count;
    }

    // At least one choice has to wait.
    private CallerShare FindNext()
    {
        CallerShare? next = null;
        ChoiceState? oldest = null;
        foreach (CallerShare share in _callers)
        {
            if (share.Waiting.Min is { } first && (next == null || share.SlotCount < next.SlotCount
                || (share.SlotCount == next.SlotCount && first.Generation.Number < oldest!.Generation.Number)))
            {
                (next, oldest) = (share, first);
            }
        }

        return next!;
    }

    // Only from a caller that keeps another one: otherwise the slot would go back at once.
    private bool TryTakeBack(CallerShare share)
    {
        if (share.SlotCount > 0 || FindLast() is not { Share.SlotCount: > 1 } last)
        {
            return false;
        }

        Evict(last);
        return true;
    }

    // The youngest choice of the callers with the most slots. The oldest choice of all is the last one only when it is alone, so
    // it always proceeds.
    private ChoiceState FindLast()
    {
        ChoiceState last = _active[0];
        foreach (ChoiceState choice in _active)
        {
            int difference = choice.Share.SlotCount - last.Share.SlotCount;
            if (difference > 0 || (difference == 0 && choice.Admission > last.Admission))
            {
                last = choice;
            }
        }

        return last;
    }

    // It keeps its tokens, and as long as nobody needs them its blocks.
    private void Evict(ChoiceState choice)
    {
        Release(choice);
        Retire(choice);
        Queue(choice);
    }

    // All its tokens and one block for every stream that is running: otherwise it would be evicted again at once.
    private bool HasRoomToStart(ChoiceState choice)
    {
        if (_active.Count == 0)
        {
            return true;
        }

        IReadOnlyList<int> tokens = choice.Tokens.Count > 0 ? choice.Tokens : choice.Prompt.Tokens;
        int shared = _model.Cache.CountInUse(choice.Cache.Scope, tokens, choice.ReusableLength);
        return _model.Cache.AvailableCount >= (tokens.Count / TransformerLimits.KvBlockTokens) + 1 - shared + _active.Count;
    }

    private void Start(ChoiceState choice)
    {
        EngineGeneration generation = choice.Generation;
        if (!_startTimes.ContainsKey(generation))
        {
            if (!_queue.TryStart(generation))
            {
                DropIfStopped(generation);
                return;
            }

            _startTimes.Add(generation, _time.GetTimestamp());
        }

        if (choice.Admission == 0)
        {
            lock (generation.Gate)
            {
                choice.Begin();
            }

            generation.StartedCount++;
        }

        if (EchoAll(choice))
        {
            return;
        }

        Reuse(choice);
        choice.Admission = ++_admissions;
        choice.Share.SlotCount++;
        _active.Add(choice);
    }

    private void Queue(ChoiceState choice)
    {
        if (!choice.IsFinished && choice.Share.Waiting.Add(choice))
        {
            _waitingCount++;
        }
    }

    private void Unqueue(ChoiceState choice)
    {
        if (choice.Share.Waiting.Remove(choice))
        {
            _waitingCount--;
        }
    }

    private void Release(ChoiceState choice)
    {
        if (_active.Remove(choice))
        {
            choice.Share.SlotCount--;
        }
    }

    private void Leave(CallerShare share)
    {
        if (share is { SlotCount: 0, Waiting.Count: 0 })
        {
            _callers.Remove(share);
        }
    }
}
