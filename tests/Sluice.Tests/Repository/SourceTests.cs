using System.Text.RegularExpressions;
using Xunit;

namespace Sluice.Tests.Repository;

/// <summary>What the C# files have in common beyond what the compiler and the analyzers check.</summary>
public sealed partial class SourceTests
{
    private const int LineCountMax = 600;

    [Fact]
    public void Type_names_say_what_the_type_is() =>
        Assert.Empty(RepositoryFiles.WithExtension(".cs", "src/").SelectMany(path =>
            TypeDeclaration().Matches(RepositoryFiles.Read(path)).Select(match => match.Groups["name"].Value)
                .Where(HasEmptyWord).Select(name => $"{path}: {name}")));

    [Theory]
    [InlineData("ModelManager", true)]
    [InlineData("JsonHelper", true)]
    [InlineData("HelperForJson", true)]
    [InlineData("StringUtils", true)]
    [InlineData("RequestHandler2", true)]
    [InlineData("KernelBase", true)]
    [InlineData("UserData", true)]
    [InlineData("ModelInfo", true)]
    [InlineData("Data", true)]
    [InlineData("Database", false)]
    [InlineData("BaseAddress", false)]
    [InlineData("ServiceTier", false)]
    [InlineData("SluiceServiceCollectionExtensions", false)]
    public void Empty_words_are_found(string name, bool expected) => Assert.Equal(expected, HasEmptyWord(name));

    [Fact]
    public void Files_are_short() =>
        Assert.Empty(RepositoryFiles.WithExtension(".cs").Select(path => (path, lines: RepositoryFiles.Read(path).AsSpan().Count('\n')))
            .Where(file => file.lines > LineCountMax).Select(file => $"{file.path}: {file.lines} lines"));

    [Fact]
    public void Nothing_is_left_for_later()
    {
        var words = new Regex(@"\b(TO" + @"DO|FIX" + @"ME|HA" + @"CK|XX" + @"X)\b|NotImplemented" + "Exception");
        var unfinished = RepositoryFiles.WithExtension(".cs").Where(path => words.IsMatch(RepositoryFiles.Read(path)));
        Assert.Empty(unfinished);
    }

    [Fact]
    public void Every_limit_has_a_comment()
    {
        var declaration = new Regex(@"^\s+(public|internal)\s");
        foreach (var path in RepositoryFiles.WithExtension("Limits.cs", "src/"))
        {
            var lines = RepositoryFiles.Read(path).Split('\n');
            for (var index = 1; index < lines.Length; index++)
            {
                if (declaration.IsMatch(lines[index]))
                {
                    Assert.True(lines[index - 1].TrimStart().StartsWith("///", StringComparison.Ordinal), $"{path}:{index + 1}: no unit and reason");
                }
            }
        }
    }

    [Fact]
    public void Namespaces_are_folders()
    {
        var elsewhere = RepositoryFiles.WithExtension(".cs", "src/").Where(path =>
        {
            var match = Namespace().Match(RepositoryFiles.Read(path));
            var expected = Path.GetDirectoryName(path)!["src/".Length..].Replace('/', '.');
            return match.Success && match.Groups[1].Value != expected;
        });
        Assert.Empty(elsewhere);
    }

    private static bool HasEmptyWord(string name)
    {
        var words = Word().Matches(name).Select(match => match.Value).ToArray();
        return words.Any(word => word is "Manager" or "Helper" or "Helpers" or "Utils" or "Util" or "Impl" or "Processor" or "Handler2")
            || words[^1] is "Service" or "Base" or "Data" or "Info";
    }

    [GeneratedRegex(@"^[ \t]*(?:(?:public|internal|private|protected|file|sealed|static|abstract|partial|readonly|ref|unsafe)\s+)*"
        + @"(?:record\s+struct|record\s+class|record|class|struct|interface|enum)\s+(?<name>[A-Z]\w*)", RegexOptions.Multiline)]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex("[A-Z][a-z]*[0-9]*|[A-Z]+")]
    private static partial Regex Word();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
