using System.Text.Json;
using System.Text.RegularExpressions;
using Markdig;
using Markdig.Syntax;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace Sluice.Tests.Repository;

/// <summary>Every block of code in the documents is run or checked somewhere; here it is looked up where, and what only needs reading is read.</summary>
public sealed partial class CodeBlockTests
{
    /// <summary>Where blocks of a language are run: the file of the tests, and the documents.</summary>
    private static readonly Dictionary<string, Dictionary<string, string>> s_run = new()
    {
        ["python"] = new() { ["docs/clients.md"] = "ClientExampleTests", ["README.md"] = "RecipeTests" },
        ["js"] = new() { ["docs/clients.md"] = "ClientExampleTests", ["docs/clients/langchain.md"] = "RecipeTests", ["docs/clients/vercel-ai-sdk.md"] = "RecipeTests" },
        ["nginx"] = new() { ["docs/deployment/nginx.md"] = "RecipeTests" },
        ["toml"] = new() { ["docs/clients/codex.md"] = "RecipeTests" },
    };

    // Output, and drawings.
    private static readonly string[] s_shown = ["", "console", "text"];

    [Fact]
    public void Each_language_has_a_test()
    {
        string[] checkedHere = ["yaml", "yml", "json", "csharp", "sh", .. s_shown];
        var unknown = DocumentBlock.All.Where(block => !checkedHere.Contains(block.Language) && s_run.GetValueOrDefault(block.Language)?.ContainsKey(block.Path) != true);
        Assert.Empty(unknown.Select(static block => $"{block.Path}:{block.Line}: {block.Language}"));
        foreach (var (path, test) in s_run.Values.SelectMany(static pages => pages))
        {
            var source = RepositoryFiles.Read($"tests/Sluice.ConformanceTests/{test}.cs");
            Assert.Contains(Path.GetFileName(path), source, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Configurations_of_other_programs_are_YAML() => Assert.All(DocumentBlock.All.Where(static block => block.Language == "yml"), static block =>
        new YamlStream().Load(new StringReader(block.Text)));

    [Fact]
    public void Objects_are_JSON() => Assert.All(DocumentBlock.All.Where(static block => block.Language == "json"), static block =>
    {
        // What is left out is an ellipsis; several objects stand below each other, each from a brace at the beginning of a line.
        var text = block.Text.Replace("[…]", "[]", StringComparison.Ordinal).Replace("{…}", "{}", StringComparison.Ordinal);
        foreach (var one in Beginning().Split(text).Where(static one => one.Trim().Length > 0)) JsonDocument.Parse(one).Dispose();
    });

    [Fact]
    public void Programs_in_CSharp_are_compiled_somewhere()
    {
        var source = string.Join('\n', RepositoryFiles.WithExtension(".cs").Where(static path => path.StartsWith("tests/", StringComparison.Ordinal) || path.StartsWith("samples/", StringComparison.Ordinal)).Select(RepositoryFiles.Read).Select(Normalize));
        Assert.All(DocumentBlock.All.Where(static block => block.Language == "csharp"), block =>
        {
            // Where an example has its own address and output, its test says so.
            if (block.Path == "docs/clients.md") return;
            Assert.Contains(Normalize(block.Text), source, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void Commands_that_take_long_name_projects_that_exist()
    {
        // Indented: measurements, and runs of everything. They are not run here, because they take minutes and a machine for themselves.
        var commands = RepositoryFiles.WithExtension(".md").SelectMany(path => Markdown.Parse(RepositoryFiles.Read(path)).Descendants<Markdig.Syntax.CodeBlock>()
            .Where(static block => block is not FencedCodeBlock).SelectMany(block => block.Lines.ToString().Split('\n').Select(line => (path, line)))).ToList();
        Assert.NotEmpty(commands);
        var missing = commands.SelectMany(static item => Project().Matches(item.line).Select(match => (item.path, project: match.Value)))
            .Where(static item => !RepositoryFiles.All.Any(file => file == item.project || file.StartsWith(item.project + "/", StringComparison.Ordinal)));
        Assert.Empty(missing);
    }

    private static string Normalize(string code) => string.Join('\n', code.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));

    [GeneratedRegex(@"(?<=\s)(?:src|tests|bench|samples)/[\w.]+")]
    private static partial Regex Project();

    [GeneratedRegex(@"^(?=\{)", RegexOptions.Multiline)]
    private static partial Regex Beginning();
}
