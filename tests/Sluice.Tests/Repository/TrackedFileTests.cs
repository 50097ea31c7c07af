using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>What the repository carries, whatever the kind of file.</summary>
public sealed class TrackedFileTests
{
    private const int SizeMax = 1_000_000;
    private const string Model = "models/SmolLM2-135M-Instruct.Q4_1.gguf";

    [Fact]
    public void Only_the_model_is_large() =>
        Assert.Equal([Model], RepositoryFiles.All.Where(path => new FileInfo(RepositoryFiles.FullPath(path)).Length > SizeMax));

    [Fact]
    public void The_model_has_the_hash_that_stands_beside_it()
    {
        var stated = RepositoryFiles.Read(Model + ".sha256").Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        using var stream = File.OpenRead(RepositoryFiles.FullPath(Model));
        Assert.Equal([Convert.ToHexStringLower(SHA256.HashData(stream)), Path.GetFileName(Model)], stated);
    }

    [Fact]
    public void No_file_knows_the_machine_that_it_was_written_on()
    {
        var places = new Regex(@"(?<![\w.\-/])(/wo" + @"rk/|/opt/ll" + @"ama|/ro" + @"ot/|/ho" + @"me/\w)|registry\.np" + @"mjs|api\.nu" + @"get\.org|py" + @"pi\.org|python" + @"hosted\.org");
        Assert.Empty(RepositoryFiles.All.Select(path => (path, match: places.Match(RepositoryFiles.ReadText(path) ?? "")))
            .Where(file => file.match.Success).Select(file => $"{file.path}: {file.match.Value}"));
    }

    [Fact]
    public void Scripts_are_executable()
    {
        foreach (var path in RepositoryFiles.All.Where(path => RepositoryFiles.ReadText(path)?.StartsWith("#!", StringComparison.Ordinal) is true))
        {
            if (!OperatingSystem.IsWindows())
            {
                Assert.True(File.GetUnixFileMode(RepositoryFiles.FullPath(path)).HasFlag(UnixFileMode.UserExecute), path);
            }
        }
    }
}
