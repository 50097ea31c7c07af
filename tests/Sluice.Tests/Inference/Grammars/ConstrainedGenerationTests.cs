using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Testing;
using Sluice.Tests.Inference.Scheduling;
using Sluice.Tests.Inference.Truth;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>The shipped model under grammars.</summary>
[Collection(ShippedModel.Collection)]
public sealed class ConstrainedGenerationTests(ShippedModel shipped)
{
    private const string City = """
        {"type":"object","properties":{"city":{"type":"string","maxLength":30},"country_code":{"type":"string","pattern":"^[A-Z]{2}$"},
        "population":{"type":"integer","minimum":1,"maximum":50000000},"founded":{"type":"string","format":"date"},
        "rivers":{"type":"array","items":{"type":"string","maxLength":20},"maxItems":3},"coastal":{"type":"boolean"},
        "twin":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/twin"}]}},
        "required":["city","country_code","population","founded","rivers","coastal","twin"],"additionalProperties":false,
        "$defs":{"twin":{"type":"object","properties":{"name":{"enum":["Paris","Rome","Oslo"]}},"required":["name"],"additionalProperties":false}}}
        """;

    [Fact]
    public async Task Greedy_and_at_temperature_one_every_answer_validates()
    {
        Grammar grammar = Grammar.FromJsonSchema(JsonElement.Parse(City));
        CollectingSink[] sinks = [.. Enumerable.Range(0, 8).Select(i => Submit(shipped.Engine, Request(i, grammar) with
        {
            Sampling = new SamplingParameters { Temperature = i == 0 ? 0 : 1, Seed = (ulong)i },
        }))];
        foreach (CollectingSink sink in sinks)
        {
            Assert.Equal("completed", await sink.Ended);
            Assert.Equal(FinishReason.Stop, sink.Reasons[0]);
            using JsonDocument document = JsonDocument.Parse(sink.Text());
            Assert.Null(SchemaChecker.FindFault(JsonElement.Parse(City), document.RootElement));
        }
    }

    [Fact]
    public async Task Any_object_ends_or_is_cut()
    {
        CollectingSink sink = Submit(shipped.Engine, Request(1, Grammar.JsonObject) with { MaxTokens = 120, ChoiceCount = 3 });
        Assert.Equal("completed", await sink.Ended);
        for (int choice = 0; choice < 3; choice++)
        {
            var matcher = new GrammarMatcher(Grammar.JsonObject);
            Assert.True(matcher.TryAdvance(System.Text.Encoding.UTF8.GetBytes(sink.Text(choice))));
            Assert.Equal(sink.Reasons[choice] == FinishReason.Stop, matcher.IsComplete);
        }
    }

    [Fact]
    public async Task An_answer_is_the_same_when_its_cache_was_taken_away_meanwhile()
    {
        Grammar grammar = Grammar.FromJsonSchema(JsonElement.Parse(City));
        GenerationRequest[] requests = [.. Enumerable.Range(0, 4).Select(i => Request(i, grammar))];
        var alone = new List<string>();
        foreach (GenerationRequest request in requests)
        {
            CollectingSink sink = Submit(shipped.Engine, request);
            await sink.Ended;
            alone.Add(sink.Text());
        }

        // Room for about one and a half of the four.
        using InferenceEngine small = InferenceEngine.Load(TestFiles.DefaultModel, new EngineOptions { ThreadCount = 2, KvTokenCapacity = 256 });
        CollectingSink[] sinks = [.. requests.Select(request => Submit(small, request))];
        for (int i = 0; i < sinks.Length; i++)
        {
            Assert.Equal("completed", await sinks[i].Ended);
            Assert.Equal(alone[i], sinks[i].Text());
        }
    }

    [Fact]
    public async Task Forced_text_is_counted_and_costs_no_step_of_its_own()
    {
        // One string, whose every byte is given: after the first token the rest follows, and the end without a token for it.
        Grammar grammar = Grammar.FromJsonSchema(JsonElement.Parse("""{"const":"The quick brown fox jumps over the lazy dog"}"""));
        CollectingSink sink = Submit(shipped.Engine, Request(0, grammar));
        Assert.Equal("completed", await sink.Ended);
        Assert.Equal("\"The quick brown fox jumps over the lazy dog\"", sink.Text());
        Assert.InRange(sink.Usage.CompletionTokens, 10, 14);
        CollectingSink cut = Submit(shipped.Engine, Request(0, grammar) with { MaxTokens = 5 });
        Assert.Equal("completed", await cut.Ended);
        Assert.Equal((5, FinishReason.Length), (cut.Usage.CompletionTokens, cut.Reasons[0]));
        Assert.StartsWith(cut.Text(), sink.Text(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_vocabulary_can_not_write_is_refused_by_name()
    {
        // The shipped vocabulary has no token for the first byte of U+40000.
        var error = Assert.Throws<GrammarException>(() => Submit(shipped.Engine, Request(0, Grammar.FromJsonSchema(JsonElement.Parse("{\"enum\":[1,\"a\U00040000\"]}")))));
        Assert.Equal("the model's vocabulary can't write the character U+40000 (\U00040000) of a name or value", error.Message);
        CollectingSink next = Submit(shipped.Engine, Request(0, Grammar.FromJsonSchema(JsonElement.Parse("{\"const\":1}"))));
        Assert.Equal("completed", await next.Ended);
    }

    [Fact]
    public async Task A_grammar_that_takes_too_much_ends_its_own_generation_alone()
    {
        // 2000 arrays of 1000 kinds of items: each could be begun, but not all of them at once.
        string arrays = string.Join(',', Enumerable.Range(1, 2000).Select(i => $"{{\"items\":{{\"$ref\":\"#/$defs/a\"}},\"maxItems\":{i}}}"));
        string items = string.Join(',', Enumerable.Range(1, 1000).Select(i => $"{{\"type\":\"string\",\"minLength\":{i}}}"));
        Grammar wide = Grammar.FromJsonSchema(JsonElement.Parse($"{{\"anyOf\":[{arrays}],\"$defs\":{{\"a\":{{\"anyOf\":[{items}]}}}}}}"));
        CollectingSink beside = Submit(shipped.Engine, Request(0, Grammar.FromJsonSchema(JsonElement.Parse(City))));
        CollectingSink sink = Submit(shipped.Engine, Request(1, wide));
        Assert.StartsWith("too many alternatives are open", await sink.Ended, StringComparison.Ordinal);
        Assert.Equal("completed", await beside.Ended);
    }

    private GenerationRequest Request(int number, Grammar grammar) => new()
    {
        PromptTokens = shipped.Engine.EncodeChat([new PromptMessage("user", $"Describe city number {number} as JSON.")], TimeProvider.System),
        MaxTokens = 400,
        Grammar = grammar,
        Sampling = new SamplingParameters { Seed = (ulong)number },
    };

    private static CollectingSink Submit(InferenceEngine engine, GenerationRequest request)
    {
        var sink = new CollectingSink(request.ChoiceCount);
        Assert.NotNull(engine.TrySubmit(request, sink));
        return sink;
    }
}
