using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;

namespace Sluice.Cli.Doctor;

/// <summary>Whether the file of <c>store: sqlite</c> can be written, and has room to grow.</summary>
internal static class StoreChecks
{
    private static ReadOnlySpan<byte> Magic => "SQLite format 3\0"u8;

    public static IEnumerable<Finding> Run(SluiceOptions options, Func<string, string?> environment)
    {
        if (options.Store != StoreKind.Sqlite) return [];
        var path = options.StorePath ?? Path.Combine(ModelFolders.DataFolder(environment), SluiceServer.AnswersFile);
        try
        {
            return [Check(path, options.StoreSizeBytes ?? new Limits().StoredBytesMax)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [Finding.Wrong("store", $"{path} can't be written: {exception.Message.TrimEnd('.')}; set 'store_path' to a file that can")];
        }
    }

    private static Finding Check(string path, long sizeMax)
    {
        var file = new FileInfo(path);
        if (Directory.Exists(path) || (file is { Exists: true, Length: > 0 } && !BeginsAsStore(path)))
            return Finding.Wrong("store", $"{path} is not a store of answers; set 'store_path' to another file");
        var folder = file.Directory;
        while (folder is { Exists: false })
        {
            if (File.Exists(folder.FullName)) return Finding.Wrong("store", $"{path} can't be written, because {folder.FullName} is not a folder; set 'store_path' to another file");
            folder = folder.Parent;
        }

        // The only sure way to know. It is gone when it is closed.
        using (new FileStream(
            Path.Combine(folder!.FullName, $".sluice-doctor-{Guid.NewGuid():N}"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose))
        {
        }

        var room = new DriveInfo(folder.FullName).AvailableFreeSpace + (file.Exists ? file.Length : 0);
        return room >= sizeMax
            ? Finding.Fine("store", $"{path} can be written")
            : Finding.Wrong("store", $"{path} can grow to {ByteSize.Format(sizeMax)}, and its disk has {ByteSize.Format(room)}; free some, or lower 'store_size'");
    }

    private static bool BeginsAsStore(string path)
    {
        var head = new byte[Magic.Length];
        using var file = File.OpenRead(path);
        file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        return Magic.SequenceEqual(head);
    }
}
