namespace Sluice.Testing;

/// <summary>Files that tests read: the repository's own, and those of others in a folder that need not be there.</summary>
public static class TestFiles
{
    /// <summary>Why a test is skipped that needs <see cref="FindShared"/>.</summary>
    public const string NoShared =
        "Needs the folder of files made by others: set SLUICE_SHARED, or put it at ../shared beside the repository.";

    /// <summary>The folder that holds the solution.</summary>
    public static string RepositoryRoot { get; } = FindRepositoryRoot();

    /// <summary>The model that the repository carries.</summary>
    public static string DefaultModel => Path.Combine(RepositoryRoot, "models", "SmolLM2-135M-Instruct.Q4_1.gguf");

    /// <summary>A file or folder of others, by its path in <c>SLUICE_SHARED</c>; null where that is missing.</summary>
    public static string? FindShared(params string[] parts)
    {
        var shared = Environment.GetEnvironmentVariable("SLUICE_SHARED") is { Length: > 0 } folder
            ? folder
            : Path.Combine(RepositoryRoot, "..", "shared");
        var path = Path.GetFullPath(Path.Combine([shared, .. parts]));
        return Path.Exists(path) ? path : null;
    }

    private static string FindRepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sluice.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} holds Sluice.slnx.");
    }
}
