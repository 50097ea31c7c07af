using System.Globalization;
using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Server.Models;

/// <summary>Where GGUF files are looked for.</summary>
internal static class ModelFolders
{
    private const string FolderName = "models";

    /// <summary>The folders in order, first match wins, whether they exist or not.</summary>
    /// <param name="given">Folder named on the command line; null when none is.</param>
    /// <param name="environment">Value of an environment variable, or null; by default the process's own.</param>
    /// <param name="workingDirectory">By default the process's.</param>
    /// <param name="programDirectory">Folder of the program's files; by default the process's.</param>
    public static IReadOnlyList<string> Find(
        string? given = null,
        Func<string, string?>? environment = null,
        string? workingDirectory = null,
        string? programDirectory = null)
    {
        environment ??= Environment.GetEnvironmentVariable;
        workingDirectory ??= Environment.CurrentDirectory;
        var folders = new List<string>();
        if (!string.IsNullOrEmpty(given)) folders.Add(given);
        if (environment("SLUICE_MODELS") is { Length: > 0 } listed) folders.AddRange(listed.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries));
        folders.Add(FolderName);
        if (FindProgramFolder(programDirectory ?? AppContext.BaseDirectory) is { } program) folders.Add(program);
        folders.Add(UserFolder(environment));
        return [.. folders.Select(folder => Path.GetFullPath(folder, workingDirectory)).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Names the models' files with their sizes and times, for who wants to know whether one has come, gone or changed.</summary>
    public static string Describe(IReadOnlyList<string> folders)
    {
        var text = new StringBuilder();
        foreach (var folder in folders)
        {
            try
            {
                foreach (var path in Directory.EnumerateFiles(folder).Where(static path => ModelFileName.IsModel(Path.GetFileName(path))).Order(StringComparer.Ordinal))
                {
                    var file = GgufFile.FindTarget(path);
                    if (file.Exists) text.Append(CultureInfo.InvariantCulture, $"{path} {file.Length} {file.LastWriteTimeUtc.Ticks}\n");
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It has no models then.
            }
        }
        return text.ToString();
    }

    /// <summary>The user's own folder, where pulled models go: <c>sluice/models</c> in the data folder of the platform.</summary>
    /// <param name="environment">As for <see cref="Find"/>.</param>
    public static string UserFolder(Func<string, string?>? environment = null)
    {
        return Path.Combine(DataFolder(environment), FolderName);
    }

    /// <summary>The folder of the user's own that models, answers and the like are in.</summary>
    /// <param name="environment">As for <see cref="Find"/>.</param>
    public static string DataFolder(Func<string, string?>? environment = null)
    {
        environment ??= Environment.GetEnvironmentVariable;
        var home = environment("XDG_DATA_HOME") is { Length: > 0 } xdg && Path.IsPathFullyQualified(xdg)
            ? xdg
            : Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.Combine(home.Length > 0 ? home : Path.GetTempPath(), "sluice");
    }

    // Installed: beside the program. Built from source: in the repository's root, some folders above the build output.
    private static string? FindProgramFolder(string programDirectory)
    {
        var beside = Path.Combine(programDirectory, FolderName);
        if (Directory.Exists(beside)) return beside;
        for (var folder = new DirectoryInfo(programDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sluice.slnx"))) return Path.Combine(folder.FullName, FolderName);
        }
        return null;
    }
}
