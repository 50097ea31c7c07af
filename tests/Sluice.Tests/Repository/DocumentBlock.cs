using Markdig;
using Markdig.Syntax;

namespace Sluice.Tests.Repository;

/// <summary>A fenced block of a document.</summary>
/// <param name="Path">Of the document.</param>
/// <param name="Line">From 1.</param>
/// <param name="Language">The first word behind the fence.</param>
/// <param name="Arguments">What follows it.</param>
/// <param name="Text">Between the fences.</param>
/// <param name="WhyNotRun">What the comment before it says; null without one.</param>
internal sealed record DocumentBlock(string Path, int Line, string Language, string Arguments, string Text, string? WhyNotRun)
{
    private const string Mark = "<!-- not run: ";

    /// <summary>All of them, in the order of the documents.</summary>
    public static IReadOnlyList<DocumentBlock> All { get; } = [.. RepositoryFiles.WithExtension(".md").SelectMany(Read)];

    private static IEnumerable<DocumentBlock> Read(string path)
    {
        var lines = RepositoryFiles.Read(path).Split('\n');
        foreach (var block in Markdown.Parse(RepositoryFiles.Read(path)).Descendants<FencedCodeBlock>())
        {
            var before = block.Line > 0 ? lines[block.Line - 1].Trim() : "";
            var reason = before.StartsWith(Mark, StringComparison.Ordinal) ? before[Mark.Length..].Replace("-->", "", StringComparison.Ordinal).Trim() : null;
            yield return new DocumentBlock(path, block.Line + 1, block.Info ?? "", block.Arguments ?? "", block.Lines.ToString(), reason);
        }
    }
}
