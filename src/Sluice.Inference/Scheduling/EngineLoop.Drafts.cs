using Sluice.Inference.Grammars;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <content>
/// Self-speculation: guesses at the next tokens of a choice are computed in the same step as its last one. Each row is then sampled as it would
/// have been in a step of its own, so what comes out is the same; a guess only decides whether the row behind it is there already.
/// </content>
internal sealed partial class EngineLoop
{
    private readonly List<ChoiceDrafts> _drafting = [];
    private long _draftedCount;
    private long _acceptedCount;

    /// <summary>Guesses that were computed.</summary>
    public long DraftedCount => Volatile.Read(ref _draftedCount);

    /// <summary>Those of them that were right.</summary>
    public long AcceptedCount => Volatile.Read(ref _acceptedCount);

    private void PlanDrafts()
    {
        _drafting.Clear();
        bool hasPrompt = false;
        int limit = Math.Min(_draftTokensMax, _model.DraftedRowCapacity - 1);
        foreach ((ChoiceState choice, _) in _planned)
        {
            // The last token that may come is sampled from a row that is no guess.
            choice.Drafts.Propose(choice.Tokens, choice.IsDecoding ? Math.Min(limit, choice.TokenLimit - choice.GeneratedCount - 1) : 0);
            _drafting.Add(choice.Drafts);
            hasPrompt |= !choice.IsDecoding;
        }

        // A step that reads a prompt has no rows that cost little.
        if (hasPrompt || _planned.Count == 0 || _planned.Count >= _model.DraftedRowCapacity)
        {
            return;
        }

        DraftShare.Plan(_drafting, _rowCost, Math.Min(_model.DraftedRowCapacity, _model.StepTokenCapacity));
        foreach ((ChoiceState choice, _) in _planned)
        {
            ChoiceDrafts drafts = choice.Drafts;
            if (drafts.Count > 0 && !_model.Cache.TryGrowUnused(choice.Cache, choice.Tokens.Count + drafts.Count))
            {
                drafts.Count = Math.Min(drafts.Count, KvCache.RoomOf(choice.Cache) - choice.Tokens.Count);
            }

            _draftedCount += drafts.Count;
        }
    }

    // What a request's own grammar can't bear ends that request; nobody else is concerned.
    private void TryTakeTokens(ChoiceState choice, int row)
    {
        try
        {
            TakeTokens(choice, row);
        }
        catch (GrammarException error)
        {
            Fail(choice.Generation, error);
        }
    }

    // From the rows of a choice to its tokens: the first row is that of its last known token.
    private void TakeTokens(ChoiceState choice, int row)
    {
        if (choice.TokenLimit == 0)
        {
            lock (choice.Generation.Gate)
            {
                Finish(choice, FinishReason.Length);
            }

            return;
        }

        ChoiceDrafts drafts = choice.Drafts;
        int first = choice.Tokens.Count;
        int accepted = 0;
        TakeToken(choice, row);
        while (accepted < drafts.Count && !choice.IsFinished && !choice.Generation.HasEnded && !choice.Generation.IsStopped)
        {
            int right = drafts.CountTrue(choice.Tokens, first, accepted, drafts.Count);
            Advance(choice, right - accepted);
            accepted = right;

            // Another token than the guess, or more tokens at once than there are guesses.
            if (first + accepted != choice.Tokens.Count)
            {
                break;
            }

            TakeToken(choice, row + accepted);
        }

        _acceptedCount += accepted;
        drafts.Learn(choice.Tokens, first);
        if (drafts.Count > 0)
        {
            _model.Cache.Trim(choice.Cache);
        }
    }

    private void TakeToken(ChoiceState choice, int row)
    {
        lock (choice.Generation.Gate)
        {
            TakeToken(choice, _model.Logits(row));
        }
    }
}
