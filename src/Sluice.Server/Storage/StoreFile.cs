using System.Buffers.Binary;

namespace Sluice.Server.Storage;

/// <summary>What has become of a store's file under a hub that uses it.</summary>
internal enum StoreLoss
{
    None,

    /// <summary>There is no file of that name any more.</summary>
    Deleted,

    /// <summary>There is nothing in it any more.</summary>
    Emptied,

    /// <summary>There is another file of that name, or something else in it.</summary>
    Replaced,
}

/// <summary>The file under a store: looked at before anything of it is changed, and watched while it is in use.</summary>
/// <remarks>
/// It stays open for as long as SQLite has the file: whoever closes a file loses all locks that the process has on it. Disposed after SQLite.
/// </remarks>
internal sealed class StoreFile : IDisposable
{
    private const UnixFileMode OwnersAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int HeaderBytes = 100;
    private const int ApplicationIdOffset = 68;

    private readonly string _path;
    private readonly FileStream _stream;
    private readonly string? _target;

    private StoreFile(string path, FileStream stream) => (_path, _stream, _target) = (path, stream, TargetOf(stream));

    /// <summary>Opens it, and makes it where there is none; its mode stays what it is.</summary>
    /// <exception cref="StoreException">It is no file that could be a store.</exception>
    /// <exception cref="IOException">It can't be opened.</exception>
    public static StoreFile Open(string path)
    {
        var stream = new FileStream(path, OptionsOf(FileMode.OpenOrCreate, FileShare.ReadWrite | FileShare.Delete));
        try
        {
            if (!stream.CanSeek || !IsRegular(stream)) throw Foreign(path, "is not a file");
            var header = new byte[HeaderBytes];
            var length = RandomAccess.Read(stream.SafeFileHandle, header, 0);
            if (length > 0 && !header.AsSpan(0, length).StartsWith("SQLite format 3\0"u8)) throw Foreign(path, "is damaged, or no store of answers");
            // 0 may be one of ours that was killed before its first checkpoint; the tables say.
            if (length > 0 && ApplicationIdOf(header) is not 0 and not SqliteSchema.ApplicationId) throw Foreign(path, "is a database of another program");
            return new StoreFile(path, stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Files that are made have the mode of the owner alone from the first moment.</summary>
    public static FileStreamOptions OptionsOf(FileMode mode, FileShare share)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = share };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnersAlone;
        return options;
    }

    /// <summary>Lets nobody else read it. Only of a file that is known to be ours.</summary>
    public void Protect()
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_path, OwnersAlone);
    }

    /// <summary>What has become of it since it was opened and made a store.</summary>
    public StoreLoss FindLoss()
    {
        if (!File.Exists(_path)) return StoreLoss.Deleted;
        if (TargetOf(_stream) != _target) return StoreLoss.Replaced;
        var header = new byte[HeaderBytes];
        if (RandomAccess.Read(_stream.SafeFileHandle, header, 0) < HeaderBytes) return StoreLoss.Emptied;
        return ApplicationIdOf(header) == SqliteSchema.ApplicationId ? StoreLoss.None : StoreLoss.Replaced;
    }

    public void Dispose() => _stream.Dispose();

    private static int ApplicationIdOf(ReadOnlySpan<byte> header) => BinaryPrimitives.ReadInt32BigEndian(header[ApplicationIdOffset..]);

    // A device has no length, and takes none.
    private static bool IsRegular(FileStream stream)
    {
        if (stream.Length > 0) return true;
        try
        {
            stream.SetLength(1);
            stream.SetLength(0);
            return true;
        }
        catch (IOException error) when (error.HResult != ErrorNumbers.ReadOnlyFileSystem && error.HResult != ErrorNumbers.NoSpace)
        {
            return false;
        }
    }

    // Where the open file lies now, as Linux says it; others don't let go of a file that is open, or don't say.
    private static string? TargetOf(FileStream stream)
    {
        try
        {
            return OperatingSystem.IsLinux() ? File.ResolveLinkTarget($"/proc/self/fd/{stream.SafeFileHandle.DangerousGetHandle()}", returnFinalTarget: false)?.FullName : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static StoreException Foreign(string path, string what) =>
        new(StoreFault.Corrupt, $"The store of answers {path} {what}; move it away, and a new one is made, or name another file with store_path.");
}

/// <summary>Numbers of errors that have no exception of their own, as <see cref="System.Exception.HResult"/> has them on Unix.</summary>
internal static class ErrorNumbers
{
    /// <summary>EROFS, the same on Linux and macOS.</summary>
    public const int ReadOnlyFileSystem = 30;

    /// <summary>ENOSPC.</summary>
    public const int NoSpace = 28;
}
