using Sluice.Protocol.Answers;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Answers;

// Answers that change hubs. Who is charged stands beside each in the database, with what was settled so far. Whoever claims an answer settles
// what follows, in its own ledger; the ledger of before finds a mark, and keeps what was settled by then, whatever it has written since.
internal sealed partial class AnswerAccounting
{
    /// <summary>Whether other hubs may go on with answers of this one.</summary>
    public bool IsShared { get; init; }

    /// <summary>What this hub's ledger is called among those of the cluster; null without one.</summary>
    public string? LedgerId { get; private set; }

    /// <summary>Answers that an earlier process began and nobody has settled.</summary>
    public IReadOnlyList<string> FindOpen()
    {
        lock (_open) return [.. _open.Keys];
    }

    /// <summary>What stands beside an answer that is not charged yet; null where it is charged to nobody, or no other hub can have it.</summary>
    /// <param name="account">Who will be charged.</param>
    /// <param name="model">Id of the model.</param>
    /// <param name="promptTokens">An estimate.</param>
    public string? Describe(Account? account, string model, long promptTokens) => !IsShared || account is null ? null : new AnswerCharge
    {
        Ledger = LedgerId ?? "",
        Key = account.Key,
        Project = account.Project,
        Model = model,
        PricedAs = account.PaysAsAsked ? model : null,
        PaysAttempts = account.PaysAttempts,
        PromptTokens = promptTokens,
        Tags = TagsTextOf(account),
        AskedAt = time.GetUtcNow().ToUnixTimeMilliseconds(),
    }.Write();

    /// <summary>An answer that is this hub's from now on, by a claim: its row is open here, until it has ended.</summary>
    public async Task TakeAsync(Answer answer)
    {
        if (ledger is null || answer.Record.Hold is not { } hold) return;
        hold.SetElsewhere(await FindRevisionAsync(answer.Id));
        Describe(answer, hold);
        ledger.Add(new LedgerEntry(RowOf(answer, hold, isEnd: false, ""), []));
    }

    /// <summary>An answer that is this hub's by a claim, and that nobody can go on with: what there is of it is settled, before it ends for others.</summary>
    /// <param name="stored">As the database has it.</param>
    public async Task SettleTakenAsync(StoredAnswer stored)
    {
        if (ledger is null || AnswerCharge.TryRead(stored.Charge) is not { } charge) return;
        var revision = int.Max(charge.Settled.Revision, await FindRevisionAsync(stored.Id));
        SettleLost(stored.Id, charge, stored.Owner.Dialect.Name, stored.Model, null, isEstimated: true, stored.EventCount, revision);
        await ledger.FlushAsync();
    }

    /// <summary>Another hub has the answer, and settles what follows; this one's rows of it end with what was settled before.</summary>
    public static void Leave(Answer answer) => answer.Record.Hold?.SetMoved();

    /// <summary>Brings the ledger to what a mark says, and the meters with it.</summary>
    /// <returns>False where that is not possible now.</returns>
    public async Task<bool> SettleMovedAsync(string id, string text)
    {
        if (ledger is null || LedgerId is not { } own || AnswerCharge.TryRead(text) is not { } charge) return true;
        // Rows that wait would come on top.
        if (!await ledger.FlushAsync()) return false;
        limiter.Look(charge.Key, charge.Project);
        List<(AttemptRow? Before, AttemptRow After)> changes;
        try
        {
            changes = await ledger.UseAsync(file => file.Settle(new MovedAnswer(id, charge), own, time.GetUtcNow().ToUnixTimeMilliseconds()));
        }
        catch (LedgerException)
        {
            return false;
        }
        foreach (var (before, after) in changes)
        {
            limiter.Correct(after.Key, after.Project, DateTimeOffset.FromUnixTimeMilliseconds(after.Began), new SettledAmounts(
                after.ChargedTokens - (before?.ChargedTokens ?? 0), after.ChargeNanoUsd - (before?.ChargeNanoUsd ?? 0),
                (long)after.Usage.TotalTokens - (before?.Usage.TotalTokens ?? 0), after.CostNanoUsd - (before?.CostNanoUsd ?? 0)));
        }
        lock (_open) _open.Remove(id);
        return true;
    }

    /// <summary>Settles what an earlier process began, and nobody has taken over: it ended for everybody, or is gone.</summary>
    /// <param name="id">Of <see cref="FindOpen"/>.</param>
    /// <param name="stored">As the database has it; null where it is not there.</param>
    public async Task SettleOpenAsync(string id, StoredAnswer? stored)
    {
        (AnswerRow Row, List<AttemptRow> Attempts) open;
        lock (_open) if (!_open.Remove(id, out open)) return;
        if (stored is { End: { } end } && AnswerCharge.TryRead(stored.Charge) is { } charge && charge.Ledger == LedgerId && end.Usage is { } usage)
            SettleLost(id, charge, open.Row.Door, open.Row.Model, usage, end.IsUsageEstimated, 0, int.Max(charge.Settled.Revision, open.Row.Revision));
        else
            SettleLost(open.Row, open.Attempts, null, stored?.EventCount ?? 0);
        if (ledger is not null) await ledger.FlushAsync();
    }

    private async Task<int> FindRevisionAsync(string id)
    {
        try
        {
            return await ledger!.UseAsync(file => file.FindAnswer(id)?.Revision ?? 0);
        }
        catch (LedgerException)
        {
            // Then it has no rows that could be read either; what comes is tried again.
            return 0;
        }
    }

    private void Restore(AnswerCharge charge, RequestFigures figures, in AnswerUsage made)
    {
        var account = new Account(charge.Key, "", charge.Project, limiter.FindScopes(charge.Key, charge.Project))
        {
            Tags = TagsOf(charge.Tags),
            PaysAsAsked = charge.PricedAs is not null,
            PaysAttempts = charge.PaysAttempts,
        };
        var settled = charge.Settled;
        var hold = limiter.Restore(
            account, charge.Model, charge.PricedAs, charge.PromptTokens, ProductionUsage.Subtract(made, settled.Usage));
        hold.Restore(settled.Usage, settled.ChargeNanoUsd, settled.CostNanoUsd, settled.Rows, settled.Revision, charge.AskedAt);
        hold.SetElsewhere(0);
        if (figures.LastEntry is { } entry && settled.Rows > 0) entry.Written = settled.Usage;
        figures.Hold = hold;
    }

    private void Describe(Answer answer, Hold hold)
    {
        if (!IsShared) return;
        var (account, elsewhere) = (hold.Account, hold.Elsewhere);
        hold.ChargeText = new AnswerCharge
        {
            Ledger = LedgerId ?? "",
            Key = account.Key,
            Project = account.Project,
            Model = hold.Model,
            PricedAs = account.PaysAsAsked ? hold.AskedModel : null,
            PaysAttempts = account.PaysAttempts,
            PromptTokens = hold.PromptTokens,
            Tags = TagsTextOf(account),
            AskedAt = hold.AskedAt < 0 ? answer.Created * 1000 : hold.AskedAt,
            Before = new ChargeSum { Rows = elsewhere.Rows, Usage = elsewhere.Usage, ChargeNanoUsd = elsewhere.NanoUsd, CostNanoUsd = elsewhere.CostNanoUsd },
            Settled = new ChargeSum
            {
                Rows = hold.RowCount,
                Revision = hold.Revision,
                Usage = hold.Charged,
                ChargeNanoUsd = hold.ChargedNanoUsd,
                CostNanoUsd = hold.CostNanoUsd,
            },
        }.Write();
    }

    // What nobody goes on with, from what stands beside it: the rest behind what was settled, in one row.
    private void SettleLost(
        string id, AnswerCharge charge, string door, string model, AnswerUsage? stated, bool isEstimated, long events, int revision)
    {
        var settled = charge.Settled;
        // Each event is reckoned as a token.
        var usage = stated ?? new AnswerUsage(
            int.Max(settled.Prompt, (int)long.Min(charge.PromptTokens, int.MaxValue)), settled.Cached,
            int.Max(settled.Output, (int)long.Min(events, int.MaxValue)), settled.Reasoning);
        var rest = ProductionUsage.Subtract(usage, settled.Usage);
        var cost = long.Max(0, limiter.PriceOf(charge.Model).Of(usage) - (settled.Rows > 0 ? limiter.PriceOf(charge.Model).Of(settled.Usage) : 0));
        var paid = charge.PricedAs ?? charge.Model;
        var amount = charge.PaysAttempts ? cost : long.Max(0, limiter.PriceOf(paid).Of(usage) - (settled.Rows > 0 ? limiter.PriceOf(paid).Of(settled.Usage) : 0));
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var isOwn = charge.Ledger == LedgerId;
        var (ownCharge, ownCost) = isOwn
            ? (settled.ChargeNanoUsd - charge.Before.ChargeNanoUsd, settled.CostNanoUsd - charge.Before.CostNanoUsd) : (0, 0);
        var attempt = new AttemptRow(id, settled.Rows)
        {
            Began = charge.AskedAt,
            Ended = now,
            Key = charge.Key,
            Project = charge.Project,
            Model = charge.Model,
            Upstream = "unknown",
            Role = "answer",
            Usage = rest,
            IsEstimated = isEstimated,
            ChargedTokens = rest.TotalTokens,
            ChargeNanoUsd = amount,
            CostNanoUsd = cost,
        };
        limiter.Look(charge.Key, charge.Project);
        ledger!.Add(new LedgerEntry(
            new AnswerRow(id, revision + 1)
            {
                Began = charge.AskedAt,
                Ended = now,
                Key = charge.Key,
                Project = charge.Project,
                Model = model,
                ServedBy = charge.Model,
                Door = door,
                EndedBy = "crash",
                Usage = isOwn ? ProductionUsage.Subtract(usage, charge.Before.Usage) : rest,
                IsEstimated = isEstimated,
                PriceVersion = limiter.PriceVersion,
                PricedAs = charge.PricedAs,
                PaysAttempts = charge.PaysAttempts,
                ChargeNanoUsd = ownCharge + amount,
                CostNanoUsd = ownCost + cost,
                Tags = charge.Tags,
            },
            [attempt]));
        limiter.Correct(
            charge.Key, charge.Project, DateTimeOffset.FromUnixTimeMilliseconds(charge.AskedAt),
            new SettledAmounts(attempt.ChargedTokens, amount, rest.TotalTokens, cost));
    }
}
