using Npgsql;

namespace Sluice.Server.Storage;

// Who owns what: leases, claims, keys.
internal sealed partial class PostgresAnswerStore
{
    private const string IsDead = "(a.owner is null or not exists (select from sluice.node as n where n.id = a.owner and n.lease_until > clock_timestamp()))";

    // In the place of a principal, which no client has: marks of answers that were taken away.
    private const string DeletedMark = "\u0001deleted";

    // Once for all nodes: of ten that sweep at a time each gets rows of its own.
    private const string FindExpired = $"""
        select a.id, a.principal, a.idempotency_key from sluice.answer as a left join sluice.request as r on r.id = a.id
        where ((a.end_kind is not null and a.ended_at < $1) or (a.end_kind is null and coalesce(r.changed_at, 0) < $2)) and {IsDead}
        limit $3 for update of a skip locked
        """;

    /// <summary>Renews the lease, on the database's clock, and tells who else there is.</summary>
    /// <param name="self">This node; its lease is written, not read.</param>
    /// <param name="lease">How long it runs from now on; zero ends it.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task<List<ClusterNode>> RenewAsync(ClusterNode self, TimeSpan lease, CancellationToken cancellation) => RunAsync(async () =>
    {
        step?.Invoke("renew");
        await using var statements = source.CreateBatch();
        Add(
            statements,
            """
            insert into sluice.node as n (id, url, version, isa, models, running, is_draining, started, lease_until)
            values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), clock_timestamp() + $8 * interval '1 second')
            on conflict (id) do update set running = excluded.running, is_draining = excluded.is_draining, models = excluded.models, lease_until = excluded.lease_until
            """,
            Of(self.Id), Of(self.Url), Of(self.Version), Of(self.Isa), Of(self.Models.ToArray()), Of(self.Running), Of(self.IsDraining), Of(lease.TotalSeconds));
        Add(statements, "delete from sluice.node where lease_until < clock_timestamp() - interval '1 hour'");
        Add(statements, "delete from sluice.key where until < clock_timestamp()");
        Add(statements, ListSql);
        return await ReadNodesAsync(statements, cancellation);
    });

    /// <summary>The nodes that have been there within the last hour.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<List<ClusterNode>> ListNodesAsync(CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var statements = source.CreateBatch();
        Add(statements, ListSql);
        return await ReadNodesAsync(statements, cancellation);
    });

    /// <summary>How many answers each owner makes, keeps ended, and those that wait for one to take them; the owner's id is null there.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<List<(Guid? Owner, long Open, long Ended)>> CountAnswersAsync(CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand(
            "select owner, count(*) filter (where end_kind is null), count(*) filter (where end_kind is not null) from sluice.answer group by owner");
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var counts = new List<(Guid?, long, long)>();
        while (await rows.ReadAsync(cancellation)) counts.Add((rows.IsDBNull(0) ? null : rows.GetGuid(0), rows.GetInt64(1), rows.GetInt64(2)));
        return counts;
    });

    /// <summary>Makes an answer this node's, if it is nobody's and has not changed hands meanwhile.</summary>
    /// <param name="id">Of the answer.</param>
    /// <param name="epoch">As it was seen.</param>
    /// <param name="ledger">Which settles it from now on; null where none does. The one that did so before finds a mark.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>False where somebody else has it.</returns>
    /// <exception cref="StoreException">The database can't be written; it may be this node's all the same.</exception>
    public Task<bool> TryClaimAsync(string id, int epoch, string? ledger, CancellationToken cancellation) => RunAsync(async () =>
    {
        step?.Invoke("claim");
        await using var command = source.CreateCommand($"""
            with taken as (
              select a.id, a.ledger, a.charge from sluice.answer as a where a.id = $2 and a.epoch = $3 and a.end_kind is null and {IsDead} for update),
            moved as (
              insert into sluice.moved (ledger, id, charge) select ledger, id, charge from taken
              where ledger is not null and charge is not null and ledger is distinct from $5
              on conflict (ledger, id) do update set charge = excluded.charge, at = excluded.at)
            update sluice.answer as a set owner = $1, epoch = a.epoch + 1, isa = $4, ledger = $5 from taken where a.id = taken.id returning a.epoch
            """);
        command.Parameters.Add(Of(node));
        command.Parameters.Add(Of(id));
        command.Parameters.Add(Of(epoch));
        command.Parameters.Add(Of(isa));
        command.Parameters.Add(OrNull(ledger));
        if (await command.ExecuteScalarAsync(cancellation) is not int claimed) return false;
        _epochs[id] = claimed;
        return true;
    });

    /// <summary>What others have taken over of those that a ledger settled: what stood beside each at that moment.</summary>
    /// <param name="ledger">Id of the ledger.</param>
    /// <param name="id">Of one answer; null for all.</param>
    /// <param name="countMax">No more than these.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<List<(string Id, string Charge)>> FindMovedAsync(string ledger, string? id, int countMax, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand(
            "select id, charge from sluice.moved where ledger = $1 and ($2::text is null or id = $2) order by id limit $3");
        command.Parameters.Add(Of(ledger));
        command.Parameters.Add(OrNull(id));
        command.Parameters.Add(Of(countMax));
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var found = new List<(string, string)>();
        while (await rows.ReadAsync(cancellation)) found.Add((rows.GetString(0), rows.GetString(1)));
        return found;
    });

    /// <summary>The ledger has what a mark says.</summary>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task DeleteMovedAsync(string ledger, string id, string charge, CancellationToken cancellation) => RunAsync(async () =>
    {
        // Not one that was taken once more meanwhile.
        await using var command = source.CreateCommand("delete from sluice.moved where ledger = $1 and id = $2 and charge = $3");
        command.Parameters.Add(Of(ledger));
        command.Parameters.Add(Of(id));
        command.Parameters.Add(Of(charge));
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    /// <summary>Forgets marks of ledgers that nobody has opened for so long.</summary>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task SweepMovedAsync(TimeSpan kept, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("delete from sluice.moved where at < clock_timestamp() - $1 * interval '1 second'");
        command.Parameters.Add(Of(kept.TotalSeconds));
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    /// <summary>Lets answers of this node go: whoever is asked for one takes it. After everything of them was committed.</summary>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public async Task ReleaseAsync(IReadOnlyList<string> ids, CancellationToken cancellation)
    {
        await RunAsync(async () =>
        {
            step?.Invoke("release");
            await using var command = source.CreateCommand("update sluice.answer set owner = null where id = any($2) and owner = $1 and end_kind is null");
            command.Parameters.Add(Of(node));
            command.Parameters.Add(Of(ids.ToArray()));
            return await command.ExecuteNonQueryAsync(cancellation);
        });
        foreach (var id in ids) _epochs.TryRemove(id, out _);
    }

    /// <summary>Lets everything of this node go that has not ended.</summary>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task ReleaseAllAsync(CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("update sluice.answer set owner = null where owner = $1 and end_kind is null");
        command.Parameters.Add(Of(node));
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    /// <summary>Takes a key for an answer, and writes the answer down with it: from now on everybody finds it.</summary>
    /// <param name="answer">With the key.</param>
    /// <param name="body">What is asked.</param>
    /// <param name="progress">What the engine could begin from, where it is known already who makes the answer; null where not.</param>
    /// <param name="at">Now.</param>
    /// <param name="replaced">An answer that has the key and gives it away; null where there is none.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreException">The database can't be written; the key may be the answer's all the same, and asking again is fine.</exception>
    public Task<KeyClaim> TakeKeyAsync(
        StoredAnswer answer, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte>? progress, DateTimeOffset at, string? replaced, CancellationToken cancellation) => RunAsync(async () =>
    {
        step?.Invoke("key");
        var owner = answer.Owner;
        await using var statements = source.CreateBatch();
        Add(
            statements,
            """
            with won as (
              insert into sluice.key as k (principal, key, answer_id) values ($3, $4, $1)
              on conflict (principal, key) do update set answer_id = excluded.answer_id, until = null
              where k.answer_id = excluded.answer_id or k.answer_id = $15 or k.until < clock_timestamp() returning k.answer_id),
            made as (
              insert into sluice.answer (id, owner, epoch, isa, principal, idempotency_key, raw_hash, canonical_hash, on_disconnect, model, created, dialect, charge, ledger)
              select answer_id, $2, 1, $5, $3, $4, $6, $7, $8, $9, $10, $11, $16, $17 from won on conflict (id) do nothing),
            asked as (
              insert into sluice.request (id, body, progress, changed_at) select answer_id, $12, $13, $14 from won on conflict (id) do nothing)
            select answer_id from won
            """,
            Of(answer.Id), Of(node), Of(owner.Principal), Of(owner.Key!), Of(isa), Of(owner.Fingerprint.Raw), OrNull(owner.Fingerprint.Canonical),
            Of((short)owner.OnDisconnect), Of(answer.Model), Of(answer.Created), Of(owner.Dialect.Name), Of(body.ToArray()),
            progress is { } bytes ? Of(bytes.ToArray()) : new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bytea },
            Of(at.ToUnixTimeMilliseconds()), OrNull(replaced), OrNull(answer.Charge), OrNull(answer.Ledger));
        // In a statement of its own, which sees what the first one has waited for.
        Add(statements, "select answer_id from sluice.key where principal = $1 and key = $2", Of(owner.Principal), Of(owner.Key!));
        await using var rows = await statements.ExecuteReaderAsync(cancellation);
        if (await rows.ReadAsync(cancellation))
        {
            _epochs.TryAdd(answer.Id, 1);
            return new KeyClaim(true, answer.Id);
        }
        await rows.NextResultAsync(cancellation);
        return await rows.ReadAsync(cancellation) ? new KeyClaim(false, TextOrNull(rows, 0)) : new KeyClaim(false, null);
    });

    /// <summary>Remembers that a request with a key is not wanted, unless there is an answer with it.</summary>
    /// <returns>The answer that has the key; null where there is none.</returns>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task<string?> CancelKeyAsync(string principal, string key, TimeSpan remembered, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var statements = source.CreateBatch();
        Add(
            statements,
            """
            insert into sluice.key as k (principal, key, until) values ($1, $2, clock_timestamp() + $3 * interval '1 second')
            on conflict (principal, key) do update set until = excluded.until where k.answer_id is null
            """,
            Of(principal), Of(key), Of(remembered.TotalSeconds));
        Add(statements, "select answer_id from sluice.key where principal = $1 and key = $2", Of(principal), Of(key));
        return await statements.ExecuteScalarAsync(cancellation) as string;
    });

    /// <summary>Wishes for the end of an answer whose owner can't be reached; it, or whoever claims the answer, reads that.</summary>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task WantCancelAsync(string id, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("update sluice.answer set cancel_wanted = true where id = $1 and end_kind is null");
        command.Parameters.Add(Of(id));
        return await command.ExecuteNonQueryAsync(cancellation);
    });

    /// <summary>Answers of this node that somebody else wants to end.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<List<string>> FindCancelledAsync(CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("select id from sluice.answer where owner = $1 and end_kind is null and cancel_wanted");
        command.Parameters.Add(Of(node));
        return await ReadIdsAsync(command, cancellation);
    });

    /// <summary>Takes away an answer of a node that is gone.</summary>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task<bool> DeleteAsync(string id, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using (var command = source.CreateCommand($"update sluice.answer as a set owner = $1, epoch = a.epoch + 1 where a.id = $2 and {IsDead}"))
        {
            command.Parameters.Add(Of(node));
            command.Parameters.Add(Of(id));
            await command.ExecuteNonQueryAsync(cancellation);
        }
        await using var statements = source.CreateBatch();
        AddDelete(statements, [id]);
        // A former owner that only slept must not write it down again.
        Add(
            statements,
            """
            insert into sluice.key (principal, key, until) select $1, $2, clock_timestamp() + interval '1 day'
            where not exists (select from sluice.answer where id = $2) on conflict (principal, key) do nothing
            """,
            Of(DeletedMark), Of(id));
        await statements.ExecuteNonQueryAsync(cancellation);
        return await FindAsync(id, cancellation) is null;
    });

    /// <summary>Open answers of this node by the rows, those apart that have just begun or changed hands.</summary>
    /// <param name="changedBefore">When they have changed last.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<List<string>> FindOwnAsync(DateTimeOffset changedBefore, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("""
            select a.id from sluice.answer as a left join sluice.request as r on r.id = a.id
            where a.owner = $1 and a.end_kind is null and coalesce(r.changed_at, 0) < $2
            """);
        command.Parameters.Add(Of(node));
        command.Parameters.Add(Of(changedBefore.ToUnixTimeMilliseconds()));
        return await ReadIdsAsync(command, cancellation);
    });

    /// <summary>Whether an answer that is not there was taken away, and not forgotten.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<bool> WasDeletedAsync(string id, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand(
            "select exists (select from sluice.trace where id = $2) or exists (select from sluice.key where principal = $1 and key = $2)");
        command.Parameters.Add(Of(DeletedMark));
        command.Parameters.Add(Of(id));
        return await command.ExecuteScalarAsync(cancellation) is true;
    });

    /// <summary>Answers that nobody makes any more and somebody has to take: their owner is gone, and they have not ended.</summary>
    /// <param name="behind">Numbers up to this one are passed.</param>
    /// <param name="countMax">No more than these.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<List<(string Id, long Number)>> FindOrphanedAsync(long behind, int countMax, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand($"""
            select a.id, a.number from sluice.answer as a left join sluice.request as r on r.id = a.id
            where a.end_kind is null and a.number > $3 and {IsDead} and (a.on_disconnect = $2 or r.progress is null) order by a.number limit $1
            """);
        command.Parameters.Add(Of(countMax));
        command.Parameters.Add(Of((short)DisconnectPolicy.Continue));
        command.Parameters.Add(Of(behind));
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var found = new List<(string, long)>();
        while (await rows.ReadAsync(cancellation)) found.Add((rows.GetString(0), rows.GetInt64(1)));
        return found;
    });

    /// <summary>Takes away what nodes that are gone have left, when its time is over, and leaves traces.</summary>
    /// <param name="endedBefore">Answers that ended before this.</param>
    /// <param name="suspendedBefore">Others that nobody has gone on with since.</param>
    /// <param name="now">For the traces.</param>
    /// <param name="countMax">No more than these at a time.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreException">The database can't be written.</exception>
    public Task<int> SweepAsync(DateTimeOffset endedBefore, DateTimeOffset suspendedBefore, DateTimeOffset now, int countMax, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand($"""
            with gone as (
              delete from sluice.answer where id in (select id from ({FindExpired}) as expired) returning id, principal, idempotency_key),
            traced as (
              insert into sluice.trace (id, principal, idempotency_key, at) select id, principal, idempotency_key, $4 from gone on conflict (id) do nothing),
            runs as (delete from sluice.event_run where id in (select id from gone)),
            requests as (delete from sluice.request where id in (select id from gone)),
            keys as (delete from sluice.key where answer_id in (select id from gone))
            select count(*) from gone
            """);
        command.Parameters.Add(Of(endedBefore.ToUnixTimeMilliseconds()));
        command.Parameters.Add(Of(suspendedBefore.ToUnixTimeMilliseconds()));
        command.Parameters.Add(Of(countMax));
        command.Parameters.Add(Of(now.ToUnixTimeMilliseconds()));
        return (int)(long)(await command.ExecuteScalarAsync(cancellation))!;
    });

    private const string ListSql = """
        select id, url, version, isa, models, running, is_draining, lease_until > clock_timestamp(),
          abs(extract(epoch from lease_until - clock_timestamp()))::float8 from sluice.node order by started, id
        """;

    private static async Task<List<ClusterNode>> ReadNodesAsync(NpgsqlBatch statements, CancellationToken cancellation)
    {
        var nodes = new List<ClusterNode>();
        await using var rows = await statements.ExecuteReaderAsync(cancellation);
        while (await rows.ReadAsync(cancellation))
        {
            nodes.Add(new ClusterNode(rows.GetGuid(0), rows.GetString(1))
            {
                Version = rows.GetString(2),
                Isa = rows.GetString(3),
                Models = rows.GetFieldValue<string[]>(4),
                Running = rows.GetInt32(5),
                IsDraining = rows.GetBoolean(6),
                IsAlive = rows.GetBoolean(7),
                LeaseSeconds = rows.GetDouble(8),
            });
        }
        return nodes;
    }

    private static async Task<List<string>> ReadIdsAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var ids = new List<string>();
        while (await rows.ReadAsync(cancellation)) ids.Add(rows.GetString(0));
        return ids;
    }
}
