using Sluice.Inference.Grammars;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// Continuous batching. There is no prompt phase and no decode phase: every choice has known tokens and cached tokens, and each step computes
/// some of what is missing. Decoding choices go first, one token each; what time is left goes to prompts, the shortest remainder first, cut so
/// that nobody's next token waits long. Runs on the engine's thread alone.
/// </summary>
internal sealed partial class EngineLoop
{
    // Weight of the newest measurement in running means.
    private const double Smoothing = 0.2;

    private readonly LanguageModel _model;
    private readonly int _slotCount;
    private readonly Lazy<TokenTrie> _tokenTrie;
    private readonly TimeProvider _time;
    private readonly StepCost _cost;
    private readonly RowCost _rowCost;
    private readonly int _draftTokensMax;
    private readonly TokenWriter _writer;
    private readonly GenerationQueue _queue;
    private readonly List<ChoiceState> _active = [];
    private readonly List<ChoiceState> _order = [];
    private readonly List<(ChoiceState Choice, int Count)> _planned = [];
    private readonly StepBatch _batch = new();
    private readonly Func<bool> _isAbandoned;
    private readonly List<EngineGeneration> _generations = [];
    private readonly Dictionary<EngineGeneration, long> _startTimes = [];
    private long _admissions;
    // Running mean of the time from a generation's first slot to its end.
    private double _meanGenerationSeconds = 1;
    private volatile int _activeCount;

    public EngineLoop(LanguageModel model, EngineOptions options, Lazy<TokenTrie> tokenTrie, TimeProvider time, GenerationQueue queue)
    {
        _model = model;
        _slotCount = options.SlotCount;
        _draftTokensMax = options.DraftTokensMax;
        _tokenTrie = tokenTrie;
        _time = time;
        _cost = new StepCost(model.AttentionShare);
        _rowCost = new RowCost(Math.Max(options.SlotCount, model.DraftedRowCapacity));
        _writer = new TokenWriter(model.Tokenizer, tokenTrie);
        _queue = queue;
        _isAbandoned = IsAbandoned;
    }

    public int ActiveCount => _activeCount;

    /// <summary>Estimate of the time until a waiting generation starts: 1 to 60 s.</summary>
    public TimeSpan RetryAfter => TimeSpan.FromSeconds(Math.Clamp(
        Math.Ceiling(Volatile.Read(ref _meanGenerationSeconds) * (_queue.Count + 1) / _slotCount), 1, EngineLimits.RetryAfterSecondsMax));

    /// <summary>Runs one step.</summary>
    /// <returns>False when there was nothing to compute.</returns>
    public bool Step()
    {
        DropStopped();
        Admit();
        Plan();
        if (_planned.Count == 0)
        {
            // Whoever waited for others that then failed or gave their blocks away goes on in the next step.
            return _active.Count + _waitingCount > 0;
        }

        _batch.Clear();
        bool hasPrompt = false;
        double context = 0;
        foreach ((ChoiceState choice, int count) in _planned)
        {
            if (choice.Drafts.Count > 0)
            {
                _batch.AddDrafted(choice.Cache, choice.Tokens, choice.Drafts.Tokens, choice.Drafts.Count);
            }
            else
            {
                int logits = choice.IsScoring ? choice.ScoredWithin(count) : count == choice.PendingCount ? 1 : 0;
                _batch.Add(choice.Cache, choice.Tokens, choice.Cache.Length, count, logits);
            }

            hasPrompt |= !choice.IsDecoding;
            context += StepCost.Context(choice.Cache.Length, count);
        }

        long start = _time.GetTimestamp();
        bool computed;
#pragma warning disable CA1031 // What the model failed at ends the generations of this step; those that wait are served.
        try
        {
            computed = _model.Forward(_batch, _isAbandoned);
        }
        catch (Exception error)
        {
            foreach ((ChoiceState choice, _) in _planned)
            {
                Fail(choice.Generation, error);
            }

            return true;
        }
#pragma warning restore CA1031
        if (!computed)
        {
            return true;
        }

        double milliseconds = _time.GetElapsedTime(start).TotalMilliseconds;
        if (hasPrompt)
        {
            _cost.Learn(milliseconds, _batch.TokenCount, context);
        }
        else
        {
            _rowCost.Learn(milliseconds, _batch.TokenCount);
        }

        for (int i = 0; i < _planned.Count; i++)
        {
            (ChoiceState choice, int count) = _planned[i];
            if (choice.Generation.HasEnded)
            {
                continue;
            }

            // Who has left meanwhile is dropped in the next step. What was computed is kept, but a mask may cost more than all of it.
            bool isKnown = count == choice.PendingCount;
            Advance(choice, count);
            if (choice.Generation.IsStopped)
            {
                continue;
            }

            StepRun run = _batch.Runs[i];
            if (choice.IsScoring)
            {
                Score(choice, run);
            }

            if (isKnown)
            {
                KeepPrompt(choice);
                TryTakeTokens(choice, run.FirstLogitRow + run.LogitCount - 1 - choice.Drafts.Count);
            }
        }

        return true;
    }

    /// <summary>Ends everything that has not ended.</summary>
    public void FailAll(Exception error)
    {
        while (_generations.Count > 0)
        {
#pragma warning disable CA1031 // A sink that throws when it is told of a failure has nothing more to be told.
            try
            {
                Fail(_generations[^1], error);
            }
            catch (Exception)
            {
            }
#pragma warning restore CA1031
        }
    }

    private bool IsAbandoned()
    {
        foreach ((ChoiceState choice, _) in _planned)
        {
            if (!choice.Generation.IsStopped)
            {
                return false;
            }
        }

        return true;
    }

    private void DropStopped()
    {
        for (int i = _generations.Count - 1; i >= 0; i--)
        {
            DropIfStopped(_generations[i]);
        }
    }

    private void DropIfStopped(EngineGeneration generation)
    {
        if (generation.IsCancelled)
        {
            End(generation);
            generation.Sink.OnCancelled(generation.Usage);
        }
        else if (generation.IsSuspended)
        {
            GenerationProgress progress = generation.Progress;
            End(generation);
            generation.Sink.OnSuspended(progress, generation.Usage);
        }
        else if (generation.IsRefused)
        {
            Fail(generation, new GenerationDisplacedException(RetryAfter));
        }
    }

    private void Plan()
    {
        _planned.Clear();
        _order.Clear();
        _order.AddRange(_active);
        int room = _model.StepTokenCapacity;
        foreach (ChoiceState choice in _order)
        {
            if (choice.IsDecoding && room > 0 && HasRoom(choice, 1))
            {
                _planned.Add((choice, 1));
                room--;
            }
        }

        PlanPrompts(room);
        for (int i = _planned.Count - 1; i >= 0; i--)
        {
            // A choice that gave its blocks away after it was planned has nothing left to continue from.
            if (!_active.Contains(_planned[i].Choice))
            {
                _planned.RemoveAt(i);
            }
        }

        PlanDrafts();
        _activeCount = _active.Count;
    }

    // Takes blocks from the callers with the most slots, the youngest choice first, until there is room; they wait and
    // are computed again, to the same tokens.
    private bool HasRoom(ChoiceState choice, int count)
    {
        while (_active.Contains(choice))
        {
            if (_model.Cache.TryGrow(choice.Cache, choice.Cache.Length + count))
            {
                return true;
            }

            if (_active.Count == 1)
            {
                Fail(choice.Generation, new InsufficientMemoryException(
                    "The key/value cache is too small for this prompt; shorten the prompt or give the engine a larger cache."));
                return false;
            }

            Evict(FindLast());
        }

        return false;
    }

    private void Finish(ChoiceState choice, FinishReason reason)
    {
        EngineGeneration generation = choice.Generation;
        TokenWriter.Flush(choice);
        Release(choice);
        Retire(choice);
        generation.FinishedCount++;
        choice.Finish(reason);
        if (generation.FinishedCount == generation.Choices.Length)
        {
            End(generation);
            generation.Sink.OnCompleted(generation.Usage);
        }
    }

    private void Fail(EngineGeneration generation, Exception error)
    {
        if (!generation.HasEnded)
        {
            End(generation);
            generation.Sink.OnFailed(error);
        }
    }

    private void End(EngineGeneration generation)
    {
        lock (generation.Gate)
        {
            generation.HasEnded = true;
        }

        _generations.Remove(generation);
        foreach (ChoiceState choice in generation.Choices)
        {
            Release(choice);
            Unqueue(choice);
            Retire(choice);
        }

        Leave(generation.Share);
        if (_startTimes.Remove(generation, out long start))
        {
            double seconds = _time.GetElapsedTime(start).TotalSeconds;
            Volatile.Write(ref _meanGenerationSeconds, _meanGenerationSeconds + (Smoothing * (seconds - _meanGenerationSeconds)));
        }
        else
        {
            _queue.Remove(generation);
        }

        _activeCount = _active.Count;
    }
}
