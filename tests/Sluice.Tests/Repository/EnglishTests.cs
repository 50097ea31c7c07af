using System.Text.RegularExpressions;
using Markdig;
using Markdig.Extensions.Tables;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>The documents and the messages of the program use the English of docs/STYLE.md and the words of docs/glossary.md.</summary>
public sealed partial class EnglishTests
{
    private const int ProseWidthMax = 140;

    /// <summary>Folders whose string literals are not held to the table yet. To widen the lint, delete an entry.</summary>
    private static readonly string[] s_sourcesLeftOut =
    [
        "src/Sluice.Server/Answers/",
        "src/Sluice.Server/Endpoints/",
        "src/Sluice.Server/Routing/",
        "src/Sluice.Server/Storage/",
        "src/Sluice.Server/Upstreams/",
        // What a model reads as its system text: its wording is measured, not edited.
        "src/Sluice.Inference/ToolCalls/GenericToolPrompt.cs",
    ];

    /// <summary>Documents that are not held to the table yet, nor to the width. To widen the lint, delete an entry.</summary>
    private static readonly string[] s_documentsLeftOut = ["bench/RESULTS.md", "models/README.md"];

    /// <summary>The glossary names the words that we do not use, so it is held to the width only.</summary>
    private const string Glossary = "docs/glossary.md";

    private static readonly Phrase[] s_phrases =
    [
        new(@"\b(?:go|goes|going|gone|went) on with\b", "'resume' or 'continue'"),
        new(@"(?<!\bthere )\bis no (?!longer\b|more\b|less\b|fewer\b|such\b|one\b)", "'is not a valid …' or 'is not a …'"),
        new(@"(?<!\bthere )\bare no (?!longer\b|more\b|less\b|fewer\b|such\b)", "'are not …'"),
        new(@"\bthe \w+ is none\b", "'is not a valid …'"),
        new(@"\bmay not\b", "'must not', 'can't' or 'might not'"),
        new(@"\bwhat there is\b", "the noun: 'the part so far', 'the answer so far'"),
        new(@"\bwhat it (?:took|takes)\b", "the noun: 'usage', 'cost'"),
        new(@", for (?:it|they|he|she|we|there|nobody|somebody|these|those)\b", "'because …'"),
        new(@"[,;] else\b", "'otherwise …'"),
        new(@"\bsays? otherwise\b", "the thing that changes it: 'unless X is set'"),
        new(@"\banew\b", "'again' or 'from the beginning'"),
        new(@"\bheirs?\b", "'subclass'"),
        new(@"\bthe business of\b", "an imperative: 'Terminate TLS in a proxy'"),
        new(@"\b(?:is|are|have to be|be) waited for\b", "who waits: 'the hub waits for …'"),
        new(@"\btaken over\b", "'applied' (a configuration) or 'adopted' (an answer)"),
        new(@"\bin place of\b", "'instead of'"),
        new(@"\bguess(?:es|ed)? (?:at|tokens)\b|\bguessed tokens?\b", "'draft'"),
        new(@"\b\w*(?:quantis|serialis|normalis|organis|recognis|initialis|optimis|authoris|apologis|tokenis)\w*", "the American spelling, with z"),
        new(@"\b(?:behaviour|colour|favour|neighbour|honour)\w*|\blicences?\b|\blearnt\b|\bmisspelt\b|\bcatalogues?\b", "the American spelling"),
    ];

    [Fact]
    public void Documents_use_no_phrase_of_the_table() =>
        AssertNone(Documents().Where(path => path != Glossary)
            .SelectMany(path => Prose(path).SelectMany(piece => Find(piece.Text)
                .Select(found => $"{path}:{piece.Line + piece.Text.AsSpan(0, found.Index).Count('\n')}: {found.Text}"))));

    [Fact]
    public void Messages_use_no_phrase_of_the_table() =>
        AssertNone(RepositoryFiles.WithExtension(".cs", "src/").Where(path => !s_sourcesLeftOut.Any(folder => path.StartsWith(folder, StringComparison.Ordinal)))
            .SelectMany(path => RepositoryFiles.Read(path).Split('\n').SelectMany((line, index) =>
                Find(Literals(line)).Select(found => $"{path}:{index + 1}: {found.Text}"))));

    [Fact]
    public void Prose_fits_the_width()
    {
        var wide = new List<string>();
        foreach (var path in Documents())
        {
            var lines = RepositoryFiles.Read(path).Split('\n');
            foreach (var block in Markdown.Parse(RepositoryFiles.Read(path), Pipeline).Descendants<ParagraphBlock>().Where(block => !IsInTable(block)))
            {
                var count = RepositoryFiles.Read(path).AsSpan(block.Span.Start, block.Span.Length).Count('\n') + 1;
                wide.AddRange(Enumerable.Range(block.Line, count).Where(index => lines[index].Length > ProseWidthMax && !LinkOnly().IsMatch(lines[index]))
                    .Select(index => $"{path}:{index + 1}: {lines[index].Length} columns; wrap at {ProseWidthMax}"));
            }
        }

        AssertNone(wide);
    }

    [Theory]
    [InlineData("The engine goes on with it.", "'goes on with'")]
    [InlineData("An engine that has gone\non with it.", "'gone on with'")]
    [InlineData("'5' is no duration", "'is no '")]
    [InlineData("It is no longer there.", null)]
    [InlineData("There is no file.", null)]
    [InlineData("A store may not slow a token down.", "'may not'")]
    [InlineData("A quantised model", "'quantised'")]
    [InlineData("It is refused, for it has no key.", "', for it'")]
    [InlineData("An average, for the whole answer.", null)]
    public void Phrases_are_found(string text, string? expected) =>
        Assert.Equal(expected, Find(text).Select(found => found.Text.Split(':')[0]).SingleOrDefault());

    [Theory]
    [InlineData("Fail($\"'{text}' is no size\"); // is no comment", "'{text}' is no size")]
    [InlineData("    /// <summary>\"is no size\"</summary>", "")]
    [InlineData("var url = \"http://host/v1\"; Fail(\"a\");", "http://host/v1 a")]
    [InlineData("Fail(\"say \\\"yes\\\"\")", "say \\\"yes\\\"")]
    public void Literals_are_told_from_code_and_comments(string line, string expected) => Assert.Equal(expected, Literals(line));

    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder().UsePipeTables().Build();

    private static IEnumerable<string> Documents() => RepositoryFiles.WithExtension(".md").Where(path => !s_documentsLeftOut.Contains(path));

    private static bool IsInTable(Block block) => block is Table || (block.Parent is { } parent && IsInTable(parent));

    // All of them: the message of Assert.Empty is cut short.
    private static void AssertNone(IEnumerable<string> problems)
    {
        var all = string.Join('\n', problems);
        Assert.True(all.Length == 0, all);
    }

    // The text of each paragraph, heading and cell without code, and the line that it begins in. Its line ends are those of the file.
    private static IEnumerable<(int Line, string Text)> Prose(string path) =>
        Markdown.Parse(RepositoryFiles.Read(path), Pipeline).Descendants<LeafBlock>().Where(block => block.Inline is not null)
            .Select(block => (block.Line + 1, string.Concat(block.Inline!.Descendants().Select(inline => inline switch
            {
                LiteralInline literal => literal.Content.ToString(),
                LineBreakInline => "\n",
                CodeInline => "`",
                _ => "",
            }))));

    private static IEnumerable<(int Index, string Text)> Find(string text) =>
        s_phrases.SelectMany(phrase => phrase.Pattern.Matches(text)
            .Select(match => (match.Index, $"'{Regex.Replace(match.Value, @"\s+", " ")}': write {phrase.Better}")));

    // What stands between quotation marks, one literal after the other; interpolated expressions stay in it, comments don't.
    private static string Literals(string line) =>
        line.TrimStart().StartsWith("//", StringComparison.Ordinal)
            ? ""
            : string.Join(' ', Literal().Matches(line).TakeWhile(match => match.Groups["comment"].Length == 0).Select(match => match.Groups["text"].Value));

    [GeneratedRegex(@"""(?<text>(?:[^""\\]|\\.)*)""|(?<comment>//.*)")]
    private static partial Regex Literal();

    [GeneratedRegex(@"^[-*\s]*\[[^\]]*\]\([^)]*\)[.,;]?$")]
    private static partial Regex LinkOnly();

    /// <summary>A phrase that we replace.</summary>
    private sealed record Phrase(Regex Pattern, string Better)
    {
        public Phrase(string pattern, string better)
            : this(new Regex(pattern.Replace(" ", @"\s+", StringComparison.Ordinal), RegexOptions.IgnoreCase | RegexOptions.CultureInvariant), better)
        {
        }
    }
}
