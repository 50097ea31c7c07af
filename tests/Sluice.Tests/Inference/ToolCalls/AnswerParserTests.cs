using Sluice.Inference.ToolCalls;
using Xunit;

namespace Sluice.Tests.Inference.ToolCalls;

/// <summary>The formats as the models' own templates write them, and what models make of them. Each text is read in pieces of every size.</summary>
public sealed class AnswerParserTests
{
    private const string Weather = """{"location": "Berlin"}""";

    public static TheoryData<string, string, string, string> Answers => new()
    {
        // family, answer, content, calls
        { "Hermes", "Hello", "Hello", "" },
        { "Hermes", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": " + Weather + "}\n</tool_call>", "", "get_weather" + Weather },
        { "Hermes", "\n\n<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>\n", "", "add{}" },
        { "Hermes", "Let me see.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": [1, {\"b\": \"}\\\"\"}]}}\n</tool_call>", "Let me see.", "add{\"a\": [1, {\"b\": \"}\\\"\"}]}" },
        { "Hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"get\", \"arguments\": {\"a\": 2}}\n</tool_call>", "", "add{\"a\": 1}|get{\"a\": 2}" },
        { "Hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>", "", "add{\"a\": 1}|get{}" },
        { "Hermes", "<tool_call>[{\"name\": \"add\", \"arguments\": {}}, {\"name\": \"get\", \"arguments\": {}}]</tool_call>", "", "add{}|get{}" },
        { "Hermes", "<tool_call>\n{\"name\": \"add\"}\n</tool_call>", "", "add" },
        { "Hermes", "<tool_call>\n{\"arguments\": {\"a\": 1}, \"name\": \"add\"}\n</tool_call> done", " done", "add{\"a\": 1}" },
        { "Hermes", "<tool_call>\n{\"id\": 7, \"type\": \"function\", \"name\": \"add\", \"arguments\": {\"a\": 1}, \"x\": [\"}\"]}\n</tool_call>", "", "add{\"a\": 1}" },

        // Braces that are missing or too many.
        { "Hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}\n</tool_call>", "", "add{\"a\": 1}" },
        { "Hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}}\n</tool_call>", "}\n</tool_call>", "add{\"a\": 1}" },
        { "Hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1\n</tool_call>", "</tool_call>", "add{\"a\": 1\n" },

        // No calls.
        { "Hermes", "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>", "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>", "" },
        { "Hermes", "<tool_call>hello</tool_call>", "<tool_call>hello</tool_call>", "" },
        { "Hermes", "<tool_call>", "<tool_call>", "" },
        { "Hermes", "<tool_call>\n{\"name\": \"ad", "<tool_call>\n{\"name\": \"ad", "" },
        { "Hermes", "a <tool b <tool_cal", "a <tool b <tool_cal", "" },
        { "Hermes", "  \n", "  \n", "" },
        { "Hermes", "<<tool_call><tool_call>{\"name\": \"add\", \"arguments\": {}}</tool_call>", "<<tool_call>", "add{}" },
        { "Hermes", "{\"name\": \"add\", \"arguments\": {}}", "{\"name\": \"add\", \"arguments\": {}}", "" },
        { "Hermes", "<tool_call>{\"name\": \"add\", \"arguments\": \"{}\"}</tool_call>", "<tool_call>{\"name\": \"add\", \"arguments\": \"{}\"}</tool_call>", "" },

        { "Llama", "{\"name\": \"get_weather\", \"parameters\": " + Weather + "}", "", "get_weather" + Weather },
        { "Llama", "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": " + Weather + "}", "", "get_weather" + Weather },
        { "Llama", "{\"type\": \"function\", \"name\": \"add\", \"parameters\": {}}", "", "add{}" },
        { "Llama", "{\"name\": \"add\", \"parameters\": {}}; {\"name\": \"get\", \"parameters\": {}}", "", "add{}|get{}" },
        { "Llama", "{\"name\": \"add\", \"parameters\": {}}\n{\"name\": \"get\", \"parameters\": {}}", "", "add{}|get{}" },
        { "Llama", "{\"answer\": 42}", "{\"answer\": 42}", "" },
        { "Llama", "It is {\"name\": \"add\", \"parameters\": {}}", "It is {\"name\": \"add\", \"parameters\": {}}", "" },
        { "Llama", "<|python_tag|>print(1)", "<|python_tag|>print(1)", "" },

        { "Mistral", "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": " + Weather + ", \"id\": \"abcdefghi\"}]", "", "get_weather" + Weather },
        { "Mistral", "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"get\", \"arguments\": {}}]", "", "add{\"a\": 1}|get{}" },
        { "Mistral", "Sure. [TOOL_CALLS][]", "Sure.", "" },
        { "Mistral", "[TOOL", "[TOOL", "" },
        { "Mistral Small", "[TOOL_CALLS]get_weather[ARGS]" + Weather, "", "get_weather" + Weather },
        { "Mistral Small", "[TOOL_CALLS]add[CALL_ID]abcdefghi[ARGS]{\"a\": 1}[TOOL_CALLS]get[ARGS]{}", "", "add{\"a\": 1}|get{}" },
        { "Mistral Small", "[TOOL_CALLS]add{\"a\": 1}", "", "add{\"a\": 1}" },
        { "Mistral Small", "[TOOL_CALLS]sub[ARGS]{}", "[TOOL_CALLS]sub[ARGS]{}", "" },
        { "Mistral Small", "[TOOL_CALLS]add[ARGH]{}", "[TOOL_CALLS]add[ARGH]{}", "" },

        { "Granite", "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"get\", \"arguments\": {}}]", "", "add{\"a\": 1}|get{}" },
        { "Granite", "<tool_call>[{\"name\": \"add\", \"arguments\": {}}]</tool_call>", "", "add{}" },

        { "generic", " {\"name\": \"add\", \"arguments\": {\"a\": \"ü\"}}", "", "add{\"a\": \"Ã¼\"}" },
        { "generic", "Plain <tool_call> text\n", "Plain <tool_call> text\n", "" },
    };

    internal static ToolCallDialect Find(string family) => new[]
    {
        ToolCallDialect.Hermes, ToolCallDialect.Llama, ToolCallDialect.MistralList, ToolCallDialect.MistralNamed, ToolCallDialect.Granite,
        ToolCallDialect.Generic,
    }.First(dialect => dialect.Name.StartsWith(family, StringComparison.Ordinal) && (family != "Mistral" || dialect.Name == "Mistral"));

    [Theory]
    [MemberData(nameof(Answers))]
    public void Answer_InPiecesOfEverySize_IsContentAndCalls(string family, string answer, string content, string calls)
    {
        ReadAnswer read = ReadAnswer.Read(Find(family), answer);
        Assert.Equal(calls, string.Join('|', read.Calls.Select(call => call.Tool + call.Arguments)));
        Assert.Equal(content, read.Content);
    }

    [Theory]
    [InlineData("<think>\nHm.\n</think>\n\nYes.", "Hm.", "Yes.")]
    [InlineData("\n<think>Hm.", "Hm.", "")]
    [InlineData("<think>\n\n</think>\n\nYes.", "", "Yes.")]
    [InlineData("Yes <think>no</think>", "", "Yes <think>no</think>")]
    [InlineData("<think>a < b </thin </think>c", "a < b </thin", "c")]
    [InlineData("<think>a</think><think>b</think>", "a", "<think>b</think>")]
    [InlineData("<thin", "", "<thin")]
    public void Reasoning_AtTheBeginning_StandsApart(string answer, string reasoning, string content)
    {
        foreach (ToolCallDialect? dialect in new[] { null, ToolCallDialect.Hermes, ToolCallDialect.Generic })
        {
            ReadAnswer read = ReadAnswer.Read(dialect, answer, knowsReasoning: true);
            Assert.Equal((reasoning, content), (read.Reasoning, read.Content));
        }
    }

    [Theory]
    [InlineData("Hermes", "<think>I could write <tool_call>.</think>\n\n<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>")]
    [InlineData("generic", "<think>I could write <tool_call>.</think>\n\n{\"name\": \"add\", \"arguments\": {}}")]
    public void ACall_AfterReasoning_IsOneWithoutContent(string family, string answer)
    {
        ReadAnswer read = ReadAnswer.Read(Find(family), answer, knowsReasoning: true);
        Assert.Equal(("I could write <tool_call>.", ""), (read.Reasoning, read.Content));
        Assert.Equal(("add", "{}"), Assert.Single(read.Calls));
    }

    [Fact]
    public void WhatLooksLikeACall_IsNotHeldBackForever()
    {
        var reader = new AnswerParser(ToolCallDialect.Llama, [], knowsReasoning: false);
        reader.Read("{\"id\": \""u8, isLast: false);
        int held = 0;
        for (int i = 0; i < 4096; i++)
        {
            held += reader.Parts.Count == 0 ? 1 : 0;
            reader.Read("x"u8, isLast: false);
        }

        Assert.InRange(held, 1, ToolCallLimits.HeadBytesMax);
    }
}
