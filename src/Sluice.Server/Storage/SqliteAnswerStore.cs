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
    private SqliteStatements? _writer;
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

    public async ValueTask CommitAsync(StoreBatch batch, CancellationToken cancellation) => await RunAsync(
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
            return true;
        },
        cancellation);

    public ValueTask<int> ReadAsync(
        string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax, CancellationToken cancellation) =>
        RunAsync(() => Read(id, position, output, addEvent, bytesMax), cancellation);

    public ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation) => RunAsync(() => FindRequest(id), cancellation);

    /// <summary>Empties the write-ahead log into the file.</summary>
    public async ValueTask DisposeAsync()
    {
        using (var readers = new SqliteConnection(ConnectionString(isReader: true))) SqliteConnection.ClearPool(readers);
        _writer?.Dispose();
        _writer = null;
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
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StoreException(StoreFault.Unwritable, $"The store of answers {_path} can't be opened or written: {exception.Message.TrimEnd('.')}; make it writable, or name another file with store_path.", exception);
        }
        catch (Exception exception) when (exception is JsonException or InvalidCastException or FormatException)
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
        raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY or raw.SQLITE_PERM =>
            new(StoreFault.Unwritable, $"The store of answers {_path} can't be opened or written; make it writable, or name another file with store_path.", exception),
        _ => new(StoreFault.Failed, $"The store of answers {_path} can't be read or written ({exception.Message.TrimEnd('.')}); look at its disk, or name another file with store_path.", exception),
    };

    private StoreException Damaged(Exception exception) =>
        new(StoreFault.Corrupt, $"The store of answers {_path} is damaged, or no store of answers; move it away, and a new one is made, or name another file with store_path.", exception);

    private void Open()
    {
        _step?.Invoke("open");
        var folder = Path.GetDirectoryName(_path)!;
        if (!Directory.Exists(folder)) CreateFolder(folder);
        _lock ??= Lock();
        // Made before SQLite sees it, for its log gets the mode that the file has.
        using (new FileStream(_path, OptionsOf(FileMode.OpenOrCreate, FileShare.ReadWrite)))
        {
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_path, OwnersAlone);
        }
        _writer?.Dispose();
        _writer = null;
        _writer = Connect();
        SqliteSchema.Prepare(_writer.Connection, _path);
    }

    private FileStream Lock()
    {
        try
        {
            return new FileStream(_path + "-lock", OptionsOf(FileMode.OpenOrCreate, FileShare.None));
        }
        catch (IOException exception) when (File.Exists(_path + "-lock"))
        {
            throw new StoreException(StoreFault.Locked, $"The store of answers {_path} is in use by another program; end that, or name another file with store_path.", exception);
        }
    }

    private static void CreateFolder(string folder)
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, OwnersAlone | UnixFileMode.UserExecute);
    }

    private static FileStreamOptions OptionsOf(FileMode mode, FileShare share)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = share };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnersAlone;
        return options;
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
