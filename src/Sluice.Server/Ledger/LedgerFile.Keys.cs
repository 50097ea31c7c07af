using Microsoft.Data.Sqlite;
using Sluice.Server.Configuration;

namespace Sluice.Server.Ledger;

// Keys, projects and top-ups that commands make, each change with a row that says who made it.
internal sealed partial class LedgerFile
{
    private const string KeyColumns =
        "id, name, project, hash, last_four, created, expires, revoked, former_hash, former_until, limits";

    /// <summary>All keys, the oldest first.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<KeyRow> ReadKeys() => Run(() =>
    {
        var rows = new List<KeyRow>();
        using var reader = Statements.Query($"select {KeyColumns} from api_key order by created, id");
        while (reader.Read()) rows.Add(ReadKey(reader));
        return rows;
    });

    /// <summary>A key by its id or name; null where there is none.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public KeyRow? FindKey(string idOrName) => Run(() =>
    {
        using var reader = Statements.Query($"select {KeyColumns} from api_key where id = $1 or name = $1", idOrName);
        return reader.Read() ? ReadKey(reader) : null;
    });

    /// <summary>Writes a key, new or changed, and who did it.</summary>
    /// <exception cref="LedgerException">That is not possible.</exception>
    public void PutKey(KeyRow key, AuditRow audit) => Change(audit, () => Statements.Execute(
        // A key that somebody revokes meanwhile stays revoked.
        $"insert into api_key ({KeyColumns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (id) do update set name = $2, project = $3, "
        + "hash = $4, last_four = $5, expires = $7, revoked = coalesce(revoked, $8), former_hash = $9, former_until = $10, limits = $11",
        key.Id, key.Name, key.Project, key.Hash, key.LastFour, key.Created, key.Expires, key.Revoked, key.FormerHash, key.FormerUntil,
        key.Limits.ToJson()));

    /// <summary>Projects that commands made: their ids and limits.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<(string Id, StoredLimits Limits)> ReadProjects() => Run(() =>
    {
        var rows = new List<(string, StoredLimits)>();
        using var reader = Statements.Query("select id, limits from project order by created, id");
        while (reader.Read()) rows.Add((reader.GetString(0), StoredLimits.Parse(reader.GetString(1))));
        return rows;
    });

    /// <summary>Writes a project, new or changed, and who did it.</summary>
    /// <exception cref="LedgerException">That is not possible.</exception>
    public void PutProject(string id, StoredLimits limits, AuditRow audit) => Change(audit, () => Statements.Execute(
        "insert into project (id, created, limits) values ($1, $2, $3) on conflict do update set limits = $3", id, audit.At, limits.ToJson()));

    /// <summary>Top-ups that have not run out.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<GrantRow> ReadGrants(long now) => Run(() =>
    {
        var rows = new List<GrantRow>();
        using var reader = Statements.Query("select scope, id, unit, amount, granted, until from budget_grant where until > $1 order by number", now);
        while (reader.Read())
        {
            var unit = reader.GetString(2) == "usd" ? BudgetUnit.NanoUsd : BudgetUnit.Tokens;
            rows.Add(new GrantRow(reader.GetString(0), reader.GetString(1), unit, reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5)));
        }
        return rows;
    });

    /// <summary>Adds a top-up, and who gave it.</summary>
    /// <exception cref="LedgerException">That is not possible.</exception>
    public void AddGrant(GrantRow grant, AuditRow audit) => Change(audit, () => Statements.Execute(
        "insert into budget_grant (scope, id, unit, amount, granted, until) values ($1, $2, $3, $4, $5, $6)",
        grant.Scope, grant.Id, grant.Unit == BudgetUnit.NanoUsd ? "usd" : "tokens", grant.Amount, grant.Granted, grant.Until));

    /// <summary>Changes since a moment, the oldest first.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public List<AuditRow> ReadAudit(long since) => Run(() =>
    {
        var rows = new List<AuditRow>();
        using var reader = Statements.Query("select at, actor, action, target, before, after from audit where at >= $1 order by number", since);
        while (reader.Read())
            rows.Add(new AuditRow(reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), Text(reader, 4), Text(reader, 5)));
        return rows;
    });

    /// <summary>When each key began an answer last: Unix milliseconds, by the hour.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public Dictionary<string, long> ReadLastUses() => Run(() =>
    {
        var uses = new Dictionary<string, long>(StringComparer.Ordinal);
        using var reader = Statements.Query("select key, max(hour) from usage_hour group by key");
        while (reader.Read()) uses[reader.GetString(0)] = reader.GetInt64(1) * HourMilliseconds;
        return uses;
    });

    /// <summary>Takes a person out of the rows: what was used stays, and nobody knows any more who asked.</summary>
    /// <param name="subject">Keyed hash of the person's name.</param>
    /// <param name="audit">Who wanted it.</param>
    /// <returns>Rows that were changed.</returns>
    /// <exception cref="LedgerException">That is not possible.</exception>
    public int Forget(string subject, AuditRow audit)
    {
        var count = 0;
        Change(audit, () => count = Statements.Execute("update usage_answer set subject = null, tags = '' where subject = $1", subject));
        // The log has the rows as they were, until it begins again.
        Run(() =>
        {
            Storage.SqliteSchema.Execute(Statements.Connection, "pragma wal_checkpoint(truncate)");
            return true;
        });
        return count;
    }

    private void Change(AuditRow audit, Action change) => Run(() =>
    {
        using var transaction = Statements.Begin();
        change();
        Statements.Execute(
            "insert into audit (at, actor, action, target, before, after) values ($1, $2, $3, $4, $5, $6)",
            audit.At, audit.Actor, audit.Action, audit.Target, audit.Before, audit.After);
        Statements.Commit(transaction);
        return true;
    });

    private static KeyRow ReadKey(SqliteDataReader reader) => new(reader.GetString(0), reader.GetString(1))
    {
        Project = Text(reader, 2),
        Hash = reader.GetFieldValue<byte[]>(3),
        LastFour = reader.GetString(4),
        Created = reader.GetInt64(5),
        Expires = Number(reader, 6),
        Revoked = Number(reader, 7),
        FormerHash = reader.IsDBNull(8) ? null : reader.GetFieldValue<byte[]>(8),
        FormerUntil = Number(reader, 9),
        Limits = StoredLimits.Parse(reader.GetString(10)),
    };

    private static long? Number(SqliteDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetInt64(column);
}
