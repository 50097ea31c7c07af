using System.Text;
using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Tests.Inference.Tokenization;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>What a schema of a client can make the engine's thread do, counted in steps.</summary>
public sealed class GrammarStepTests
{
    private static readonly TokenTrie s_trie = new(DefaultModelTokenizer.Tokenizer);

    /// <summary>Schemas with the text of an answer, and the most steps that its dearest byte and its dearest mask may take.</summary>
    public static TheoryData<string, string, string, int, int> Shapes => new()
    {
        { "a chain of references, each twice", Chain("""{"anyOf":[{"$ref":"#/$defs/NEXT"},{"$ref":"#/$defs/NEXT"}]}"""), "\"x\"", 20, 200_000 },
        { "the same with a value in each", Chain("""{"anyOf":[{"$ref":"#/$defs/NEXT"},{"$ref":"#/$defs/NEXT"},{"const":"THIS"}]}"""), "\"x\"", 300, 200_000 },
        {
            "the same with the next but one", Chain("""{"anyOf":[{"$ref":"#/$defs/NEXT"},{"$ref":"#/$defs/OVER"},{"const":"THIS"}]}"""),
            "\"x\"", 300, 200_000
        },
        {
            "in properties", Chain("""{"properties":{"a":{"anyOf":[{"$ref":"#/$defs/NEXT"},{"$ref":"#/$defs/NEXT"}]}},"required":["a"]}"""),
            string.Concat(Enumerable.Repeat("{\"a\":", 40)) + "\"x\"" + new string('}', 40), 20, 200_000
        },
        {
            "in items", Chain("""{"items":{"anyOf":[{"$ref":"#/$defs/NEXT"},{"$ref":"#/$defs/NEXT"}]},"minItems":1,"maxItems":1}"""),
            new string('[', 40) + "\"x\"" + new string(']', 40), 20, 200_000
        },
        {
            "in items of equal arrays",
            Chain("""{"anyOf":[{"items":{"$ref":"#/$defs/NEXT"},"maxItems":3},{"items":{"$ref":"#/$defs/NEXT"},"maxItems":3,"title":"b"}]}"""),
            new string('[', 40) + "\"x\"" + new string(']', 40), 30, 200_000
        },
        {
            "in arrays that differ", Chain("""{"anyOf":[{"items":{"$ref":"#/$defs/NEXT"},"maxItems":3},{"items":{"$ref":"#/$defs/NEXT"},"maxItems":4}]}"""),
            new string('[', 40) + "\"x\"" + new string(']', 40), 60_000, 2_000_000
        },
        { "300 optional properties", Properties(300), """{"p7":1,"p299":1}""", 2000, 200_000 },
        { "5000 optional properties", Properties(5000), """{"p7":1,"p4999":1}""", 30_000, 1_500_000 },
        {
            "200 alternatives of 20 optional properties", $$"""{"anyOf":[{{Join(200, i => Properties(20, i))}}]}""",
            """{"p7":1,"p19":1,"k199":1}""", 25_000, 2_000_000
        },
        { "20,000 values", $$"""{"enum":[{{Join(20_000, i => $"\"v{i}\"")}}]}""", "\"v19999\"", 10, 200_000 },
        { "10,000 values as alternatives", $$"""{"anyOf":[{{Join(8000, i => $"{{\"const\":\"v{i}\"}}")}}]}""", "\"v7999\"", 10_000, 200_000 },
        { "a large count of items", """{"items":{"type":"integer"},"minItems":30000000,"maxItems":33000000}""", "[1,2,3", 20, 200_000 },
        { "a large count of characters", """{"type":"string","minLength":30000000,"maxLength":33000000}""", "\"abc", 10, 200_000 },
        { "any value in any", "{}", string.Concat(Enumerable.Repeat("{\"a\":[", 500)) + "1" + string.Concat(Enumerable.Repeat("]}", 500)), 30, 200_000 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Each_step_is_bounded(string name, string schema, string answer, int advanceMax, int maskMax)
    {
        var matcher = new GrammarMatcher(Compile(schema));
        var masks = new TokenMasks(s_trie);
        long dearest = matcher.StepCount;
        int dearestMask = 0;
        for (int i = 0; i < answer.Length; i++)
        {
            if (i < 4 || i > answer.Length - 5 || i % 40 == 0)
            {
                long peeked = matcher.StepCount;
                Assert.False(masks.Find(matcher).IsEmpty, name);
                dearestMask = Math.Max(dearestMask, masks.StepCount);
                Assert.InRange(matcher.StepCount - peeked, 0, GrammarLimits.MaskStepsMax);
            }

            long before = matcher.StepCount;
            Assert.True(matcher.TryAdvance(Encoding.UTF8.GetBytes(answer[i..(i + 1)])), $"{name}: {answer[..(i + 1)]}");
            dearest = Math.Max(dearest, matcher.StepCount - before);
        }

        Assert.True(dearest <= advanceMax && dearestMask <= maskMax, $"{name}: {dearest} steps for a byte, {dearestMask} for a mask");
    }

    /// <summary>Every pair of two sets of alternatives is a stack of its own: what a byte can bring is their product.</summary>
    [Fact]
    public void More_than_a_token_may_take_is_an_error()
    {
        string schema = $$"""
            {"anyOf":[{{Join(2000, i => $"{{\"items\":{{\"$ref\":\"#/$defs/a\"}},\"maxItems\":{i + 1}}}")}}],
            "$defs":{"a":{"anyOf":[{{Join(1000, i => $"{{\"type\":\"string\",\"minLength\":{i}}}")}}]} } }
            """;
        var matcher = new GrammarMatcher(Compile(schema));
        Assert.InRange(matcher.StepCount, 1, 10_000);
        var error = Assert.Throws<GrammarException>(() => matcher.TryAdvance("["u8));
        Assert.StartsWith("too many alternatives are open at the same place", error.Message, StringComparison.Ordinal);
        Assert.InRange(matcher.StepCount, 1, GrammarLimits.AdvanceStepsMax + 20_000);
    }

    [Fact]
    public void Masks_of_such_a_schema_are_bounded_too_and_the_next_one_is_right()
    {
        string schema = $$"""
            {"anyOf":[{{Join(2000, i => $"{{\"items\":{{\"$ref\":\"#/$defs/a\"}},\"maxItems\":{i + 1}}}")}}],
            "$defs":{"a":{"anyOf":[{{Join(1000, i => $"{{\"type\":\"string\",\"minLength\":{i}}}")}}]} } }
            """;
        var masks = new TokenMasks(s_trie);
        var matcher = new GrammarMatcher(Compile(schema));
        try
        {
            masks.Find(matcher);
            Assert.InRange(masks.StepCount, 1, 3 * GrammarLimits.MaskStepsMax);
        }
        catch (GrammarException)
        {
            Assert.InRange(matcher.StepCount, 1, 3 * GrammarLimits.MaskStepsMax);
        }

        var other = new GrammarMatcher(Compile("""{"type":"boolean"}"""));
        ulong[] mask = masks.Find(other).ToArray();
        Assert.Equal(new TokenMasks(s_trie).Find(new GrammarMatcher(Compile("""{"type":"boolean"}"""))), mask);
    }

    [Theory]
    [InlineData("""{"$ref":"#/$defs/d0","$defs":{"d0":{"$ref":"#/$defs/d0"}}}""", "")]
    [InlineData("""{"$ref":"#/$defs/d0","$defs":{"d0":{"allOf":[{"$ref":"#/$defs/d1"}]},"d1":{"allOf":[{"$ref":"#/$defs/d0"}]}}}""", "")]
    [InlineData("""{"$ref":"#/$defs/d0","$defs":{"d0":{"anyOf":[{"$ref":"#/$defs/d0"},{"type":"string"}]}}}""", "$defs/d0")]
    [InlineData("""{"properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/y"}]},"y":{"anyOf":[{"$ref":"#/$defs/x"}]}}}""", "$defs/y")]
    public void What_begins_with_itself_is_refused_with_its_place(string schema, string place)
    {
        var error = Assert.Throws<GrammarException>(() => Compile(schema));
        Assert.Equal(
            (place, place.Length > 0 ? "it refers to itself with nothing in between" : "no value can ever satisfy it"),
            (string.Join('/', error.Path), error.Message));
    }

    [Fact]
    public void What_is_too_large_to_compile_is_refused_with_its_place()
    {
        string wide = string.Concat(Enumerable.Range(0, 20_000).Select(i => char.ConvertFromUtf32(0x4E00 + (i % 20_000))));
        string striped = string.Concat(Enumerable.Range(0, 10_000).Select(i => char.ConvertFromUtf32(0x4E00 + (2 * i))));
        (string Schema, string Path, string Reason)[] cases =
        [
            ("""{"properties":{"a":{"pattern":"^(a|b)*a(a|b){20}$"}}}""", "properties/a", "needs more than 8191 states"),
            ("""{"properties":{"a":{"pattern":"(((a?){100}){100}){100}"}}}""", "properties/a", "more than 20000 parts"),
            ("{\"properties\":{\"a\":{\"pattern\":\"(.*a){60}(.*b){60}[^c]{500}x\"}}}", "properties/a", "more than 5000000 steps"),
            ($$"""{"properties":{"a":{"pattern":"^([{{striped}}]{1000})$"} } }""", "properties/a", "more than 5000000 steps"),
            ($$"""{"properties":{"b":{"properties":{"{{wide[..8000]}}":true},"additionalProperties":true} } }""", "properties/b", "more than 5000000 steps"),
            ($$"""{"properties":{"b":{"properties":{"{{wide}}":true},"additionalProperties":true} } }""", "properties/b", "needs more than 8191 states"),
            ("""{"properties":{"s":{"type":"string","minLength":9000,"pattern":"a"}}}""", "properties/s", "needs more than 8191 states"),
            ("""{"items":{"minItems":40000000}}""", "items", "no answer is that long"),
        ];
        Assert.All(cases, one =>
        {
            var error = Assert.Throws<GrammarException>(() => Compile(one.Schema));
            Assert.Equal(one.Path, string.Join('/', error.Path));
            Assert.Contains(one.Reason, error.Message, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void Deep_schemas_are_refused_or_compiled()
    {
        string deep = string.Concat(Enumerable.Repeat("{\"items\":", 512)) + "{}" + new string('}', 512);
        var error = Assert.Throws<GrammarException>(() => Grammar.FromJsonSchema(
            JsonDocument.Parse(deep, new JsonDocumentOptions { MaxDepth = 1024 }).RootElement));
        Assert.Equal("has more than 100 schemas in one another", error.Message);
        string value = new string('[', 1000) + new string(']', 1000);
        Grammar grammar = Grammar.FromJsonSchema(
            JsonDocument.Parse($$"""{"const":{{value}}}""", new JsonDocumentOptions { MaxDepth = 1024 }).RootElement);
        Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(value)));
    }

    [Fact]
    public void Text_that_is_forced_at_a_high_price_is_left_to_sampling()
    {
        // The same thousand characters begin 400 objects, each with a stack of its own.
        string name = new('n', 1000);
        string schema = "{\"anyOf\":[" + Join(
            400, i => $"{{\"properties\":{{\"{name}\":{{\"const\":{i}}},\"b\":{{\"maxLength\":{i}}}}},\"required\":[\"{name}\"]}}") + "]}";
        var matcher = new GrammarMatcher(Compile(schema));
        Assert.True(matcher.TryAdvance("{\"n"u8));
        long before = matcher.StepCount;
        Assert.NotEmpty(new ForcedTokens(s_trie).Find(matcher));
        Assert.InRange(matcher.StepCount - before, 1, 2 * GrammarLimits.ForcedStepsMax);
    }

    [Fact]
    public void Alternatives_of_equal_parts_are_one()
    {
        Grammar one = Compile("""{"properties":{"a":{"type":"string","maxLength":9},"b":{"minimum":3},"c":{"pattern":"^x+$"}}}""");
        Grammar several = Compile("""
            {"anyOf":[{"properties":{"a":{"type":"string","maxLength":9},"b":{"minimum":3},"c":{"pattern":"^x+$"}},"title":"One"},{"$ref":"#/$defs/two"}],
            "$defs":{"two":{"properties":{"a":{"type":"string","maxLength":9},"b":{"type":"number","minimum":3},"c":{"type":"string","pattern":"^x+$"}}}}}
            """);
        Assert.Equal(one.NodeCount, several.NodeCount);
    }

    private static Grammar Compile(string schema) => Grammar.FromJsonSchema(JsonElement.Parse(schema));

    private static string Join(int count, Func<int, string> write) => string.Join(',', Enumerable.Range(0, count).Select(write));

    private static string Chain(string link) => $$"""
        {"$ref":"#/$defs/d0","$defs":{"d40":{"type":"string"},"d41":{"type":"string"},{{Join(40, i => $"\"d{i}\":" + link
            .Replace("NEXT", $"d{i + 1}", StringComparison.Ordinal).Replace("OVER", $"d{i + 2}", StringComparison.Ordinal)
            .Replace("THIS", $"v{i}", StringComparison.Ordinal))}} } }
        """;

    private static string Properties(int count, int? last = null) =>
        $$"""{"properties":{ {{Join(count, i => $"\"p{i}\":{{\"type\":\"integer\"}}")}}{{(last is { } k ? $",\"k{k}\":{{\"type\":\"integer\"}}" : "")}} } }""";
}
