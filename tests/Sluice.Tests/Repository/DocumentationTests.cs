using System.Text.RegularExpressions;
using Markdig;
using Markdig.Extensions.AutoIdentifiers;
using Markdig.Extensions.Tables;
using Markdig.Renderers.Html;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;
using Sluice.Server.Configuration;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>The documents point at things that exist.</summary>
public sealed partial class DocumentationTests
{
    private static readonly MarkdownPipeline Pipeline =
        new MarkdownPipelineBuilder().UsePipeTables().UseAutoIdentifiers(AutoIdentifierOptions.GitHub).Build();

    [Fact]
    public void Every_document_has_one_title_and_it_comes_first() => Assert.All(RepositoryFiles.WithExtension(".md"), path =>
    {
        var document = Parse(path);
        Assert.Equal(1, Assert.IsType<HeadingBlock>(document[0]).Level);
        Assert.Single(document.Descendants<HeadingBlock>(), heading => heading.Level == 1);
    });

    [Fact]
    public void Relative_links_lead_to_files_and_headings()
    {
        var broken = new List<string>();
        foreach (var path in RepositoryFiles.WithExtension(".md"))
        {
            foreach (var url in Parse(path).Descendants<LinkInline>().Select(link => link.Url ?? ""))
            {
                if (!url.Contains(':', StringComparison.Ordinal) && !Leads(path, url))
                {
                    broken.Add($"{path}: {url}");
                }
            }
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void Paths_in_the_documents_exist() =>
        Assert.Empty(RepositoryFiles.WithExtension(".md").SelectMany(path => Code(path)
            .Where(text => RepositoryPath().IsMatch(text) && !Exists(text)).Select(text => $"{path}: {text}")));

    [Fact]
    public void Every_complaint_has_tests_that_exist_or_a_reason()
    {
        var source = string.Join('\n', RepositoryFiles.WithExtension(".cs", "tests/").Select(RepositoryFiles.Read));
        var known = TestMethod().Matches(source).Select(match => match.Groups[1].Value).ToHashSet();
        var rows = Parse("docs/complaints.md").Descendants<TableRow>().Where(row => !row.IsHeader).ToList();
        Assert.True(rows.Count > 50);
        var problems = rows.Select(row => (Row: row, Tests: row[^1].Descendants<CodeInline>().Select(code => code.Content).ToList()))
            .Where(item => item.Tests.Count == 0
                ? !item.Row[^1].Descendants<LiteralInline>().Any(text => text.Content.ToString().StartsWith("none: ", StringComparison.Ordinal))
                : !item.Tests.TrueForAll(known.Contains))
            .Select(item => $"line {item.Row.Line + 1}: {string.Join(", ", item.Tests.Where(test => !known.Contains(test)))}");
        Assert.Empty(problems);
    }

    [Fact]
    public void Type_names_in_the_architecture_exist()
    {
        var source = string.Join('\n', RepositoryFiles.WithExtension(".cs", "src/").Select(RepositoryFiles.Read));
        var missing = RepositoryFiles.WithExtension("docs/ARCHITECTURE.md").SelectMany(Code)
            .Where(text => TypeName().IsMatch(text))
            .SelectMany(text => text.Split('.')).Distinct()
            .Where(name => !Regex.IsMatch(source, $@"\b{name}\b"));
        Assert.Empty(missing);
    }

    [Fact]
    public void Configurations_in_the_documents_and_examples_are_valid()
    {
        var blocks = RepositoryFiles.WithExtension(".md")
            .SelectMany(path => Parse(path).Descendants<FencedCodeBlock>().Where(block => block.Info == "yaml").Select(block => (path, block.Lines.ToString())));
        var examples = RepositoryFiles.WithExtension(".yaml", "examples/").Select(path => (path, RepositoryFiles.Read(path)));
        var all = blocks.Concat(examples).ToList();
        Assert.NotEmpty(all);
        Assert.All(all, file => ConfigurationFile.Parse(file.Item2, file.path, name => name));
    }

    private static bool Leads(string from, string url)
    {
        var hash = url.IndexOf('#', StringComparison.Ordinal);
        var file = hash < 0 ? url : url[..hash];
        var target = file.Length == 0
            ? from
            : Path.GetRelativePath(RepositoryFiles.Root, Path.Combine(RepositoryFiles.Root, Path.GetDirectoryName(from)!, file)).Replace('\\', '/');
        return Exists(target)
            && (hash < 0 || Parse(target).Descendants<HeadingBlock>().Any(heading => heading.GetAttributes().Id == url[(hash + 1)..]));
    }

    private static bool Exists(string path) =>
        RepositoryFiles.All.Any(file => file == path || file.StartsWith(path.TrimEnd('/') + "/", StringComparison.Ordinal));

    private static MarkdownDocument Parse(string path) => Markdown.Parse(RepositoryFiles.Read(path), Pipeline);

    private static IEnumerable<string> Code(string path) => Parse(path).Descendants<CodeInline>().Select(code => code.Content);

    [GeneratedRegex(@"\[(?:Fact|Theory)(?:\([^\]]*\))?\](?:(?!\bpublic\b)[\s\S])*?public (?:static )?(?:async )?(?:Task|ValueTask|void) (\w+)\(")]
    private static partial Regex TestMethod();

    [GeneratedRegex(@"^(src|tests|docs|examples|bench|models|\.ci)/[\w.\-/]*$")]
    private static partial Regex RepositoryPath();

    [GeneratedRegex(@"^([A-Z][a-z]\w*\.)*[A-Z][a-z0-9]+[A-Z]\w*$")]
    private static partial Regex TypeName();
}
