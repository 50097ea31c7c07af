using System.Globalization;

namespace Sluice.Server.Runtime;

/// <summary>How many files the process may have open; sockets are files.</summary>
internal static class FileLimit
{
    // Beside those that are open at the start: code that is loaded later takes two files each (20 were counted), models, the store, and what
    // is opened for a moment.
    private const int Reserve = 80;

    // Each connection may have one to an upstream behind it.
    private const int FilesPerConnection = 2;

    // With fewer there is no use in a hub.
    private const int CountMin = 4;

    /// <summary>Connections for which there are files; null where the system doesn't say.</summary>
    public static int? ConnectionsMax() => Find() is var (files, open) ? int.Max(CountMin, (files - open - Reserve) / FilesPerConnection) : null;

    private static (int Files, int Open)? Find()
    {
        const string Name = "Max open files";
        try
        {
            var line = File.ReadLines("/proc/self/limits").FirstOrDefault(static line => line.StartsWith(Name, StringComparison.Ordinal));
            var soft = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
            if (!int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var files)) return null;
            return (files, Directory.EnumerateFileSystemEntries("/proc/self/fd").Count());
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
