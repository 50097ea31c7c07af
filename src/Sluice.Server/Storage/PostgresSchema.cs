using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Sluice.Server.Storage;

/// <summary>The tables that the hubs of a cluster share, in a schema of their own.</summary>
internal static class PostgresSchema
{
    /// <summary>Of the tables that all steps make; stands in the table <c>cluster</c>.</summary>
    public static int Version => s_steps.Length;

    // "Sluice": any number that other programs are unlikely to lock. Held for one transaction, so that a pooler in transaction mode is fine.
    private const long MigrationLock = 0x536C75696365;

    // Each leads from its index to the next version. What is here never changes: databases have been made by it.
    private static readonly string[] s_steps =
    [
        """
        create table sluice.node (
          id uuid primary key, url text not null, version text not null, isa text not null, models text[] not null, running int not null,
          is_draining boolean not null, started timestamptz not null, lease_until timestamptz not null) with (fillfactor = 50);
        create table sluice.answer (
          number bigint generated always as identity, id text primary key, owner uuid, epoch int not null, isa text not null,
          principal text not null, idempotency_key text, raw_hash text not null, canonical_hash text, on_disconnect smallint not null,
          model text not null, created bigint not null, dialect text not null, cancel_wanted boolean not null default false,
          end_kind smallint, ended_at bigint, failure text, prompt_tokens int, cached_tokens int, completion_tokens int, reasoning_tokens int, is_estimated boolean);
        create index answer_open on sluice.answer (owner) where end_kind is null;
        create index answer_ended on sluice.answer (ended_at) where end_kind is not null;
        create table sluice.request (id text primary key, body bytea not null, progress bytea, changed_at bigint not null) with (fillfactor = 70);
        alter table sluice.request alter column body set storage external;
        create table sluice.event_run (
          id text not null, first_event bigint not null, epoch int not null, event_count int not null, ends bytea not null, events bytea not null,
          primary key (id, first_event));
        alter table sluice.event_run alter column events set storage external;
        create table sluice.trace (number bigint generated always as identity, id text primary key, node uuid, principal text not null, idempotency_key text, at bigint not null);
        create index trace_at on sluice.trace (at);
        create table sluice.key (principal text not null, key text not null, answer_id text, until timestamptz, primary key (principal, key));
        create index key_answer on sluice.key (answer_id);
        create index key_until on sluice.key (until) where until is not null;
        """,
        """
        alter table sluice.answer add column charge text, add column ledger text;
        create table sluice.moved (
          ledger text not null, id text not null, charge text not null, at timestamptz not null default clock_timestamp(), primary key (ledger, id));
        create index moved_at on sluice.moved (at);
        """,
    ];

    /// <summary>Makes the tables, and brings those of an earlier version up to date: all steps or none, also where several hubs do so at a time.</summary>
    /// <param name="source">The database.</param>
    /// <param name="secret">The cluster's; a hub with another one belongs to another cluster, and is refused.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>The version before, 0 where there was nothing.</returns>
    /// <exception cref="StoreException">The database is another cluster's, or of a later version.</exception>
    /// <exception cref="NpgsqlException">It can't be read or written.</exception>
    public static async Task<int> PrepareAsync(NpgsqlDataSource source, string secret, CancellationToken cancellation)
    {
        var mark = Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), "sluice cluster"u8));
        // Most of the time all is there, and then nobody waits for a lock, or needs to be allowed to make tables.
        if (await ReadAsync(source, mark, cancellation) == Version) return Version;
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ExecuteAsync(connection, $"select pg_advisory_xact_lock({MigrationLock})", cancellation);
        var version = await ReadAsync(connection, mark, cancellation);
        if (version < Version)
        {
            if (version == 0)
            {
                await ExecuteAsync(connection, "create schema if not exists sluice", cancellation);
                await ExecuteAsync(
                    connection,
                    "create table sluice.cluster (is_only boolean primary key default true check (is_only), mark text not null, version int not null)", cancellation);
                await ExecuteAsync(connection, $"insert into sluice.cluster (mark, version) values ('{mark}', 0)", cancellation);
            }
            for (var step = version; step < Version; step++) await ExecuteAsync(connection, s_steps[step], cancellation);
            await ExecuteAsync(connection, string.Create(CultureInfo.InvariantCulture, $"update sluice.cluster set version = {Version}"), cancellation);
        }
        await transaction.CommitAsync(cancellation);
        return version;
    }

    private static async Task<int> ReadAsync(NpgsqlDataSource source, string mark, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        return await ReadAsync(connection, mark, cancellation);
    }

    private static async Task<int> ReadAsync(NpgsqlConnection connection, string mark, CancellationToken cancellation)
    {
        // From the catalog itself: what a name means is remembered by a connection, also while it waits for the lock.
        const string IsThere = "select exists (select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where n.nspname = 'sluice' and c.relname = 'cluster')";
        await using (var known = new NpgsqlCommand(IsThere, connection))
        {
            if (await known.ExecuteScalarAsync(cancellation) is not true) return 0;
        }
        await using var command = new NpgsqlCommand("select mark, version from sluice.cluster", connection);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        if (!await row.ReadAsync(cancellation)) return 0;
        if (row.GetString(0) != mark)
            throw new StoreException(StoreFault.Locked, "The database belongs to a cluster with another secret; use its cluster.secret, or another database.");
        var version = row.GetInt32(1);
        if (version > Version)
            throw new StoreException(StoreFault.Newer, $"The tables of the cluster are of version {version}, and this Sluice knows up to version {Version}; use the later Sluice.");
        return version;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
#pragma warning disable CA2100 // Constants of this file and numbers, never words of a client.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
