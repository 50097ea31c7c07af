using Sluice.Inference.ChatTemplates;
using Xunit;

namespace Sluice.Tests.Inference.ChatTemplates;

/// <summary>Equal to Jinja2 on other models' templates, on the default model's, and on small templates for every construct.</summary>
public sealed class ReferenceRenderingTests
{
    public static TheoryData<string> TemplateNames => [.. TemplateReference.Renderings.EnumerateObject().Select(each => each.Name)];

    [Theory]
    [MemberData(nameof(TemplateNames))]
    public void Template_EveryConversation_RendersAsJinjaDoes(string name)
    {
        string source = TemplateReference.ReadShared(name);
        AssertAll(TemplateReference.Renderings.GetProperty(name).EnumerateObject().Select(expected =>
            (expected.Name, TemplateReference.Compare(source, VariablesOf(expected.Name), expected.Value))));
    }

    [Fact]
    public void DefaultModelTemplate_EveryConversation_RendersAsJinjaDoes()
    {
        var model = TemplateReference.Snippets.GetProperty("model");
        string source = model.GetProperty("template").GetString()!;
        AssertAll(model.GetProperty("renderings").EnumerateObject().Select(expected =>
            (expected.Name, TemplateReference.Compare(source, VariablesOf(expected.Name), expected.Value))));
    }

    [Fact]
    public void Snippet_EveryOne_RendersAsJinjaDoes()
    {
        var variables = TemplateReference.ToVariables(TemplateReference.Snippets.GetProperty("variables"));
        AssertAll(TemplateReference.Snippets.GetProperty("snippets").EnumerateArray().Select(snippet =>
        {
            string source = snippet.GetProperty("source").GetString()!;
            return (source, TemplateReference.Compare(source, variables, snippet));
        }));
    }

    private static IReadOnlyDictionary<string, TemplateValue> VariablesOf(string conversation) =>
        TemplateReference.ToVariables(TemplateReference.Conversations.GetProperty(conversation));

    private static void AssertAll(IEnumerable<(string Name, string? Difference)> comparisons)
    {
        var all = comparisons.ToList();
        Assert.NotEmpty(all);
        var differences = all.Where(each => each.Difference is not null).Select(each => $"{each.Name}\n  {each.Difference}").ToList();
        Assert.True(differences.Count == 0, $"{differences.Count} of {all.Count} differ:\n{string.Join("\n", differences)}");
    }
}
