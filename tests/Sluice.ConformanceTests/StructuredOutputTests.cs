using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.ConformanceTests.Harness;
using Sluice.Inference.Grammars;
using Sluice.Testing.Grammars;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Answers under a <c>response_format</c> (C-12), with a model that follows a script as far as it is let.</summary>
public sealed class StructuredOutputTests(ScriptedHub fixture) : IClassFixture<ScriptedHub>
{
    private const string Person = """
        {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0}},"required":["name","age"],"additionalProperties":false}
        """;

    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task C12_What_fits_the_schema_arrives_as_the_model_writes_it()
    {
        const string Text = "{\"name\": \"Bj\\u00f6rn 😀\", \"age\": 42}";
        fixture.Hub.Scripts["fits"] = new Script().Bytes(Encoding.UTF8.GetBytes(Text));
        var stream = await Client.StreamAsync("fits", Format(Person));
        Assert.Equal((Text, "stop"), (stream.Content(), stream.FinishReason()));
        var completion = await Client.CompleteAsync("fits", Format(Person) + ",\"n\":2");
        Assert.All(completion.GetProperty("choices").EnumerateArray(), choice => Assert.Equal(Text, choice.GetProperty("message").Text("content")));
    }

    [Fact]
    public async Task C12_A_model_that_would_rather_talk_writes_a_value_all_the_same()
    {
        const string Schema = """{"type":"object","properties":{"ok":{"type":"boolean"},"colour":{"enum":["red","green"]}},"required":["ok","colour"]}""";
        fixture.Hub.Scripts["talks"] = new Script().Say("Sure! Hello world one two three").Say(" four").Forever();
        var stream = await Client.StreamAsync("talks", Format(Schema));
        Assert.Equal("stop", stream.FinishReason());
        Assert.Equal(["ok", "colour"], Json.Parse(stream.Content()).Names());
    }

    [Fact]
    public async Task C12_A_model_that_would_rather_end_may_not()
    {
        fixture.Hub.Scripts["ends"] = new Script();
        var completion = await Client.CompleteAsync("ends", Format("""{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}"""));
        Assert.True(Json.Parse(Content(completion)).IsNull("a"));
    }

    [Fact]
    public async Task C12_The_token_limit_cuts_with_length()
    {
        fixture.Hub.Scripts["cut"] = new Script().Bytes("{\"name\":\"abcdefgh"u8);
        var stream = await Client.StreamAsync("cut", Format(Person) + ",\"max_tokens\":12,\"stream_options\":{\"include_usage\":true}");
        Assert.Equal(("{\"name\":\"abc", "length"), (stream.Content(), stream.FinishReason()));
        Assert.Equal(12, stream.Usage().GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task C12_Any_object()
    {
        fixture.Hub.Scripts["object"] = new Script().Bytes("{\n  \"a\": [1, {}, null]\n}"u8).Say(" one two");
        Assert.Equal("{\n  \"a\": [1, {}, null]\n}", (await Client.StreamAsync("object", "\"response_format\":{\"type\":\"json_object\"}")).Content());
    }

    [Fact]
    public async Task C12_Log_probabilities_come_for_every_token()
    {
        fixture.Hub.Scripts["logprobs"] = new Script().Bytes("{\"name\":\"a\",\"age\":1}"u8);
        var completion = await Client.CompleteAsync("logprobs", Format(Person) + ",\"logprobs\":true,\"top_logprobs\":1");
        var tokens = completion.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content");
        Assert.Equal(Content(completion), string.Concat(tokens.EnumerateArray().Select(token => token.Text("token"))));
    }

    [Theory]
    [InlineData("""{"type":"array","uniqueItems":true}""", "In context=(), 'uniqueItems' is not supported; leave it out and remove duplicates from the answer.")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"object","minProperties":1}}}""", "In context=('properties', 'a'), 'minProperties' is not supported; use 'required', or an array of pairs with 'minItems' and 'maxItems'.")]
    [InlineData("""{"type":"object","properties":{"a":{"not":{}}}}""", "In context=('properties', 'a'), 'not' is not supported; list what is allowed instead.")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}""", "In context=(), no value can ever satisfy it.")]
    public async Task C12_A_schema_that_can_not_be_followed_is_refused(string schema, string expected)
    {
        foreach (var more in (string[])["", "\"stream\":true,"])
        {
            var error = await Client.RefuseAsync(Client.Chat("Hello", more + Format(schema)));
            Assert.Equal((400, "invalid_request_error", "response_format"), (error.Status, error.Type, error.Param));
            Assert.Equal($"Invalid schema for response_format 'test': {expected}", error.Message);
        }
    }

    [Fact]
    public async Task C12_A_schema_too_long_to_compile_is_refused()
    {
        var error = await Client.RefuseAsync(Client.Chat("Hello", Format($$"""{"enum":["{{new string('x', 600_000)}}"]}""")));
        Assert.Equal((400, "response_format"), (error.Status, error.Param));
        Assert.Contains("524288", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task C12_Ajv_finds_every_answer_of_a_senseless_model_valid()
    {
        var cases = new List<string>();
        for (var seed = 0; cases.Count < 120; seed++)
        {
            var schema = RandomSchema.Create(seed);
            try
            {
                _ = Grammar.FromJsonSchema(JsonElement.Parse(schema));
            }
            catch (GrammarException)
            {
                // Bounds that leave nothing.
                continue;
            }

            string[] answers =
            [
                RandomAnswer.Shipped.Write(schema, seed), RandomAnswer.Shipped.Write(schema, seed + 1, forces: false), RandomAnswer.Tiny.Write(schema, seed),
            ];
            cases.Add($$"""{"schema":{{schema}},"answers":[{{string.Join(',', answers.Select(ApiClient.Quote))}}]}""");
        }

        await JudgeAsync(cases, 360);
    }

    [Fact]
    public async Task C12_What_ajv_finds_valid_is_accepted()
    {
        var (cases, count) = (new List<string>(), 0);
        for (var seed = 0; cases.Count < 150; seed++)
        {
            var schema = RandomSchema.Create(seed);
            Grammar grammar;
            try
            {
                grammar = Grammar.FromJsonSchema(JsonElement.Parse(schema));
            }
            catch (GrammarException)
            {
                // Bounds that leave nothing.
                continue;
            }

            string[] documents = [.. Enumerable.Range(0, 4).Select(style => RandomDocument.Write(JsonNode.Parse(schema)!.AsObject(), seed, style)).OfType<string>()];
            Assert.All(documents, document => Assert.True(grammar.Accepts(Encoding.UTF8.GetBytes(document)), $"{schema}\n{document}"));
            cases.Add($$"""{"schema":{{schema}},"answers":[{{string.Join(',', documents.Select(ApiClient.Quote))}}]}""");
            count += documents.Length;
        }

        Assert.True(count > 400, $"{count}");
        await JudgeAsync(cases, count);
    }

    // Ajv finds every answer valid under its schema.
    private async Task JudgeAsync(List<string> cases, int count)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, $"[{string.Join(",\n", cases)}]", TestContext.Current.CancellationToken);
            Assert.Equal(count.ToString(CultureInfo.InvariantCulture), (await ClientProcess.NodeAsync(fixture.Hub, "validate.mjs", file)).Trim());
        }
        finally
        {
            File.Delete(file);
        }
    }

    internal static string Format(string schema) =>
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"test\",\"strict\":true,\"schema\":" + schema + "}}";

    internal static string Content(JsonElement completion) => completion.GetProperty("choices")[0].GetProperty("message").Text("content")!;
}

/// <summary>The same with the real model, which keeps to no form by itself.</summary>
[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelStructuredOutputTests(DefaultModelHub fixture)
{
    private const string Person = """
        {"type":"object","properties":{"name":{"type":"string","maxLength":40},"age":{"type":"integer","minimum":0,"maximum":150},
        "mood":{"enum":["calm","wild"]}},"required":["name","age","mood"],"additionalProperties":false}
        """;

    [Theory]
    [InlineData("\"temperature\":0")]
    [InlineData("\"temperature\":1,\"seed\":1")]
    [InlineData("\"temperature\":1,\"seed\":2,\"top_p\":0.9,\"top_k\":40")]
    public async Task C12_A_person_is_a_person(string sampling)
    {
        var more = StructuredOutputTests.Format(Person) + ",\"max_tokens\":300," + sampling;
        var stream = await fixture.Client.StreamAsync("Invent a sailor.", more);
        Assert.Equal("stop", stream.FinishReason());
        var person = Json.Parse(stream.Content());
        Assert.Equal(["name", "age", "mood"], person.Names());
        Assert.InRange(person.GetProperty("age").GetInt32(), 0, 150);
        Assert.Contains(person.Text("mood"), (string[])["calm", "wild"]);
        Assert.Equal(stream.Content(), StructuredOutputTests.Content(await fixture.Client.CompleteAsync("Invent a sailor.", more)));
    }

    [Fact]
    public async Task C12_A_character_that_the_model_can_not_write_is_refused_by_name()
    {
        var schema = "{\"enum\":[\"a\",\"\U00040000\"]}";
        var error = await fixture.Client.RefuseAsync(fixture.Client.Chat("Hello", StructuredOutputTests.Format(schema)));
        Assert.Equal((400, "response_format"), (error.Status, error.Param));
        Assert.Contains("U+40000", error.Message, StringComparison.Ordinal);
        var tool = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":" + schema + "},\"required\":[\"a\"]}}}]";
        error = await fixture.Client.RefuseAsync(fixture.Client.Chat("Hello", tool));
        Assert.Equal((400, "invalid_function_parameters"), (error.Status, error.Code));
        Assert.Contains("U+40000", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public Task C12_Python_parses_into_its_classes() => ClientProcess.PythonAsync(fixture.Hub, "parse.py");
}
