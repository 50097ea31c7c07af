using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace Sluice.Tests.Repository;

/// <summary>The files that a forge, an editor and a package registry look for.</summary>
public sealed partial class RepositoryPageTests
{
    [Fact]
    public void The_workflow_calls_the_same_script_as_people_do()
    {
        var root = Parse(".github/workflows/ci.yml");
        var job = Assert.Single(((YamlMappingNode)root["jobs"]).Children).Value;
        Assert.Contains(((YamlSequenceNode)job["steps"]).Children, step => step is YamlMappingNode mapping && mapping.Children.TryGetValue("run", out var run) && run.ToString() == ".ci/run");
    }

    [Fact]
    public void Templates_of_issues_ask_something()
    {
        foreach (var path in RepositoryFiles.WithExtension(".yml", ".github/ISSUE_TEMPLATE/").Where(static path => !path.EndsWith("config.yml", StringComparison.Ordinal)))
        {
            var root = Parse(path);
            Assert.NotEmpty(root["name"].ToString());
            Assert.NotEmpty(root["description"].ToString());
            Assert.All(((YamlSequenceNode)root["body"]).Children, field => Assert.NotEmpty(field["attributes"]["label"].ToString()));
        }
    }

    [Fact]
    public void Owners_own_folders_that_exist()
    {
        var lines = RepositoryFiles.Read(".github/CODEOWNERS").Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(static line => !line.StartsWith('#')).ToList();
        Assert.NotEmpty(lines);
        Assert.All(lines, static line =>
        {
            var place = line.Split(' ')[0];
            Assert.Matches(@"^\S+\s+@\S+", line);
            if (place != "*") Assert.Contains(RepositoryFiles.All, path => path.StartsWith(place.TrimStart('/'), StringComparison.Ordinal));
        });
    }

    [Fact]
    public void The_container_of_editors_has_the_SDK_of_the_repository()
    {
        using var container = JsonDocument.Parse(RepositoryFiles.Read(".devcontainer/devcontainer.json"));
        using var sdk = JsonDocument.Parse(RepositoryFiles.Read("global.json"));
        var version = string.Join('.', sdk.RootElement.GetProperty("sdk").GetProperty("version").GetString()!.Split('.').Take(2));
        Assert.Contains($"dotnet:{version}", container.RootElement.GetProperty("image").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_threat_model_names_tests_that_exist()
    {
        var source = string.Join('\n', RepositoryFiles.WithExtension(".cs", "tests/").Select(RepositoryFiles.Read));
        var names = TestName().Matches(RepositoryFiles.Read("SECURITY.md")).Select(static match => match.Value).Distinct().ToList();
        Assert.True(names.Count >= 6);
        Assert.All(names, name => Assert.Contains($"class {name}", source, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_package_says_what_it_is()
    {
        var shared = XDocument.Parse(RepositoryFiles.Read("Directory.Build.props"));
        foreach (var name in (string[])["Version", "Authors", "PackageLicenseExpression", "PackageTags", "PackageReadmeFile", "Copyright", "PackageReleaseNotes"])
            Assert.NotEmpty(shared.Descendants(name).Single().Value);
        var packages = RepositoryFiles.WithExtension(".csproj").Select(static path => (path, project: XDocument.Parse(RepositoryFiles.Read(path))))
            .Where(static item => item.project.Descendants("IsPackable").Any(static node => node.Value == "true")).ToList();
        Assert.Equal(7, packages.Count);
        Assert.All(packages, static item =>
        {
            Assert.StartsWith("src/", item.path, StringComparison.Ordinal);
            Assert.True(item.project.Descendants("Description").Single().Value.Length > 20);
        });
    }

    private static YamlMappingNode Parse(string path)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(RepositoryFiles.Read(path)));
        return (YamlMappingNode)stream.Documents[0].RootNode;
    }

    [GeneratedRegex(@"\b[A-Z]\w+Tests\b")]
    private static partial Regex TestName();
}
