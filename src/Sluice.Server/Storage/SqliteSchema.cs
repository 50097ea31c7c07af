using Microsoft.Data.Sqlite;

namespace Sluice.Server.Storage;

/// <summary>The tables of a store of answers in an SQLite file.</summary>
internal static class SqliteSchema
{
    /// <summary>Of the tables that all steps make; stands in the file as <c>user_version</c>.</summary>
    public static long Version => s_steps.Length;

    /// <summary>"Slui": says of a file that it is ours.</summary>
    public const int ApplicationId = 0x536C7569;

    // Each leads from its index to the next version, also with answers in the file. What is here never changes: files have been made by it.
    private static readonly string[] s_steps =
    [
        """
        create table answer (
          id text primary key, principal text not null, idempotency_key text, raw_hash text not null, canonical_hash text, on_disconnect integer not null,
          model text not null, created integer not null, changed_at integer not null, event_count integer not null, byte_count integer not null,
          end_kind integer, ended_at integer, failure text, prompt_tokens integer, cached_tokens integer, completion_tokens integer, reasoning_tokens integer, is_estimated integer);
        create table request (id text primary key, body blob not null, progress blob);
        create table event_run (id text not null, first_event integer not null, event_count integer not null, ends blob not null, events blob not null, primary key (id, first_event));
        create table trace (number integer primary key, id text not null unique, principal text not null, idempotency_key text, at integer not null);
        """,
        "alter table answer add column dialect text not null default 'chat'",
    ];

    /// <summary>Makes the tables in an empty file, and brings those of an earlier version up to date: all steps or none.</summary>
    /// <param name="connection">Open.</param>
    /// <param name="path">For the message.</param>
    /// <exception cref="StoreException">The file is another program's, or of a later version.</exception>
    /// <exception cref="SqliteException">It can't be read or written.</exception>
    public static void Prepare(SqliteConnection connection, string path)
    {
        using var transaction = connection.BeginTransaction(deferred: false);
        var (application, version) = (Read(connection, "pragma application_id"), Read(connection, "pragma user_version"));
        if (version == 0 && application == 0 && Read(connection, "select count(*) from sqlite_schema") == 0)
        {
            Execute(connection, $"pragma application_id = {ApplicationId}");
        }
        else if (application != ApplicationId)
        {
            throw Foreign(path);
        }
        else if (version > Version)
        {
            throw new StoreException(StoreFault.Newer, $"The store of answers {path} is of version {version}, and this Sluice knows up to version {Version}; use the later Sluice, or name another file with store_path.");
        }
        for (var step = version; step < Version; step++) Execute(connection, s_steps[step]);
        if (version < Version) Execute(connection, $"pragma user_version = {Version}");
        transaction.Commit();
    }

    /// <summary>Looks whether a file is a store, or has no tables; nothing of it is changed.</summary>
    /// <param name="readOnly">Opens it.</param>
    /// <param name="path">For the message.</param>
    /// <exception cref="StoreException">The file is another program's.</exception>
    /// <exception cref="SqliteException">It can't be read.</exception>
    public static void RequireOurs(string readOnly, string path)
    {
        using var connection = new SqliteConnection(readOnly + ";Pooling=False");
        connection.Open();
        if (Read(connection, "pragma application_id") != ApplicationId && Read(connection, "select count(*) from sqlite_schema") > 0) throw Foreign(path);
    }

    private static StoreException Foreign(string path) =>
        new(StoreFault.Corrupt, $"{path} is a database of another program; name another file with store_path.");

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this folder, never words of a client.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private static long Read(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // As above.
        command.CommandText = sql;
#pragma warning restore CA2100
        return (long)command.ExecuteScalar()!;
    }
}
