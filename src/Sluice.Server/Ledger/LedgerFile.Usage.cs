using Microsoft.Data.Sqlite;
using Sluice.Protocol.Answers;

namespace Sluice.Server.Ledger;

// The rows of answers and attempts. A row that comes again takes the place of the one that there is, and the sums move by the difference.
internal sealed partial class LedgerFile
{
    private const long HourMilliseconds = 3_600_000;
    private const long HoursOfDay = 24;

    private const string AnswerColumns =
        "id, revision, began, ended, key, project, model, served_by, door, ended_by, prompt, cached, cache_write, output, reasoning, is_estimated, "
        + "price_version, charge_nusd, cost_nusd, tags, subject, source, priced_as, pays_attempts";

    private const string AttemptColumns =
        "answer, number, began, ended, key, project, model, upstream, role, prompt, cached, cache_write, output, reasoning, is_estimated, "
        + "charged_tokens, charge_nusd, cost_nusd";

    /// <summary>Commits entries, all or none.</summary>
    /// <exception cref="LedgerException">That is not possible now; the same entries may be committed again, also where they were.</exception>
    public void Commit(IReadOnlyList<LedgerEntry> entries) => Run(() =>
    {
        var statements = Statements;
        using var transaction = statements.Begin();
        foreach (var entry in entries)
        {
            Put(entry.Answer);
            foreach (var attempt in entry.Attempts) Put(attempt);
        }
        statements.Commit(transaction);
        return true;
    });

    /// <summary>Answers that were begun and not settled.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<AnswerRow> ReadOpen() => Run(() =>
    {
        var rows = new List<AnswerRow>();
        using var reader = Statements.Query($"select {AnswerColumns} from usage_answer where ended is null order by began");
        while (reader.Read()) rows.Add(ReadAnswer(reader));
        return rows;
    });

    /// <summary>The row of one answer; null where there is none.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public AnswerRow? FindAnswer(string id) => Run(() => Find(id));

    /// <summary>The rows of one answer's attempts, in their order.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<AttemptRow> ReadAttempts(string answer) => Run(() => ReadRows(answer));

    /// <summary>What was settled since a moment.</summary>
    /// <param name="scope"><c>key</c> or <c>project</c>, or null for everything, which counts costs in place of charges.</param>
    /// <param name="id">Of the key or project.</param>
    /// <param name="since">Unix milliseconds.</param>
    /// <param name="isMoney">Whether nano-dollars are counted; else tokens.</param>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public long Count(string? scope, string id, long since, bool isMoney) => Run(() => CountRows(scope, id, since, isMoney));

    /// <summary>The same, and which of some rows are not in the file at that moment.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public (long Settled, List<AttemptRow> Missing) Count(string? scope, string id, long since, bool isMoney, IReadOnlyList<AttemptRow> rows) => Run(() =>
    {
        using var transaction = Statements.BeginRead();
        var settled = CountRows(scope, id, since, isMoney);
        var missing = rows.Where(row => ReadNumber("select count(*) from usage_attempt where answer = $1 and number = $2", row.Answer, row.Number) == 0).ToList();
        Statements.Commit(transaction);
        return (settled, missing);
    });

    private long CountRows(string? scope, string id, long since, bool isMoney)
    {
        // Whole days of projects and of all come from their sums, whole hours too, and the beginning of the first hour from its rows.
        var firstHour = (since + HourMilliseconds - 1) / HourMilliseconds;
        var (sum, rows) = (scope, isMoney) switch
        {
            (null, true) => ("cost_nusd", "cost_nusd"),
            (null, false) => ("cost_tokens", "prompt + output"),
            (_, true) => ("charge_nusd", "charge_nusd"),
            _ => ("charged_tokens", "charged_tokens"),
        };
        var of = scope is null ? "$2 = $2" : $"{scope} = $2";
        var count = ReadNumber($"select sum({rows}) from usage_attempt where began >= $1 and began < $3 and {of}", since, id, firstHour * HourMilliseconds);
        if (scope == "key") return count + ReadNumber($"select sum({sum}) from usage_hour where hour >= $1 and {of}", firstHour, id);
        var firstDay = (firstHour + HoursOfDay - 1) / HoursOfDay;
        return count + ReadNumber($"select sum({sum}) from usage_hour where hour >= $1 and hour < $3 and {of}", firstHour, id, firstDay * HoursOfDay)
            + ReadNumber($"select sum({sum}) from usage_day where day >= $1 and {of}", firstDay, id);
    }

    private void Put(AnswerRow row)
    {
        AnswerRow? before = null;
        using (var reader = Statements.Query($"select {AnswerColumns} from usage_answer where id = $1", row.Id))
        {
            if (reader.Read()) before = ReadAnswer(reader);
        }
        if (before is not null && before.Revision >= row.Revision) return;
        var usage = row.Usage;
        Statements.Execute(
            $"insert or replace into usage_answer ({AnswerColumns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
            row.Id, row.Revision, row.Began, row.Ended, row.Key, row.Project, row.Model, row.ServedBy, row.Door, row.EndedBy, usage.PromptTokens,
            usage.CachedTokens, usage.CacheWrittenTokens, usage.CompletionTokens, usage.ReasoningTokens, row.IsEstimated ? 1 : 0, row.PriceVersion,
            row.ChargeNanoUsd, row.CostNanoUsd, row.Tags, row.Subject, row.Source, row.PricedAs,
            row.PaysAttempts ? 1 : 0);
        // The hour in which it was asked for, under the model that answered.
        if (before is { IsCounted: true } && !row.IsCounted) AddRequest(before, -1);
        if (row.IsCounted && before is not { IsCounted: true }) AddRequest(row, 1);
    }

    private void Put(AttemptRow row)
    {
        AttemptRow? before = null;
        using (var reader = Statements.Query($"select {AttemptColumns} from usage_attempt where answer = $1 and number = $2", row.Answer, row.Number))
        {
            if (reader.Read()) before = ReadAttempt(reader);
        }
        if (before == row) return;
        if (before is not null) AddToHour(before, -1);
        var usage = row.Usage;
        Statements.Execute(
            $"insert or replace into usage_attempt ({AttemptColumns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
            row.Answer, row.Number, row.Began, row.Ended, row.Key, row.Project, row.Model, row.Upstream, row.Role, usage.PromptTokens,
            usage.CachedTokens, usage.CacheWrittenTokens, usage.CompletionTokens, usage.ReasoningTokens, row.IsEstimated ? 1 : 0,
            row.ChargedTokens, row.ChargeNanoUsd, row.CostNanoUsd);
        AddToHour(row, 1);
    }

    private void AddRequest(AnswerRow row, int count) =>
        AddToHour(row.Began, row.Key, row.Project, row.ServedBy ?? row.Model, count, default, 0, 0, 0, 0);

    private void AddToHour(AttemptRow row, int sign) => AddToHour(
        row.Began, row.Key, row.Project, row.Model, 0, row.Usage, sign * row.ChargedTokens, sign * row.ChargeNanoUsd, sign * row.Usage.TotalTokens,
        sign * row.CostNanoUsd, sign);

    private void AddToHour(
        long began, string key, string? project, string model, int requests, in AnswerUsage usage, long chargedTokens, long charge, long costTokens,
        long cost, int sign = 1)
    {
        var hour = began / HourMilliseconds;
        Statements.Execute(
            "insert into usage_hour (hour, key, project, model, requests, prompt, cached, cache_write, output, reasoning, charged_tokens, charge_nusd, "
            + "cost_tokens, cost_nusd) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) on conflict do update set "
            + "requests = requests + $5, prompt = prompt + $6, cached = cached + $7, cache_write = cache_write + $8, output = output + $9, "
            + "reasoning = reasoning + $10, charged_tokens = charged_tokens + $11, charge_nusd = charge_nusd + $12, cost_tokens = cost_tokens + $13, "
            + "cost_nusd = cost_nusd + $14",
            hour, key, project ?? "", model, requests, sign * usage.PromptTokens, sign * usage.CachedTokens, sign * usage.CacheWrittenTokens,
            sign * usage.CompletionTokens, sign * usage.ReasoningTokens, chargedTokens, charge, costTokens, cost);
        if ((chargedTokens | charge | costTokens | cost) == 0) return;
        Statements.Execute(
            "insert into usage_day (day, project, charged_tokens, charge_nusd, cost_tokens, cost_nusd) values ($1, $2, $3, $4, $5, $6) on conflict do update set "
            + "charged_tokens = charged_tokens + $3, charge_nusd = charge_nusd + $4, cost_tokens = cost_tokens + $5, cost_nusd = cost_nusd + $6",
            hour / HoursOfDay, project ?? "", chargedTokens, charge, costTokens, cost);
    }

    private static AnswerRow ReadAnswer(SqliteDataReader reader) => new(reader.GetString(0), reader.GetInt32(1))
    {
        Began = reader.GetInt64(2),
        Ended = reader.IsDBNull(3) ? null : reader.GetInt64(3),
        Key = reader.GetString(4),
        Project = Text(reader, 5),
        Model = reader.GetString(6),
        ServedBy = Text(reader, 7),
        Door = reader.GetString(8),
        EndedBy = reader.GetString(9),
        Usage = Usage(reader, 10),
        IsEstimated = reader.GetInt32(15) != 0,
        PriceVersion = reader.GetString(16),
        ChargeNanoUsd = reader.GetInt64(17),
        CostNanoUsd = reader.GetInt64(18),
        Tags = reader.GetString(19),
        Subject = Text(reader, 20),
        Source = reader.GetString(21),
        PricedAs = Text(reader, 22),
        PaysAttempts = reader.GetInt32(23) != 0,
    };

    private static AttemptRow ReadAttempt(SqliteDataReader reader) => new(reader.GetString(0), reader.GetInt32(1))
    {
        Began = reader.GetInt64(2),
        Ended = reader.GetInt64(3),
        Key = reader.GetString(4),
        Project = Text(reader, 5),
        Model = reader.GetString(6),
        Upstream = reader.GetString(7),
        Role = reader.GetString(8),
        Usage = Usage(reader, 9),
        IsEstimated = reader.GetInt32(14) != 0,
        ChargedTokens = reader.GetInt64(15),
        ChargeNanoUsd = reader.GetInt64(16),
        CostNanoUsd = reader.GetInt64(17),
    };

    // Five columns from there on.
    private static AnswerUsage Usage(SqliteDataReader reader, int column) =>
        new(reader.GetInt32(column), reader.GetInt32(column + 1), reader.GetInt32(column + 3), reader.GetInt32(column + 4))
        {
            CacheWrittenTokens = reader.GetInt32(column + 2),
        };

    private static string? Text(SqliteDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
