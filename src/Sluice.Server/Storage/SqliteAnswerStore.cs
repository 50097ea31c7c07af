using System.Buffers;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Sluice.Server.Storage;

/// <summary>Answers in one SQLite file, of which its user alone may read. The file is of one process: a second one is refused.</summary>
/// <remarks>
/// Commits go to a write-ahead log, which a killed process leaves in order; what a loss of power may take is the last of them, never the file. What is
/// deleted is overwritten.
/// </remarks>
internal sealed partial class SqliteAnswerStore : IAnswerStore
{
    private const UnixFileMode OwnersAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int PageBytes = 4096;

    private readonly string _path;
    private readonly long _bytesMax;
    private readonly TaskScheduler _scheduler;
    private readonly Action<string>? _step;
    private FileStream? _lock;
    private StoreFile? _file;
    private SqliteStatements? _writer;

    // Answers of before are in no file any more; what comes to them goes nowhere.
    private bool _isRenewed;
    private long _usedBytes;

    /// <param name="path">Full path of the file; its folder is made where there is none.</param>
    /// <param name="bytesMax">Bytes that the file may grow to.</param>
    /// <param name="scheduler">Where the file is read and written: these calls block.</param>
    /// <param name="step">Called before every access to the file with a word for it; what it throws is taken for a failure of the access. Null for nobody.</param>
    public SqliteAnswerStore(string path, long bytesMax, TaskScheduler? scheduler = null, Action<string>? step = null) =>
        (_path, _bytesMax, _scheduler, _step) = (path, bytesMax, scheduler ?? TaskScheduler.Default, step);

    public string Name => _path;

    public long UsedBytes => Volatile.Read(ref _usedBytes);

    public async ValueTask OpenAsync(CancellationToken cancellation) => await RunAsync(
        () =>
        {
            Open();
            return true;
        },
        cancellation);

    public ValueTask<StoreContents> LoadAsync(CancellationToken cancellation) => RunAsync(Load, cancellation);

    public ValueTask<IReadOnlyList<string>> CommitAsync(StoreBatch batch, CancellationToken cancellation) => RunAsync<IReadOnlyList<string>>(
        () =>
        {
            try
            {
                Commit(batch);
            }
            catch
            {
                // Whatever state it is in: the next commit begins with a connection of its own.
                _writer?.Dispose();
                _writer = null;
                throw;
            }
            // The file is of one process.
            return [];
        },
        cancellation);

    public ValueTask<int> ReadAsync(
        string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax, CancellationToken cancellation) =>
        RunAsync(() => Read(id, position, output, addEvent, bytesMax), cancellation);

    public ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation) => RunAsync(() => FindRequest(id), cancellation);

    /// <summary>Empties the write-ahead log into the file.</summary>
    public async ValueTask DisposeAsync()
    {
        // Its log must not be emptied into a file that is another one.
        if (_file?.FindLoss() is not (null or StoreLoss.None)) SetLogLeft();
        ClearReaders();
        _writer?.Dispose();
        _writer = null;
        _file?.Dispose();
        _file = null;
        if (_lock is { } held) await held.DisposeAsync();
        _lock = null;
    }

    // The one door for what goes wrong.
    private async ValueTask<T> RunAsync<T>(Func<T> access, CancellationToken cancellation)
    {
        try
        {
            return await Task.Factory.StartNew(access, cancellation, TaskCreationOptions.DenyChildAttach, _scheduler);
        }
        catch (SqliteException exception)
        {
            throw Explain(exception);
        }
        catch (IOException exception) when (exception.HResult == ErrorNumbers.ReadOnlyFileSystem)
        {
            throw ReadOnlyFileSystem(exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StoreException(StoreFault.Unwritable, $"The store of answers {_path} can't be opened or written: {exception.Message.TrimEnd('.')}; make it writable, or name another file with store_path.", exception);
        }
        catch (Exception exception) when (IsDamage(exception))
        {
            throw Damaged(exception);
        }
    }

    private StoreException Explain(SqliteException exception) => exception.SqliteErrorCode switch
    {
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED =>
            new(StoreFault.Locked, $"The store of answers {_path} is in use by another program; end that, or name another file with store_path.", exception),
        raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB => Damaged(exception),
        raw.SQLITE_FULL => new(StoreFault.Full, $"There is no room for more in the store of answers {_path}; free space on its disk, or raise store_size.", exception),
        raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY or raw.SQLITE_PERM or raw.SQLITE_IOERR when IsReadOnlyFileSystem() => ReadOnlyFileSystem(exception),
        raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY or raw.SQLITE_PERM =>
            new(StoreFault.Unwritable, $"The store of answers {_path} can't be opened or written; make it writable, or name another file with store_path.", exception),
        _ => new(StoreFault.Failed, $"The store of answers {_path} can't be read or written ({exception.Message.TrimEnd('.')}); look at its disk, or name another file with store_path.", exception),
    };

    private StoreException Damaged(Exception exception) =>
        new(StoreFault.Corrupt, $"The store of answers {_path} is damaged, or no store of answers; move it away, and a new one is made, or name another file with store_path.", exception);

    private StoreException ReadOnlyFileSystem(Exception exception) =>
        new(StoreFault.Unwritable, $"The store of answers {_path} lies on a read-only file system; make that writable, or name another file with store_path.", exception);

    // What rows that somebody else has written lead to.
    private static bool IsDamage(Exception exception) => exception
        is JsonException or InvalidCastException or FormatException or OverflowException or ArgumentOutOfRangeException
        or KeyNotFoundException or (InvalidOperationException and not ObjectDisposedException);

    // SQLite says only that it can't write.
    private bool IsReadOnlyFileSystem()
    {
        try
        {
            using var probe = new FileStream(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            return false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception.HResult == ErrorNumbers.ReadOnlyFileSystem;
        }
    }

    private void Open()
    {
        _step?.Invoke("open");
        var folder = Path.GetDirectoryName(_path)!;
        if (!Directory.Exists(folder)) CreateFolder(folder);
        // Looked at before a lock is made beside it: it may be anything.
        if (File.Exists(_path)) StoreFile.Open(_path).Dispose();
        if (!File.Exists(LockPath))
        {
            _lock?.Dispose();
            _lock = null;
        }
        _lock ??= Lock();
        _writer?.Dispose();
        _writer = null;
        _file?.Dispose();
        _file = StoreFile.Open(_path);
        SqliteSchema.RequireOurs(ConnectionString(isReader: true), _path);
        // Before SQLite makes a log of it, which gets the mode that the file has.
        _file.Protect();
        _writer = Connect();
        SqliteSchema.Prepare(_writer.Connection, _path);
        // So that the file itself says from now on whose it is.
        SqliteSchema.Execute(_writer.Connection, "pragma wal_checkpoint(truncate)");
    }

    private string LockPath => _path + "-lock";

    // Before every commit: what is written to a file that has no name any more is lost.
    private void RequireFile()
    {
        if (_file is null)
        {
            Open();
            return;
        }
        switch (_file.FindLoss())
        {
            case StoreLoss.Deleted:
                Abandon();
                throw new StoreException(StoreFault.Failed, $"The store of answers {_path} was deleted while the hub ran: what it had is lost, and a new one is made.");
            case StoreLoss.Emptied:
                Abandon();
                throw new StoreException(StoreFault.Failed, $"The store of answers {_path} was emptied while the hub ran: what it had is lost, and it is begun anew.");
            case StoreLoss.Replaced:
                SetLogLeft();
                throw new StoreException(StoreFault.Failed, $"The store of answers {_path} was replaced by another file while the hub ran; restart the hub to use that, or put the former one back.");
            case StoreLoss.None when _writer is not null && !File.Exists(_path + "-wal"):
                // The log alone is gone by its name; what it has goes into the file as it is closed.
                ClearReaders();
                _writer.Dispose();
                _writer = null;
                break;
            default:
                break;
        }
    }

    private void Abandon()
    {
        SetLogLeft();
        ClearReaders();
        _writer?.Dispose();
        _writer = null;
        _file?.Dispose();
        _file = null;
        _isRenewed = true;
        // They belong to what is gone, and SQLite would put one together with a new file.
        File.Delete(_path + "-wal");
        File.Delete(_path + "-shm");
    }

    private void SetLogLeft()
    {
        const int NoCheckpointOnClose = 1006;
        if (_writer is { } writer) raw.sqlite3_db_config(writer.Connection.Handle, NoCheckpointOnClose, 1, out _);
    }

    private void ClearReaders()
    {
        using var readers = new SqliteConnection(ConnectionString(isReader: true));
        SqliteConnection.ClearPool(readers);
    }

    private FileStream Lock()
    {
        try
        {
            return new FileStream(LockPath, StoreFile.OptionsOf(FileMode.OpenOrCreate, FileShare.None));
        }
        catch (IOException exception) when (File.Exists(LockPath))
        {
            throw new StoreException(StoreFault.Locked, $"The store of answers {_path} is in use by another program; end that, or name another file with store_path.", exception);
        }
    }

    private static void CreateFolder(string folder)
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, OwnersAlone | UnixFileMode.UserExecute);
    }

    private SqliteStatements Connect()
    {
        _step?.Invoke("connect");
        var connection = new SqliteConnection(ConnectionString(isReader: false));
        try
        {
            connection.Open();
            SqliteSchema.Execute(connection, "pragma secure_delete = on");
            SqliteSchema.Execute(connection, "pragma journal_mode = wal");
            SqliteSchema.Execute(connection, "pragma synchronous = normal");
            SqliteSchema.Execute(connection, $"pragma max_page_count = {long.Max(64, _bytesMax / PageBytes)}");
            return new SqliteStatements(connection, _step);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // A connection that waits a second for another program's lock has waited long enough: answers wait in memory.
    private string ConnectionString(bool isReader) => new SqliteConnectionStringBuilder
    {
        DataSource = _path,
        Mode = isReader ? SqliteOpenMode.ReadOnly : SqliteOpenMode.ReadWrite,
        Pooling = isReader,
        DefaultTimeout = 1,
    }.ToString();
}
