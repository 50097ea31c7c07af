using System.Text.Json.Nodes;
using Sluice.Cli;
using Sluice.Cli.Bench;
using Xunit;

namespace Sluice.Tests.Cli.Bench;

public sealed class WorkloadTests
{
    private static readonly LengthDistribution s_prompt = LengthDistribution.Parse("20..40")!;

    [Fact]
    public void The_same_seed_number_and_run_give_the_same_request()
    {
        var (one, other) = (Random(seed: 7), Random(seed: 7));

        Assert.Equal(one.BodyOf(3, 0, "m"), other.BodyOf(3, 0, "m"));
        Assert.NotEqual(one.BodyOf(3, 0, "m"), one.BodyOf(4, 0, "m"));
        Assert.NotEqual(one.BodyOf(3, 0, "m"), Random(seed: 8).BodyOf(3, 0, "m"));
    }

    [Fact]
    public void Another_run_has_other_words_and_the_same_lengths()
    {
        var workload = Random(seed: 7);

        Assert.NotEqual(PromptOf(workload, 3, 0), PromptOf(workload, 3, 1));
        for (var number = 0; number < 50; number++)
        {
            Assert.Equal(PromptOf(workload, number, 0).Split(' ').Length, PromptOf(workload, number, 1).Split(' ').Length);
            Assert.Equal(Parse(workload, number, 0)["max_tokens"]!.GetValue<int>(), Parse(workload, number, 1)["max_tokens"]!.GetValue<int>());
        }
    }

    [Fact]
    public void All_prompts_begin_with_the_shared_prefix()
    {
        var workload = Workload.Random(s_prompt, null, 100, [], 1);
        var beginnings = Enumerable.Range(0, 20).Select(number => PromptOf(workload, number, number).Split('\n')[0]).Distinct().ToList();

        Assert.Equal(100, Assert.Single(beginnings).Split(' ').Length);
    }

    [Fact]
    public void A_stream_with_usage_is_asked_for()
    {
        var body = Parse(Random(1), 0, 0);

        Assert.True(body["stream"]!.GetValue<bool>());
        Assert.True(body["stream_options"]!["include_usage"]!.GetValue<bool>());
        Assert.Equal("m", body["model"]!.GetValue<string>());
    }

    // https://www.rfc-editor.org/rfc/rfc7396, section 1.
    [Fact]
    public void Extra_members_are_merged_as_the_standard_says()
    {
        var extra = (JsonObject)JsonNode.Parse("""{"temperature":null,"stream_options":{"include_usage":null,"x":1},"ignore_eos":true}""")!;
        var body = Parse(Workload.Random(s_prompt, null, 0, extra, 1), 0, 0);

        Assert.False(body.ContainsKey("temperature"));
        Assert.Equal("""{"x":1}""", body["stream_options"]!.ToJsonString());
        Assert.True(body["ignore_eos"]!.GetValue<bool>());
    }

    [Fact]
    public void A_file_is_asked_in_its_order_and_from_its_beginning_again()
    {
        var lines = Read("""{"prompt":"one","max_tokens":5}""", "", """{"messages":[{"role":"user","content":"two"}],"top_p":0.5}""");
        var workload = Workload.FromFile(lines, null, [], 1);

        Assert.Equal(["one", "two", "one"], Enumerable.Range(0, 3).Select(number => PromptOf(workload, number, 9)));
        Assert.Equal(5, Parse(workload, 0, 0)["max_tokens"]!.GetValue<int>());
        Assert.False(Parse(workload, 0, 0).ContainsKey("prompt"));
        Assert.Equal(0.5, Parse(workload, 1, 0)["top_p"]!.GetValue<double>());
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[1]")]
    [InlineData("{}")]
    [InlineData("""{"prompt":5}""")]
    [InlineData("""{"messages":"hello"}""")]
    public void A_line_that_asks_nothing_is_named(string line)
    {
        var error = Assert.Throws<CliException>(() => Read("""{"prompt":"one"}""", line));

        Assert.Contains(":2 is not a JSON object with 'messages'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_without_prompts_is_refused() => Assert.Throws<CliException>(() => Read(""));

    private static Workload Random(int seed) => Workload.Random(s_prompt, LengthDistribution.Parse("5..50"), 0, [], seed);

    private static JsonObject Parse(Workload workload, int number, int run) => (JsonObject)JsonNode.Parse(workload.BodyOf(number, run, "m"))!;

    private static string PromptOf(Workload workload, int number, int run) => Parse(workload, number, run)["messages"]![0]!["content"]!.GetValue<string>();

    private static IReadOnlyList<JsonObject> Read(params string[] lines)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllLines(path, lines);
            return Workload.ReadFile(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
