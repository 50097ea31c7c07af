using System.Text.RegularExpressions;
using Xunit;
using static Sluice.ConformanceTests.Tools.ToolBackEnds;

namespace Sluice.ConformanceTests.Tools;

/// <summary>Runs <see cref="ToolCallTable"/>, a class for each column.</summary>
public abstract class ToolCallTableTests(ToolBackEnd fixture)
{
    protected Task RunAsync(string row) => fixture.CheckAsync(ToolCallTable.Find(row));
}

public sealed class SmolLM2ToolTests(SmolLM2BackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<SmolLM2BackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), SmolLM2, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class HermesToolTests(HermesBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<HermesBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), Hermes, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class LlamaToolTests(LlamaBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<LlamaBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), Llama, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class MistralListToolTests(MistralListBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<MistralListBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), MistralList, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class MistralNamedToolTests(MistralNamedBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<MistralNamedBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), MistralNamed, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class GraniteToolTests(GraniteBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<GraniteBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), Granite, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class GenericToolTests(GenericBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<GenericBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), Generic, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class OpenAIToolTests(OpenAIBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<OpenAIBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), ToolBackEnds.OpenAI, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

public sealed class AnthropicToolTests(AnthropicBackEnd fixture) : ToolCallTableTests(fixture), IClassFixture<AnthropicBackEnd>
{
    [Theory]
    [MemberData(nameof(ToolCallTable.Of), Anthropic, MemberType = typeof(ToolCallTable))]
    public Task F_and_C12(string row) => RunAsync(row);
}

/// <summary>The table itself.</summary>
public sealed partial class ToolCallTableCoverTests
{
    [Fact]
    public void Every_case_of_the_specification_has_a_row()
    {
        var ids = ToolCallTable.Cases.SelectMany(row => Id().Matches(row.Name)).Select(match => match.Value).ToHashSet();
        // F-08 is what SDKs do with the stream: ToolClientTests.
        Assert.DoesNotContain(Enumerable.Range(1, 17).Where(number => number != 8).Select(number => $"F-{number:D2}").Append("C-12"), id => !ids.Contains(id));
    }

    [Fact]
    public void Every_cell_that_is_left_out_has_a_reason() =>
        Assert.All(ToolCallTable.Cases.SelectMany(row => row.NotWith), left => Assert.NotEqual("", left.Reason));

    [GeneratedRegex("[A-Z]-[0-9]{2}")]
    private static partial Regex Id();
}
