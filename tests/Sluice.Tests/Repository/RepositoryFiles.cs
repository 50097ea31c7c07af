using System.Diagnostics;
using System.Text;

namespace Sluice.Tests.Repository;

/// <summary>The files of the checkout that the tests were built from. Paths are relative to <see cref="Root"/>, with forward slashes.</summary>
internal static class RepositoryFiles
{
    /// <summary>Full path of the folder that holds the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Every file that belongs to the repository and is on disk, sorted.</summary>
    public static IReadOnlyList<string> All { get; } = ListAll();

    public static IEnumerable<string> WithExtension(string extension, string folder = "") =>
        All.Where(path => path.EndsWith(extension, StringComparison.Ordinal) && path.StartsWith(folder, StringComparison.Ordinal));

    public static string FullPath(string path) => Path.Combine(Root, path);

    public static string Read(string path) => File.ReadAllText(FullPath(path));

    /// <summary>The text of a file, or null where it has a zero byte and so isn't text.</summary>
    public static string? ReadText(string path)
    {
        using var stream = File.OpenRead(FullPath(path));
        var start = new byte[Math.Min(8192, stream.Length)];
        stream.ReadExactly(start);
        if (start.Contains((byte)0))
        {
            return null;
        }

        stream.Position = 0;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sluice.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No Sluice.slnx above {AppContext.BaseDirectory}");
    }

    private static List<string> ListAll()
    {
        var start = new ProcessStartInfo("git") { WorkingDirectory = Root, RedirectStandardOutput = true };
        // A checkout that belongs to another user, as in a container, is read too.
        foreach (var argument in (string[])["-c", $"safe.directory={Root}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        {
            start.ArgumentList.Add(argument);
        }

        using var git = Process.Start(start)!;
        var output = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        if (git.ExitCode != 0)
        {
            throw new InvalidOperationException($"git ls-files ended with {git.ExitCode} in {Root}");
        }

        return [.. output.Split('\0', StringSplitOptions.RemoveEmptyEntries)
            .Distinct().Where(path => File.Exists(FullPath(path))).Order(StringComparer.Ordinal)];
    }
}
