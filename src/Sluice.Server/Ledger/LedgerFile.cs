using Microsoft.Data.Sqlite;
using Sluice.Server.Storage;
using SQLitePCL;

namespace Sluice.Server.Ledger;

/// <summary>
/// Who used what, and which keys there are, in one SQLite file that its user alone may read. The hub and the command line may have it open
/// at a time. Its calls block, and belong to one thread at a time.
/// </summary>
internal sealed partial class LedgerFile : IDisposable
{
    private const UnixFileMode OwnersAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    // Another process holds the lock for the time of a commit.
    private const int BusySeconds = 10;

    private readonly bool _isStrict;
    private readonly Action<string>? _step;
    private SqliteStatements? _statements;
    private long _connectCount;
    private bool _wasOpen;

    /// <param name="path">Full path; the file and its folder are made where there are none.</param>
    /// <param name="isStrict">Whether a commit also outlives a loss of power.</param>
    /// <param name="step">Called before every access to the file with a word for it; what it throws is taken for a failure of the access. Null for nobody.</param>
    public LedgerFile(string path, bool isStrict = false, Action<string>? step = null) => (Path, _isStrict, _step) = (path, isStrict, step);

    public string Path { get; }

    /// <summary>Opens the file and brings its tables up to date.</summary>
    /// <exception cref="LedgerException">That is not possible.</exception>
    public void Open() => Run(() =>
    {
        _ = Statements;
        return true;
    });

    /// <summary>Changes whenever another connection has written to the file, and with a connection of its own that is new.</summary>
    /// <exception cref="LedgerException">The file can't be read.</exception>
    public (long Connection, long Data) ReadVersion() => Run(() =>
    {
        var data = ReadNumber("pragma data_version");
        return (_connectCount, data);
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _statements?.Dispose();
        _statements = null;
    }

    private SqliteStatements Statements => _statements ??= Connect();

    // The one door for what goes wrong. A connection in an unknown state is given up.
    private T Run<T>(Func<T> access)
    {
        try
        {
            return access();
        }
        catch (Exception exception) when (exception is SqliteException or IOException or UnauthorizedAccessException or InvalidCastException or InvalidOperationException)
        {
            Dispose();
            throw Explain(exception);
        }
        catch (LedgerException)
        {
            Dispose();
            throw;
        }
    }

    private LedgerException Explain(Exception exception) => (exception as SqliteException)?.SqliteErrorCode switch
    {
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED => new($"The ledger {Path} is in use by another program; end that, or name another file with ledger.path.", exception),
        raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB => new($"The ledger {Path} is damaged, or no ledger; put a copy back, or name another file with ledger.path.", exception),
        raw.SQLITE_FULL => new($"There is no room for more in the ledger {Path}; free space on its disk.", exception),
        raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY or raw.SQLITE_PERM =>
            new($"The ledger {Path} can't be opened or written; make it writable, or name another file with ledger.path.", exception),
        _ => new($"The ledger {Path} can't be read or written ({exception.Message.TrimEnd('.')}); look at its disk, or name another file with ledger.path.", exception),
    };

    private SqliteStatements Connect()
    {
        _step?.Invoke("connect");
        var folder = System.IO.Path.GetDirectoryName(Path)!;
        if (!Directory.Exists(folder))
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
            else Directory.CreateDirectory(folder, OwnersAlone | UnixFileMode.UserExecute);
        }
        // An empty one in its place would know no keys, and open the hub.
        if (_wasOpen && !File.Exists(Path)) throw new LedgerException($"The ledger {Path} is gone; put it back, or restart the hub to begin another.");
        // Before SQLite makes it and its log with the mode of every other file.
        if (!File.Exists(Path)) new FileStream(Path, StoreFile.OptionsOf(FileMode.OpenOrCreate, FileShare.ReadWrite)).Dispose();
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = Path,
            Mode = SqliteOpenMode.ReadWrite,
            Pooling = false,
            DefaultTimeout = BusySeconds,
        }.ToString());
        try
        {
            connection.Open();
            RequireOurs(connection);
            // What is forgotten is overwritten.
            SqliteSchema.Execute(connection, "pragma secure_delete = on");
            SqliteSchema.Execute(connection, "pragma journal_mode = wal");
            SqliteSchema.Execute(connection, _isStrict ? "pragma synchronous = full" : "pragma synchronous = normal");
            Prepare(connection);
            (_wasOpen, _connectCount) = (true, _connectCount + 1);
            return new SqliteStatements(connection, _step);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // Before anything of the file is changed.
    private void RequireOurs(SqliteConnection connection)
    {
        var application = Read(connection, "pragma application_id");
        if (application == LedgerSchema.ApplicationId || (application == 0 && Read(connection, "select count(*) from sqlite_schema") == 0)) return;
        throw new LedgerException($"{Path} is a database of another program; name another file with ledger.path.");
    }

    private void Prepare(SqliteConnection connection)
    {
        var latest = LedgerSchema.Steps.Count;
        if (Read(connection, "pragma user_version") == latest) return;
        using var transaction = connection.BeginTransaction(deferred: false);
        var version = Read(connection, "pragma user_version");
        if (version > latest)
            throw new LedgerException($"The ledger {Path} is of version {version}, and this Sluice knows up to version {latest}; use the later Sluice, or name another file with ledger.path.");
        SqliteSchema.Execute(connection, $"pragma application_id = {LedgerSchema.ApplicationId}");
        for (var step = version; step < latest; step++) SqliteSchema.Execute(connection, LedgerSchema.Steps[(int)step]);
        SqliteSchema.Execute(connection, $"pragma user_version = {latest}");
        transaction.Commit();
    }

    private long ReadNumber(string sql, params ReadOnlySpan<object?> values)
    {
        using var reader = Statements.Query(sql, values);
        return reader.Read() && !reader.IsDBNull(0) ? reader.GetInt64(0) : 0;
    }

    private static long Read(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this file.
        command.CommandText = sql;
#pragma warning restore CA2100
        return (long)command.ExecuteScalar()!;
    }
}
