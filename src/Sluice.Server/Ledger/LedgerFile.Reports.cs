namespace Sluice.Server.Ledger;

/// <summary>What was used, summed up by something.</summary>
/// <param name="Keys">Values of what it is summed up by, in its order.</param>
internal sealed record UsageSum(IReadOnlyList<string> Keys)
{
    public long Requests { get; init; }

    public long Prompt { get; init; }

    public long Cached { get; init; }

    public long Output { get; init; }

    public long ChargeNanoUsd { get; init; }

    public long CostNanoUsd { get; init; }
}

/// <summary>Use of one key, project and model within one bucket of time.</summary>
/// <param name="Start">Unix seconds.</param>
/// <param name="Key">Id of the key.</param>
/// <param name="Project">Empty for none.</param>
/// <param name="Model">The model that answered.</param>
internal sealed record BucketRow(long Start, string Key, string Project, string Model)
{
    public long Requests { get; init; }

    public long Prompt { get; init; }

    public long Cached { get; init; }

    public long Output { get; init; }

    public long CostNanoUsd { get; init; }
}

// Sums, checks, and what goes after a time.
internal sealed partial class LedgerFile
{
    // Rows in one transaction of a sweep: some milliseconds.
    private const int SweepRows = 500;

    /// <summary>What usage can be summed up by.</summary>
    public static IReadOnlyList<string> Groups { get; } = ["key", "project", "model", "hour", "day", "month"];

    /// <summary>Sums up whole hours.</summary>
    /// <param name="from">Unix milliseconds; the hour that it lies in counts.</param>
    /// <param name="to">Unix milliseconds; the hour that it lies in doesn't count, unless it has begun before.</param>
    /// <param name="groups">Of <see cref="Groups"/>; none for one sum.</param>
    /// <param name="key">Only this key; null for all.</param>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<UsageSum> ReadUsage(long from, long to, IReadOnlyList<string> groups, string? key = null) => Run(() =>
    {
        // Words of ours, by position.
        var columns = groups.Select(static group => group switch
        {
            "hour" => "strftime('%Y-%m-%dT%H:00Z', hour * 3600, 'unixepoch')",
            "day" => "strftime('%Y-%m-%d', hour * 3600, 'unixepoch')",
            "month" => "strftime('%Y-%m', hour * 3600, 'unixepoch')",
            "key" => "key",
            "project" => "project",
            "model" => "model",
            _ => throw new ArgumentException($"Unknown group: {group}.", nameof(groups)),
        }).ToList();
        var by = string.Concat(columns.Select(static column => column + ", "));
        var end = columns.Count == 0 ? "" : $" group by {string.Join(", ", columns)} order by {string.Join(", ", columns)}";
        var rows = new List<UsageSum>();
        using var reader = Statements.Query(
            $"select {by}sum(requests), sum(prompt), sum(cached), sum(output), sum(charge_nusd), sum(cost_nusd) from usage_hour "
            + $"where hour >= $1 and hour < $2 and ($3 is null or key = $3){end}",
            from / HourMilliseconds, (to + HourMilliseconds - 1) / HourMilliseconds, key);
        while (reader.Read())
        {
            var first = columns.Count;
            if (reader.IsDBNull(first)) continue;
            rows.Add(new UsageSum([.. Enumerable.Range(0, first).Select(reader.GetString)])
            {
                Requests = reader.GetInt64(first),
                Prompt = reader.GetInt64(first + 1),
                Cached = reader.GetInt64(first + 2),
                Output = reader.GetInt64(first + 3),
                ChargeNanoUsd = reader.GetInt64(first + 4),
                CostNanoUsd = reader.GetInt64(first + 5),
            });
        }
        return rows;
    });

    /// <summary>Sums up buckets of minutes, hours or days, in UTC.</summary>
    /// <param name="from">Unix seconds, the start of a bucket.</param>
    /// <param name="to">Unix seconds; not included.</param>
    /// <param name="width">Seconds: 60, or whole hours.</param>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<BucketRow> ReadBuckets(long from, long to, long width) => Run(() =>
    {
        // The sums are per hour; minutes come from the rows, which are kept for a while.
        var source = width < 3600
            ? "select began / 60000 * 60 at, key, coalesce(project, '') project, model, 0 requests, prompt, cached, output, cost_nusd from usage_attempt "
                + "where began >= $1 * 1000 and began < $2 * 1000 union all "
                + "select began / 60000 * 60, key, coalesce(project, ''), coalesce(served_by, model), 1, 0, 0, 0, 0 from usage_answer "
                + "where began >= $1 * 1000 and began < $2 * 1000 and ended is not null and ended_by <> 'moved'"
            : "select hour * 3600 / $3 * $3 at, key, project, model, requests, prompt, cached, output, cost_nusd from usage_hour where hour * 3600 >= $1 and hour * 3600 < $2";
        var rows = new List<BucketRow>();
        using var reader = Statements.Query(
            $"select at, key, project, model, sum(requests), sum(prompt), sum(cached), sum(output), sum(cost_nusd) from ({source}) where $3 > 0 "
            + "group by at, key, project, model order by at, key, project, model",
            from, to, width);
        while (reader.Read())
        {
            rows.Add(new BucketRow(reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetString(3))
            {
                Requests = reader.GetInt64(4),
                Prompt = reader.GetInt64(5),
                Cached = reader.GetInt64(6),
                Output = reader.GetInt64(7),
                CostNanoUsd = reader.GetInt64(8),
            });
        }
        return rows;
    });

    /// <summary>Counts the hours' sums anew from the rows, and each answer's amounts from its attempts.</summary>
    /// <returns>The first difference, one sentence; null where there is none.</returns>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public string? FindDifference() => Run(() =>
    {
        // Of one moment, whoever writes meanwhile.
        using var transaction = Statements.BeginRead();
        var difference = CompareSums() ?? CompareDays() ?? CompareAnswers();
        Statements.Commit(transaction);
        return difference;
    });

    private string? CompareSums()
    {
        // The sums of hours whose rows are gone can't be counted any more.
        var first = (ReadNumber("select value from meta where name = 'swept'") + HourMilliseconds - 1) / HourMilliseconds;
        using var reader = Statements.Query(
            "select h, k, p, m, sum(t), sum(c), sum(x) from ("
            + "select hour h, key k, project p, model m, charged_tokens t, charge_nusd c, cost_nusd x from usage_hour where hour >= $1 union all "
            + "select began / 3600000, key, coalesce(project, ''), model, -charged_tokens, -charge_nusd, -cost_nusd from usage_attempt where began / 3600000 >= $1) "
            + "group by h, k, p, m having sum(t) <> 0 or sum(c) <> 0 or sum(x) <> 0 order by h limit 1",
            first);
        if (!reader.Read()) return null;
        var hour = DateTimeOffset.FromUnixTimeSeconds(reader.GetInt64(0) * 3600);
        return $"In the hour from {hour:yyyy-MM-dd HH:mm} UTC the key {reader.GetString(1)} has {reader.GetInt64(4)} tokens, {reader.GetInt64(5)} nano-dollars charged and {reader.GetInt64(6)} of cost more in the sums than in the rows (model {reader.GetString(3)}).";
    }

    private string? CompareDays()
    {
        using var days = Statements.Query(
            "select d, p, sum(t), sum(c), sum(x) from ("
            + "select day d, project p, charged_tokens + cost_tokens t, charge_nusd c, cost_nusd x from usage_day union all "
            + "select hour / 24, project, -charged_tokens - cost_tokens, -charge_nusd, -cost_nusd from usage_hour) "
            + "group by d, p having sum(t) <> 0 or sum(c) <> 0 or sum(x) <> 0 order by d limit 1");
        if (!days.Read()) return null;
        var day = DateTimeOffset.FromUnixTimeSeconds(days.GetInt64(0) * 86_400);
        return $"On {day:yyyy-MM-dd} the project '{days.GetString(1)}' has {days.GetInt64(2)} tokens, {days.GetInt64(3)} nano-dollars charged and {days.GetInt64(4)} of cost more in the sum of the day than in those of its hours.";
    }

    private string? CompareAnswers()
    {
        using var answers = Statements.Query(
            "select a.id, a.charge_nusd, a.cost_nusd, sum(t.charge_nusd), sum(t.cost_nusd) from usage_answer a join usage_attempt t on t.answer = a.id "
            + "where a.ended is not null group by a.id having a.charge_nusd <> sum(t.charge_nusd) or a.cost_nusd <> sum(t.cost_nusd) limit 1");
        return answers.Read()
            ? $"The answer {answers.GetString(0)} is charged {answers.GetInt64(1)} nano-dollars, and its attempts {answers.GetInt64(3)}; its cost is {answers.GetInt64(2)}, and theirs {answers.GetInt64(4)}."
            : null;
    }

    /// <summary>Answers and attempts in the file.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public (long Answers, long Attempts) CountRows() =>
        Run(() => (ReadNumber("select count(*) from usage_answer"), ReadNumber("select count(*) from usage_attempt")));

    /// <summary>Removes some of what is older than it may become. Sums stay.</summary>
    /// <param name="attemptsBefore">Unix milliseconds.</param>
    /// <param name="answersBefore">Unix milliseconds; of the rows of changes too.</param>
    /// <returns>Whether there is more.</returns>
    /// <exception cref="LedgerException">That is not possible now.</exception>
    public bool Sweep(long attemptsBefore, long answersBefore) => Run(() =>
    {
        var statements = Statements;
        using var transaction = statements.Begin();
        var count = statements.Execute(
            "delete from usage_attempt where (answer, number) in (select answer, number from usage_attempt where began < $1 limit $2)",
            attemptsBefore, SweepRows);
        if (count > 0) statements.Execute("insert into meta (name, value) values ('swept', $1) on conflict do update set value = max(value, $1)", attemptsBefore);
        count += statements.Execute("delete from usage_answer where id in (select id from usage_answer where began < $1 and ended is not null limit $2)", answersBefore, SweepRows);
        count += statements.Execute("delete from audit where number in (select number from audit where at < $1 limit $2)", answersBefore, SweepRows);
        count += statements.Execute("delete from budget_grant where until < $1", answersBefore);
        statements.Commit(transaction);
        return count >= SweepRows;
    });

    /// <summary>What names of people are hashed with; made at the first call.</summary>
    /// <exception cref="LedgerException">The file can't be read or written.</exception>
    public byte[] GetSubjectSecret() => Run(() =>
    {
        Statements.Execute("insert or ignore into meta (name, value) values ('subject_secret', $1)", System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        using var reader = Statements.Query("select value from meta where name = 'subject_secret'");
        reader.Read();
        return reader.GetFieldValue<byte[]>(0);
    });
}
