using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>
/// Settles what answers took, where their generation ends, whoever listens: with the limiter, and in the ledger's rows. A key is charged once
/// for its answer; what hedges, failures and rescues took beside it costs the hub alone.
/// </summary>
/// <param name="ledger">Null where nothing is written down.</param>
/// <param name="limiter">Has the prices.</param>
/// <param name="time">Clock.</param>
internal sealed partial class AnswerAccounting(LedgerWriter? ledger, Limiter limiter, TimeProvider time)
{
    // From the ledger at the start: answers that were begun and not settled.
    private readonly Dictionary<string, (AnswerRow Row, List<AttemptRow> Attempts)> _open = new(StringComparer.Ordinal);

    // Enough that no two people are one.
    private const int PersonDigits = 32;

    private byte[]? _secret;
    private Action<object>? _modelSet;

    /// <summary>What a person is called in the ledger; null without one, and without a ledger.</summary>
    public string? SubjectOf(string? user) =>
        user is null || _secret is null ? null : Subject.HashOf(_secret, user);

    /// <summary>Whether an answer must be in the ledger before an upstream is asked for it.</summary>
    public bool IsStrict => ledger?.IsStrict == true;

    /// <summary>Whether so many rows wait for the ledger that whoever has a budget may begin nothing.</summary>
    public bool IsFull => ledger is { IsFull: true, ServesUnwritten: false };

    /// <summary>Whether answers are made although they can't be written down now.</summary>
    public bool ServesUnwritten => ledger?.ServesUnwritten == true;

    /// <summary>An answer has been let in. Nothing of it has been made.</summary>
    public void Begin(Answer answer)
    {
        if (answer.Record.Hold is not { } hold) return;
        Describe(answer, hold);
        if (ledger is null) return;
        (hold.ModelSet, hold.ModelSetState) = (_modelSet ??= state => WriteOpen((Answer)state), answer);
        ledger.Add(new LedgerEntry(RowOf(answer, hold, isEnd: false, ""), []));
    }

    // So that a process that is killed has said by whose price it is charged.
    private void WriteOpen(Answer answer)
    {
        if (answer.Record.Hold is not { HasMoved: false } hold) return;
        ledger?.Add(new LedgerEntry(RowOf(answer, hold, isEnd: false, ""), []));
        Describe(answer, hold);
    }

    /// <summary>An answer was there already, and costs nobody anything.</summary>
    public void AddCached(Answer answer, Account account, string model, in AnswerUsage usage, string? user)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        ledger?.Add(new LedgerEntry(
            new AnswerRow(answer.Id, 1)
            {
                Began = now,
                Ended = now,
                Key = account.Key,
                Project = account.Project,
                Model = answer.Model,
                ServedBy = model,
                Door = answer.Owner.Dialect.Name,
                EndedBy = "completed",
                Source = "cache",
                Usage = usage,
                PriceVersion = limiter.PriceVersion,
                Subject = SubjectOf(user),
                Tags = TagsTextOf(account),
            }, []));
    }

    /// <summary>Completes when everything so far is in the ledger; false when that is not possible now.</summary>
    public Task<bool> FlushAsync() => ledger?.FlushAsync() ?? Task.FromResult(true);

    /// <summary>The engine has stopped at the answer: what it took so far is charged to the windows in which it began.</summary>
    public void Pause(Answer answer)
    {
        if (answer.Record.Hold is not { } hold) return;
        var attempts = Settle(answer, hold);
        if (hold.HasMoved) return;
        ledger?.Add(new LedgerEntry(RowOf(answer, hold, isEnd: false, ""), [.. attempts.Select(static part => part.Row)]));
        Describe(answer, hold);
    }

    /// <summary>A suspended answer is to be continued.</summary>
    public void Continue(Answer answer)
    {
        if (answer.Record.Hold is { } hold) limiter.Continue(hold);
    }

    /// <summary>The answer's log has ended.</summary>
    /// <param name="answer">Not disposed yet.</param>
    /// <param name="isLeftToStore">Whether another process continues it, and settles what follows.</param>
    public void End(Answer answer, bool isLeftToStore)
    {
        // What nobody goes on with here stays as it is.
        if (answer.Record.Hold is not { } hold || (isLeftToStore && !hold.IsOpen)) return;
        var attempts = Settle(answer, hold);
        if (isLeftToStore || hold.HasMoved) return;
        var endedBy = hold.Cut is not null ? "budget" : answer.Log.End?.Kind switch
        {
            StreamEndKind.Completed => "completed",
            StreamEndKind.Failed => "failed",
            _ => "cancelled",
        };
        var row = RowOf(answer, hold, isEnd: true, endedBy);
        ledger?.Add(new LedgerEntry(row, [.. attempts.Select(static part => part.Row)]));
        foreach (var (entry, attempt) in attempts) if (entry.Drained is { } drained) _ = ReviseAsync(hold, row, attempt, entry, drained);
    }

    /// <summary>Reads what an earlier process has left open. Before the answers of a store are taken over.</summary>
    /// <exception cref="LedgerException">The ledger can't be read.</exception>
    public async Task LoadAsync()
    {
        if (ledger is null) return;
        _secret = await ledger.UseAsync(static file => file.GetSubjectSecret());
        if (IsShared) LedgerId = await ledger.UseAsync(static file => file.GetLedgerId());
        limiter.NameOfPerson = id => string.Concat("user_", Subject.HashOf(_secret, id).AsSpan(0, PersonDigits));
        var rows = await ledger.UseAsync(static file => file.ReadOpen().ConvertAll(row => (row, file.ReadAttempts(row.Id))));
        foreach (var (row, attempts) in rows) _open[row.Id] = (row, attempts);
    }

    /// <summary>An answer comes from the store suspended: it is charged from where its last production ended.</summary>
    /// <param name="id">Of the answer.</param>
    /// <param name="figures">Get the hold.</param>
    /// <param name="made">What the engine had made of it, as far as the store knows.</param>
    /// <param name="charge">What stood beside it for other hubs; null where there are none.</param>
    public void Restore(string id, RequestFigures figures, in AnswerUsage made, string? charge)
    {
        if (AnswerCharge.TryRead(charge) is { } known)
        {
            lock (_open) _open.Remove(id);
            Restore(known, figures, made);
            return;
        }
        (AnswerRow Row, List<AttemptRow> Attempts) open;
        lock (_open) if (!_open.Remove(id, out open)) return;
        var (row, attempts) = open;
        // Its limits are those of whoever continues it; of its key alone the name is known.
        var account = new Account(row.Key, "", row.Project, limiter.FindScopes(row.Key, row.Project))
        {
            Tags = TagsOf(row.Tags),
            PaysAsAsked = row.PricedAs is not null,
            PaysAttempts = row.PaysAttempts,
        };
        var carried = ProductionUsage.Subtract(made, attempts.Count == 0 ? default : row.Usage);
        var hold = limiter.Restore(account, row.ServedBy ?? row.Model, row.PricedAs, row.Usage.PromptTokens, carried);
        hold.Subject = row.Subject;
        hold.Restore(
            attempts.Count == 0 ? default : row.Usage, attempts.Sum(static attempt => attempt.ChargeNanoUsd),
            attempts.Sum(static attempt => attempt.CostNanoUsd), attempts.Count, row.Revision, row.Began);
        if (figures.LastEntry is { } entry && attempts.Count > 0) entry.Written = row.Usage;
        figures.Hold = hold;
    }

    /// <summary>
    /// Settles what ended with an earlier process: by what the store knows of it, else by an estimate of its prompt. After the answers of a
    /// store were taken over.
    /// </summary>
    /// <param name="find">What the store has of an answer; null for nothing.</param>
    public async Task SettleLostAsync(Func<string, Answer?> find)
    {
        if (ledger is null || _open.Count == 0 || IsShared) return;
        foreach (var (row, attempts) in _open.Values)
        {
            var answer = find(row.Id);
            SettleLost(row, attempts, answer?.Record, answer?.Log.EventCount ?? 0);
        }
        _open.Clear();
        await ledger.FlushAsync();
        limiter.Recount();
    }

    private void SettleLost(AnswerRow row, List<AttemptRow> attempts, RequestFigures? figures, long eventCount)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        // Of one that was cut off there are events, each of which is reckoned as a token.
        var events = (int)long.Min(eventCount, int.MaxValue);
        var usage = figures?.Usage ?? row.Usage with { CompletionTokens = int.Max(row.Usage.CompletionTokens, events) };
        var isEstimated = figures is null or { Usage: null } or { IsUsageEstimated: true };
        var (before, beforeCost) = (attempts.Sum(static attempt => attempt.ChargeNanoUsd), attempts.Sum(static attempt => attempt.CostNanoUsd));
        var served = row.ServedBy ?? row.Model;
        var cost = long.Max(0, limiter.PriceOf(served).Of(usage) - beforeCost);
        var charge = row.PaysAttempts ? cost : long.Max(0, limiter.PriceOf(row.PricedAs ?? served).Of(usage) - before);
        var rest = ProductionUsage.Subtract(usage, attempts.Count == 0 ? default : row.Usage);
        var attempt = new AttemptRow(row.Id, attempts.Count == 0 ? 0 : attempts[^1].Number + 1)
        {
            Began = row.Began,
            Ended = now,
            Key = row.Key,
            Project = row.Project,
            Model = served,
            Upstream = figures?.Upstream ?? "unknown",
            Role = "answer",
            Usage = rest,
            IsEstimated = isEstimated,
            ChargedTokens = rest.TotalTokens,
            ChargeNanoUsd = charge,
            CostNanoUsd = cost,
        };
        if (IsShared) limiter.Look(row.Key, row.Project);
        ledger!.Add(new LedgerEntry(
            row with
            {
                Revision = row.Revision + 1,
                Ended = now,
                EndedBy = "crash",
                Usage = usage,
                IsEstimated = isEstimated,
                ServedBy = served,
                ChargeNanoUsd = before + attempt.ChargeNanoUsd,
                CostNanoUsd = beforeCost + attempt.CostNanoUsd,
            },
            [attempt]));
        // Where all are counted anew afterwards, that comes on top of nothing.
        if (IsShared)
        {
            limiter.Correct(
                row.Key, row.Project, DateTimeOffset.FromUnixTimeMilliseconds(row.Began), new SettledAmounts(rest.TotalTokens, charge, rest.TotalTokens, cost));
        }
    }

    // The attempts of the production that has ended, one of which is the key's.
    private List<(UsageEntry Entry, AttemptRow Row)> Settle(Answer answer, Hold hold)
    {
        var figures = answer.Record;
        if (hold.IsLeftOver && !hold.HasMoved)
        {
            // A killed process had made something of it, and nobody has come for the rest: that is charged all the same.
            limiter.Continue(hold);
            if (figures is { Usage: { } made, LastEntry: { Usage: null } last }) last.SetUsage(made, isEstimated: true);
        }
        var entries = figures.Entries;
        var winner = entries.LastOrDefault(static entry => entry.Role == AttemptRole.Answer) ?? (entries.Count > 0 ? entries[^1] : null);
        var parts = new List<(UsageEntry Entry, AnswerUsage Usage, long Cost)>();
        foreach (var entry in entries)
        {
            // One that took nothing, or nothing more, is no row.
            var usage = ProductionUsage.Subtract(entry.Usage ?? default, entry.Written ?? default);
            if (entry.Written is not null && usage.TotalTokens == 0) continue;
            var price = limiter.PriceOf(entry.Model);
            parts.Add((entry, usage, entry.Usage is { } all ? price.Of(all) - (entry.Written is { } written ? price.Of(written) : 0) : 0));
            entry.Written = entry.Usage ?? default(AnswerUsage);
        }
        if (!hold.IsOpen) return [];
        if (hold.HasMoved)
        {
            // Whoever has it settles it.
            hold.Settle(null, 0, 0, 0);
            return [];
        }
        var number = hold.RowCount;
        var charge = hold.Settle(figures.Usage, parts.Sum(static part => part.Usage.TotalTokens), parts.Sum(static part => part.Cost), parts.Count);
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        return parts.ConvertAll(part => (part.Entry, new AttemptRow(answer.Id, number++)
        {
            Began = charge.Began.ToUnixTimeMilliseconds(),
            Ended = now,
            Key = hold.Account.Key,
            Project = hold.Account.Project,
            Model = part.Entry.Model,
            Upstream = part.Entry.Upstream.Name,
            Role = WordFor(part.Entry.Role),
            Usage = part.Usage,
            IsEstimated = part.Entry.IsEstimated,
            ChargedTokens = hold.Account.PaysAttempts ? part.Usage.TotalTokens : part.Entry == winner ? charge.Usage.TotalTokens : 0,
            ChargeNanoUsd = hold.Account.PaysAttempts ? long.Max(0, part.Cost) : part.Entry == winner ? charge.NanoUsd : 0,
            CostNanoUsd = long.Max(0, part.Cost),
        }));
    }

    // The upstream has made more of it than anybody wanted, and says how much: that is paid, and whoever asked for the answer chose so.
    private async Task ReviseAsync(Hold hold, AnswerRow row, AttemptRow attempt, UsageEntry entry, Task<AnswerUsage?> drained)
    {
        if (await drained is not { } usage) return;
        var cost = limiter.PriceOf(entry.Model).Of(usage);
        var isCharged = attempt.ChargedTokens > 0;
        var late = attempt with
        {
            Usage = usage,
            IsEstimated = false,
            Ended = time.GetUtcNow().ToUnixTimeMilliseconds(),
            ChargedTokens = isCharged ? usage.TotalTokens : 0,
            ChargeNanoUsd = !isCharged ? 0 : hold.Account.PaysAttempts ? cost : hold.Price.Of(usage),
            CostNanoUsd = cost,
        };
        hold.Revise(
            late.ChargedTokens - attempt.ChargedTokens, late.ChargeNanoUsd - attempt.ChargeNanoUsd, usage.TotalTokens - attempt.Usage.TotalTokens,
            cost - attempt.CostNanoUsd);
        var whole = row with { Revision = hold.NextRevision(), ChargeNanoUsd = hold.ChargedNanoUsd - hold.Elsewhere.NanoUsd, CostNanoUsd = hold.CostNanoUsd - hold.Elsewhere.CostNanoUsd };
        ledger?.Add(new LedgerEntry(isCharged ? whole with { Usage = usage, IsEstimated = false } : whole, [late]));
    }

    private AnswerRow RowOf(Answer answer, Hold hold, bool isEnd, string endedBy)
    {
        var figures = answer.Record;
        var account = hold.Account;
        var elsewhere = hold.Elsewhere;
        return new AnswerRow(answer.Id, hold.NextRevision())
        {
            Began = hold.AskedAt,
            Ended = isEnd ? time.GetUtcNow().ToUnixTimeMilliseconds() : null,
            Key = account.Key,
            Project = account.Project,
            Model = answer.Model,
            ServedBy = hold.Model,
            PricedAs = account.PaysAsAsked ? hold.AskedModel : null,
            PaysAttempts = account.PaysAttempts,
            Door = answer.Owner.Dialect.Name,
            EndedBy = endedBy,
            // While it is made, of its prompt there is an estimate, which counts where nothing better follows.
            Usage = isEnd || hold.RowCount > elsewhere.Rows ? ProductionUsage.Subtract(figures.Usage ?? hold.Charged, elsewhere.Usage)
                : elsewhere.Rows > 0 ? default : new AnswerUsage((int)long.Min(hold.PromptTokens, int.MaxValue), 0, 0),
            IsEstimated = !isEnd || figures.IsUsageEstimated || (figures.Usage is null && answer.Log.EventCount > 0),
            PriceVersion = limiter.PriceVersion,
            ChargeNanoUsd = hold.ChargedNanoUsd - elsewhere.NanoUsd,
            CostNanoUsd = hold.CostNanoUsd - elsewhere.CostNanoUsd,
            Subject = hold.Subject,
            Tags = TagsTextOf(account),
        };
    }

    private static string TagsTextOf(Account account) => account.TagsText ??=
        account.Tags.Count == 0 ? "" : JsonSerializer.Serialize(account.Tags, KeyJsonContext.Default.IReadOnlyDictionaryStringString);

    private static IReadOnlyDictionary<string, string> TagsOf(string text)
    {
        try
        {
            return (text.Length == 0 ? null : JsonSerializer.Deserialize(text, KeyJsonContext.Default.IReadOnlyDictionaryStringString))
                ?? new Dictionary<string, string>();
        }
        catch (JsonException)
        {
            return new Dictionary<string, string>();
        }
    }

    private static string WordFor(AttemptRole role) => role switch
    {
        AttemptRole.Answer => "answer",
        AttemptRole.Failed => "failed",
        AttemptRole.HedgeLost => "hedge_lost",
        AttemptRole.RescueLost => "rescue_lost",
        _ => "replaced",
    };
}
