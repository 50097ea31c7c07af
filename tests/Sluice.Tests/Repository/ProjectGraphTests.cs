using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>Which project may see which. The leaves stay independent of one another, of ASP.NET Core and of packages.</summary>
public sealed class ProjectGraphTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Sluice.Protocol"] = [],
        ["Sluice.Streaming"] = [],
        ["Sluice.Inference"] = [],
        ["Sluice.Server"] = ["Sluice.Inference", "Sluice.Protocol", "Sluice.Streaming"],
        ["Sluice.Cli"] = ["Sluice.Server"],
        ["Sluice.Client"] = [],
        ["Sluice.Extensions.AI"] = ["Sluice.Server"],
    };

    [Fact]
    public void Source_projects_are_the_known_ones() =>
        Assert.Equal(Allowed.Keys.Order(), Projects("src/").Select(Path.GetFileNameWithoutExtension).Order());

    [Fact]
    public void Source_projects_reference_exactly_what_the_graph_says() => Assert.All(Projects("src/"), path =>
    {
        var references = Items(path, "ProjectReference").Select(include => Path.GetFileNameWithoutExtension(include.Replace('\\', '/')));
        Assert.Equal(Allowed[Path.GetFileNameWithoutExtension(path)], references.Order());
    });

    [Theory]
    [InlineData("Sluice.Protocol")]
    [InlineData("Sluice.Streaming")]
    [InlineData("Sluice.Inference")]
    [InlineData("Sluice.Client")]
    public void Leaves_have_no_packages_and_no_frameworks(string project)
    {
        var path = $"src/{project}/{project}.csproj";
        Assert.Empty(Items(path, "PackageReference"));
        Assert.Empty(Items(path, "FrameworkReference"));
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var listed = XDocument.Parse(RepositoryFiles.Read("Sluice.slnx")).Descendants("Project").Select(project => (string)project.Attribute("Path")!);
        Assert.Equal(Projects("").Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Package_versions_stand_in_one_place() => Assert.All(Projects(""), path =>
        Assert.DoesNotContain("Version=", RepositoryFiles.Read(path), StringComparison.Ordinal));

    [Fact]
    public void Unsafe_code_stays_in_the_engine_and_the_reactor()
    {
        var keyword = new Regex(@"^(?!\s*//).*\b(unsafe|AllowUnsafeBlocks)\b", RegexOptions.Multiline);
        var files = RepositoryFiles.WithExtension(".cs", "src/").Concat(Projects("src/"))
            .Where(path => !path.StartsWith("src/Sluice.Inference/", StringComparison.Ordinal))
            .Where(path => !path.StartsWith("src/Sluice.Server/Transport/", StringComparison.Ordinal) && path != "src/Sluice.Server/Sluice.Server.csproj");
        Assert.All(files, path => Assert.DoesNotMatch(keyword, RepositoryFiles.Read(path)));
    }

    private static IEnumerable<string> Projects(string folder) => RepositoryFiles.WithExtension(".csproj", folder);

    private static IEnumerable<string> Items(string project, string name) =>
        XDocument.Parse(RepositoryFiles.Read(project)).Descendants(name).Select(item => (string)item.Attribute("Include")!);
}
