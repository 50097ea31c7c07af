using System.Text.RegularExpressions;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>Folders show the architecture: they depend on each other in one direction, and tests lie where what they test lies.</summary>
public sealed partial class FolderTests
{
    // A folder of a project may use those to its left, and none to its right. The files beside the folders put them together.
    private static readonly Dictionary<string, string[]> Order = new()
    {
        ["Sluice.Server"] =
            ["Runtime", "Transport", "Prices", "Configuration", "Storage", "Metering", "Ledger", "Models", "Access", "Telemetry", "Upstreams", "Hooks", "Routing", "Serving", "Answers", "Console", "Cluster", "Endpoints", ""],
        ["Sluice.Inference"] =
        [
            "Gguf", "Tokenization", "ChatTemplates", "Quantization", "Kernels", "Grammars", "Prompting", "ToolCalls", "Sampling", "Architectures",
            "Transformer", "Embeddings",
            "Scheduling", "",
        ],
        ["Sluice.Protocol"] = ["", "Json", "ServerSentEvents", "Models", "Errors", "Answers", "Chat", "Completions", "Embeddings", "Rerank", "Ollama", "Messages", "Responses"],
    };

    [Theory]
    [InlineData("Sluice.Server")]
    [InlineData("Sluice.Inference")]
    [InlineData("Sluice.Protocol")]
    public void Folders_form_no_circles(string project)
    {
        var order = Order[project];
        var files = RepositoryFiles.WithExtension(".cs", $"src/{project}/").ToList();
        Assert.Equal(order.Order(StringComparer.Ordinal), files.Select(FolderOf).Distinct().Order(StringComparer.Ordinal));
        // Usings that are not needed are errors, so these are the dependencies, but for the types of a parent namespace.
        var upward =
            from file in files
            let place = Array.IndexOf(order, FolderOf(file))
            from use in Using().Matches(RepositoryFiles.Read(file)).Select(match => match.Groups[1].Value)
            where use == project || use.StartsWith(project + ".", StringComparison.Ordinal)
            let used = use.Length == project.Length ? "" : use[(project.Length + 1)..].Split('.')[0]
            where Array.IndexOf(order, used) > place
            select $"{file} uses {used}";
        Assert.Empty(upward);
    }

    [Fact]
    public void Names_of_types_are_unique_across_projects()
    {
        var doubled =
            from path in RepositoryFiles.WithExtension(".cs")
            let text = RepositoryFiles.Read(path)
            where Namespace().IsMatch(text)
            from name in TopLevelType().Matches(text).Select(match => match.Groups["name"].Value).Distinct()
            group Namespace().Match(text).Groups[1].Value by name into places
            where places.Distinct().Count() > 1
            select $"{places.Key}: {string.Join(", ", places.Distinct())}";
        Assert.Empty(doubled);
    }

    [Theory]
    [InlineData("Sluice.Protocol", "Protocol")]
    [InlineData("Sluice.Server", "Server")]
    [InlineData("Sluice.Inference", "Inference")]
    public void Folders_of_tests_are_folders_of_the_source(string project, string tests)
    {
        // Tests that hold the whole engine to other programs' results.
        string[] own = ["Truth"];
        var folders = RepositoryFiles.WithExtension(".cs", $"tests/Sluice.Tests/{tests}/")
            .Select(path => Path.GetDirectoryName(path)![$"tests/Sluice.Tests/{tests}".Length..].TrimStart('/')).Distinct();
        var sources = RepositoryFiles.WithExtension(".cs", $"src/{project}/").SelectMany(path => Ancestors(path, $"src/{project}")).ToHashSet();
        var elsewhere = folders.Where(folder => folder.Length > 0 && !own.Contains(folder) && !sources.Contains(folder)).ToList();
        Assert.Empty(elsewhere);
    }

    private static IEnumerable<string> Ancestors(string path, string root)
    {
        for (var folder = Path.GetDirectoryName(path)!; folder.Length > root.Length; folder = Path.GetDirectoryName(folder)!) yield return folder[(root.Length + 1)..];
    }

    private static string FolderOf(string path) => path.Split('/') is [_, _, var folder, _, ..] ? folder : "";

    [GeneratedRegex(@"^using (?:static )?(Sluice\.[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Using();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^(?:(?:public|internal|sealed|static|abstract|partial|readonly|ref|unsafe)\s+)*"
        + @"(?:record\s+struct|record\s+class|record|class|struct|interface|enum)\s+(?<name>[A-Z]\w*)", RegexOptions.Multiline)]
    private static partial Regex TopLevelType();
}
