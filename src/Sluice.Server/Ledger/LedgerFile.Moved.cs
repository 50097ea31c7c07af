namespace Sluice.Server.Ledger;

// Answers that other hubs have taken over.
internal sealed partial class LedgerFile
{
    /// <summary>What this ledger is called among those of a cluster; made at the first call.</summary>
    /// <exception cref="LedgerException">The file can't be read or written.</exception>
    public string GetLedgerId() => Run(() =>
    {
        Statements.Execute("insert or ignore into meta (name, value) values ('ledger_id', $1)", Guid.NewGuid().ToString("N"));
        using var reader = Statements.Query("select value from meta where name = 'ledger_id'");
        reader.Read();
        return reader.GetString(0);
    });

    /// <summary>
    /// Brings the rows of an answer that another hub has taken over to what that hub began from: what was settled here by then stays, and what
    /// came later, or was lost since, is made good. Doing it again changes nothing.
    /// </summary>
    /// <param name="moved">The answer.</param>
    /// <param name="ledger">Id of this ledger.</param>
    /// <param name="now">Unix milliseconds.</param>
    /// <returns>Rows of attempts as they were, null for none, and as they are now.</returns>
    /// <exception cref="LedgerException">That is not possible now.</exception>
    public List<(AttemptRow? Before, AttemptRow After)> Settle(MovedAnswer moved, string ledger, long now) => Run(() =>
    {
        var statements = Statements;
        using var transaction = statements.Begin();
        var changes = new List<(AttemptRow?, AttemptRow)>();
        var charge = moved.Charge;
        // Who wrote it last had it last: where that was another one, nothing was settled here.
        var (before, settled) = charge.Ledger == ledger ? (charge.Before, charge.Settled) : (charge.Before, charge.Before);
        var row = Find(moved.Id);
        var attempts = ReadRows(moved.Id);
        foreach (var attempt in attempts.Where(attempt => attempt.Number >= settled.Rows || attempt.Number < before.Rows))
        {
            var none = attempt with { Usage = default, ChargedTokens = 0, ChargeNanoUsd = 0, CostNanoUsd = 0 };
            if (none == attempt) continue;
            Put(none);
            changes.Add((attempt, none));
        }
        var kept = attempts.Where(attempt => attempt.Number >= before.Rows && attempt.Number < settled.Rows).ToList();
        var (paid, cost) = (settled.ChargeNanoUsd - before.ChargeNanoUsd, settled.CostNanoUsd - before.CostNanoUsd);
        if (kept.Count < settled.Rows - before.Rows && kept.TrueForAll(attempt => attempt.Number != settled.Rows - 1))
        {
            var rest = new AttemptRow(moved.Id, settled.Rows - 1)
            {
                Began = charge.AskedAt,
                Ended = now,
                Key = charge.Key,
                Project = charge.Project,
                Model = charge.Model,
                Upstream = "unknown",
                Role = "answer",
                Usage = Metering.ProductionUsage.Subtract(settled.Usage, before.Usage),
                IsEstimated = true,
                ChargeNanoUsd = paid - kept.Sum(static attempt => attempt.ChargeNanoUsd),
                CostNanoUsd = cost - kept.Sum(static attempt => attempt.CostNanoUsd),
            };
            foreach (var attempt in kept) rest = rest with { Usage = Metering.ProductionUsage.Subtract(rest.Usage, attempt.Usage) };
            rest = rest with { ChargedTokens = rest.Usage.TotalTokens };
            Put(rest);
            changes.Add((null, rest));
        }
        if (row is not null || settled.Rows > before.Rows)
        {
            row ??= new AnswerRow(moved.Id, charge.Settled.Revision)
            {
                Began = charge.AskedAt,
                Key = charge.Key,
                Project = charge.Project,
                Model = charge.Model,
                Door = "chat",
                PriceVersion = "",
                Tags = charge.Tags,
            };
            var end = row with
            {
                Revision = row.Revision + 1,
                Ended = row.Ended ?? now,
                EndedBy = AnswerRow.Moved,
                Usage = Metering.ProductionUsage.Subtract(settled.Usage, before.Usage),
                ChargeNanoUsd = paid,
                CostNanoUsd = cost,
            };
            if (row.EndedBy != AnswerRow.Moved || row != end with { Revision = row.Revision }) Put(end);
        }
        statements.Commit(transaction);
        return changes;
    });

    private AnswerRow? Find(string id)
    {
        using var reader = Statements.Query($"select {AnswerColumns} from usage_answer where id = $1", id);
        return reader.Read() ? ReadAnswer(reader) : null;
    }

    private List<AttemptRow> ReadRows(string answer)
    {
        var rows = new List<AttemptRow>();
        using var reader = Statements.Query($"select {AttemptColumns} from usage_attempt where answer = $1 order by number", answer);
        while (reader.Read()) rows.Add(ReadAttempt(reader));
        return rows;
    }
}
