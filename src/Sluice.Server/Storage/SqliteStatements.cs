using Microsoft.Data.Sqlite;

namespace Sluice.Server.Storage;

/// <summary>The statements of one connection, each prepared once. For one thread at a time.</summary>
/// <param name="connection">Open; disposed here.</param>
/// <param name="step">Called before each statement runs; what it throws is thrown to the caller.</param>
internal sealed class SqliteStatements(SqliteConnection connection, Action<string>? step) : IDisposable
{
    private readonly Dictionary<string, SqliteCommand> _commands = new(StringComparer.Ordinal);
    private SqliteTransaction? _transaction;

    public SqliteConnection Connection => connection;

    /// <summary>Runs a statement.</summary>
    /// <param name="sql">With parameters <c>$1</c>, <c>$2</c> and so on.</param>
    /// <param name="values">Of the parameters; null is NULL.</param>
    /// <returns>Rows changed.</returns>
    public int Execute(string sql, params ReadOnlySpan<object?> values) => Bind(sql, values).ExecuteNonQuery();

    /// <summary>Runs a query; the result must be disposed before the same query runs again.</summary>
    public SqliteDataReader Query(string sql, params ReadOnlySpan<object?> values) => Bind(sql, values).ExecuteReader();

    /// <summary>What runs until <see cref="Commit"/> belongs to it. Where it isn't committed, this object is of no use any more.</summary>
    public SqliteTransaction Begin()
    {
        step?.Invoke("begin");
        return _transaction = connection.BeginTransaction(deferred: false);
    }

    /// <summary>The same for reading alone: one moment of the file, and nobody who writes has to wait.</summary>
    public SqliteTransaction BeginRead() => _transaction = connection.BeginTransaction(deferred: true);

    /// <summary>The second step tells of a commit whose outcome its caller never learns.</summary>
    public void Commit(SqliteTransaction transaction)
    {
        step?.Invoke("commit");
        transaction.Commit();
        _transaction = null;
        step?.Invoke("committed");
    }

    public void Dispose()
    {
        _transaction?.Dispose();
        foreach (var command in _commands.Values) command.Dispose();
        connection.Dispose();
    }

    private SqliteCommand Bind(string sql, ReadOnlySpan<object?> values)
    {
        if (!_commands.TryGetValue(sql, out var command))
        {
            command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this folder, never words of a client: those are parameters.
            command.CommandText = sql;
#pragma warning restore CA2100
            for (var i = 1; i <= values.Length; i++) command.Parameters.Add(new SqliteParameter { ParameterName = $"${i}" });
            _commands.Add(sql, command);
        }
        command.Transaction = _transaction;
        for (var i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i] ?? DBNull.Value;
        step?.Invoke(sql);
        return command;
    }
}
