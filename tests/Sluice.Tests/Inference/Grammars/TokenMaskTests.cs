using System.Text;
using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Inference.Sampling;
using Sluice.Inference.Tokenization;
using Sluice.Testing;
using Sluice.Testing.Grammars;
using Sluice.Tests.Inference.Tokenization;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Masks against the acceptance of one token after the other, and what they cost.</summary>
public sealed class TokenMaskTests
{
    private const string Report = """
        {"type":"object","properties":{"title":{"type":"string","maxLength":80},"count":{"type":"integer","minimum":-20,"maximum":1500},
        "tags":{"type":"array","items":{"enum":["red","green","grey"]},"minItems":1,"maxItems":4},"mail":{"type":"string","format":"email"},
        "tree":{"anyOf":[{"$ref":"#"},{"type":"null"},{"type":"string","pattern":"^[a-z]{2,9}$"}]}},"required":["title","tags"]}
        """;

    private static readonly TokenTrie s_trie = new(DefaultModelTokenizer.Tokenizer);

    [Fact]
    public void The_trie_gives_every_printing_token_back()
    {
        Tokenizer tokenizer = s_trie.Tokenizer;
        for (int token = 0; token < tokenizer.VocabularySize; token++)
        {
            ReadOnlyMemory<byte> bytes = tokenizer.GetBytes(token);
            if (bytes.Length is > 0 and <= 64)
            {
                int found = s_trie.FindLongest(bytes.Span);
                Assert.True(bytes.Span.SequenceEqual(tokenizer.GetBytes(found).Span));
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(35)]
    [InlineData(36)]
    [InlineData(97)]
    [InlineData(100)]
    [InlineData(120)]
    [InlineData(134)]
    [InlineData(136)]
    [InlineData(199)]
    [InlineData(200)]
    public void Masks_are_exact_on_both_sides_of_where_counts_matter(int length) => Compare(
        """{"type":"array","items":{"type":"string","minLength":100,"maxLength":200}}""", Encoding.UTF8.GetBytes("[\"" + new string('x', length)));

    [Theory]
    [InlineData("{\"title\": \"The sea, \\\"wide\\\" \\u00e9 und grün 😀\", \"count\": -12, \"tags\": [\"grey\", \"red\"], \"mail\": \"a.b@example.org\", \"tree\": null}")]
    [InlineData("{\n  \"title\": \"\",\n  \"tags\": [\n    \"green\"\n  ],\n  \"tree\": {\"title\":\"x\",\"tags\":[\"red\"],\"tree\":\"abc\"}\n}")]
    public void A_mask_is_what_is_accepted_token_by_token(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Assert.True(Grammar.FromJsonSchema(JsonElement.Parse(Report)).Accepts(bytes));
        for (int length = 0; length <= bytes.Length; length += length < 12 ? 1 : 7)
        {
            Compare(Report, bytes.AsSpan(0, length));
        }
    }

    private static void Compare(string schema, ReadOnlySpan<byte> before)
    {
        Grammar grammar = Grammar.FromJsonSchema(JsonElement.Parse(schema));
        var matcher = new GrammarMatcher(grammar);
        Assert.True(matcher.TryAdvance(before));
        ulong[] mask = new TokenMasks(s_trie).Find(matcher).ToArray();
        for (int token = 0; token < s_trie.Tokenizer.VocabularySize; token++)
        {
            ReadOnlySpan<byte> more = s_trie.Tokenizer.GetBytes(token).Span;
            bool isEnd = s_trie.Tokenizer.IsEndOfGeneration(token);
            bool expected = isEnd ? matcher.IsComplete : more.Length is > 0 and <= 64 && matcher.TryAdvance(more);
            Assert.True(
                expected == TokenSet.Contains(mask, token), $"{Encoding.UTF8.GetString(before)}: token {token}, {s_trie.Tokenizer.GetPiece(token)}");
            if (expected && !isEnd)
            {
                matcher = new GrammarMatcher(grammar);
                matcher.TryAdvance(before);
            }
        }
    }

    [Fact]
    public void A_token_that_is_refused_leaves_no_trace()
    {
        var matcher = new GrammarMatcher(Grammar.FromJsonSchema(JsonElement.Parse(Report)));
        Assert.True(matcher.TryAdvance("{\"title\":\"a"u8));
        Assert.False(matcher.TryAdvance("b\",\"nothing"u8));
        Assert.False(matcher.IsComplete);
        Assert.True(matcher.TryAdvance("\",\"tags\":[\"red\"]}"u8));
        Assert.True(matcher.IsComplete && matcher.IsExhausted);
    }

    [Fact]
    public void Masks_inside_strings_are_computed_once()
    {
        var masks = new TokenMasks(s_trie);
        var matcher = new GrammarMatcher(Grammar.FromJsonSchema(JsonElement.Parse("""{"type":"array","items":{"type":"string","maxLength":500}}""")));
        matcher.TryAdvance("[\""u8);
        masks.Find(matcher);
        long computed = masks.ComputedCount;
        for (int i = 0; i < 300; i++)
        {
            matcher.TryAdvance("a"u8);
            masks.Find(matcher);
        }

        Assert.Equal(computed, masks.ComputedCount);
    }

    [Fact]
    public void Ambiguous_schemas_cost_what_is_bounded_and_stay_sound()
    {
        // Each level could be any of the three arrays: 3^12 ways at the deepest.
        const string Schema = """
            {"$ref":"#/$defs/t","$defs":{"t":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/t"}},{"type":"array","items":{"$ref":"#/$defs/t"},"maxItems":9},
            {"type":"array","items":{"$ref":"#/$defs/t"},"minItems":1},{"type":"integer"}]}}}
            """;
        var masks = new TokenMasks(s_trie);
        var matcher = new GrammarMatcher(Grammar.FromJsonSchema(JsonElement.Parse(Schema)));
        foreach (byte value in "[[[[[[[[[[[[1]]]]]],[2"u8)
        {
            Assert.True(matcher.TryAdvance([value]));
            Assert.InRange(matcher.Tops.Count, 1, 8192 + 1);
        }

        foreach (byte value in "]]]]]]]"u8)
        {
            Assert.True(TokenSet.Contains(masks.Find(matcher), s_trie.FindLongest([value])));
            Assert.True(matcher.TryAdvance([value]));
        }

        Assert.True(matcher.IsComplete && matcher.IsExhausted);
    }

    [Fact]
    public void Long_arrays_do_not_keep_what_is_behind_them()
    {
        var matcher = new GrammarMatcher(Grammar.FromJsonSchema(JsonElement.Parse(
            """{"type":"array","minItems":30000,"maxItems":30000,"items":{"type":"array","items":{"type":"integer"},"maxItems":3}}""")));
        Assert.True(matcher.TryAdvance("["u8));
        for (int i = 0; i < 30_000; i++)
        {
            Assert.False(matcher.TryAdvance("]"u8));
            Assert.True(matcher.TryAdvance(i == 0 ? "[1, 2]"u8 : ",[1, 2]"u8));
            Assert.InRange(matcher.Mark(), 0, 5000);
        }

        Assert.True(matcher.TryAdvance("]"u8) && matcher.IsExhausted);
    }

    [Fact]
    public void A_token_in_the_steady_state_allocates_nothing()
    {
        var matcher = new GrammarMatcher(Grammar.FromJsonSchema(JsonElement.Parse($$"""{"type":"array","items":{{Report}}}""")));
        byte[] item = Encoding.UTF8.GetBytes("{\"title\": \"The wide open sea\", \"count\": 12, \"tags\": [\"grey\", \"red\"], \"tree\": null}, ");
        var masks = new TokenMasks(s_trie);
        var logits = new float[s_trie.Tokenizer.VocabularySize];
        var sampler = new Sampler(new SamplingParameters { Temperature = 0 }, 0, []);
        matcher.TryAdvance("["u8);
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (int i = 0; i < item.Length; i++)
            {
                sampler.Sample(logits, i, masks.Find(matcher));
                Assert.True(matcher.TryAdvance(item.AsSpan(i, 1)));
            }
        }));
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"temperature_celsius":{"type":"integer"}},"required":["temperature_celsius"]}""", "{\"", "temperature_celsius")]
    [InlineData("""{"enum":["red and green"]}""", "", "\"red and green\"")]
    [InlineData("""{"enum":["grün 漢字 😀"]}""", "\"g", "rün 漢字 😀\"")]
    [InlineData("""{"enum":["grün"]}""", "\"gr\u00c3", "")]
    [InlineData("""{"type":"string"}""", "\"", "")]
    public void Text_that_can_not_but_follow_becomes_the_tokenizers_own_tokens(string schema, string before, string expected)
    {
        var matcher = new GrammarMatcher(Grammar.FromJsonSchema(JsonElement.Parse(schema)));
        Assert.True(matcher.TryAdvance(before.Contains('\u00c3', StringComparison.Ordinal) ? [.. "\"gr"u8, 0xC3] : Encoding.UTF8.GetBytes(before)));
        int[] forced = [.. new ForcedTokens(s_trie).Find(matcher)];
        byte[] text = s_trie.Tokenizer.Decode(forced);
        Assert.Equal(expected, Encoding.UTF8.GetString(text));
        Assert.Equal(s_trie.Tokenizer.Encode(expected), forced);
        Assert.True(matcher.TryAdvance(text));
    }

    [Fact]
    public void Parts_make_a_tool_call()
    {
        var builder = new GrammarBuilder();
        GrammarPart Call(string name, string schema) => builder.Sequence(
            builder.Literal($"<tool_call>\n{{\"name\": \"{name}\", \"arguments\": "), builder.JsonSchema(JsonElement.Parse(schema)), builder.Literal("}\n</tool_call>"));

        GrammarPart any = builder.Choice(
            Call("add", """{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"""), Call("stop", """{"type":"object","properties":{},"additionalProperties":false}"""));
        Grammar grammar = builder.Build(builder.Sequence(builder.Text("<tool_call>"), builder.Repeat(any, 1, 2)));
        const string Add = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        const string Stop = "<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>";
        Assert.All((string[])[Add, Stop + Add, "I think <tool_cal " + Add], text => Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(text)), text));
        Assert.All(
            (string[])["", "text", Add + Stop + Add, Add + " ", Add.Replace("add", "sub", StringComparison.Ordinal)],
            text => Assert.False(grammar.Accepts(Encoding.UTF8.GetBytes(text)), text));

        Grammar until = builder.Build(builder.Sequence(builder.TextUntil("aab"), builder.Literal("!")));
        Assert.All((string[])["aab!", "aaab!", "x aaaab!", "é😀aab!"], text => Assert.True(until.Accepts(Encoding.UTF8.GetBytes(text)), text));
        Assert.All((string[])["ab!", "aab", "aabaab!", "aab!!"], text => Assert.False(until.Accepts(Encoding.UTF8.GetBytes(text)), text));
    }

    [Fact]
    public void Without_forced_text_the_answers_are_valid_too()
    {
        for (int seed = 0; seed < 20; seed++)
        {
            string answer = RandomAnswer.Shipped.Write(Report, seed, forces: seed % 2 == 0);
            using JsonDocument document = JsonDocument.Parse(answer);
            Assert.Null(SchemaChecker.FindFault(JsonElement.Parse(Report), document.RootElement));
        }
    }
}
