using System.Text.Json;
using Sluice.Protocol.Chat;
using Xunit;
using static Sluice.Tests.Protocol.Chat.RequestReading;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>What clients of other servers send, and what has only one meaning: the local engine takes it.</summary>
public sealed class LenientRequestTests
{
    private const string Tool = "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}";

    [Theory]
    [InlineData("\"tools\":[]")]
    [InlineData("\"tools\":[],\"tool_choice\":\"auto\"")]
    [InlineData("\"tool_choice\":\"none\"")]
    [InlineData("\"functions\":[],\"function_call\":\"auto\"")]
    public void No_tools_are_no_tools(string members)
    {
        var request = Accept(Body(members));
        Assert.Null(LocalTools.Find(request));
        Assert.Null(request.ToolChoice);
    }

    [Fact]
    public void Any_tool_is_a_required_call() =>
        Assert.True(LocalTools.Find(Accept(Body($"\"tools\":[{Tool}],\"tool_choice\":\"any\"")))!.IsRequired);

    [Fact]
    public void No_stop_sequence_ends_nothing_and_sixteen_are_taken()
    {
        Assert.Empty(Accept(Body("\"stop\":[]")).Stop);
        Assert.Equal(16, Accept(Body($"\"stop\":[{string.Join(',', Enumerable.Range(0, 16).Select(i => $"\"{i}\""))}]")).Stop.Count);
    }

    [Theory]
    [InlineData("\"max_tokens\":-1")]
    [InlineData("\"max_completion_tokens\":-1")]
    [InlineData("\"max_tokens\":-1,\"top_k\":-1")]
    public void Minus_one_is_no_limit(string members)
    {
        var request = Accept(Body(members));
        Assert.Null(request.MaxTokens);
        Assert.Contains(request.TopK, (int?[])[null, 0]);
    }

    [Fact]
    public void Arguments_and_results_may_be_objects_and_calls_may_be_empty()
    {
        var messages = Accept("""
            {"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","tool_calls":[]},{"role":"user","content":"x"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":{"a":1}}}]},
            {"role":"tool","tool_call_id":"c","content":{"b": 2}}]}
            """).Messages;
        Assert.Null(messages[1].ToolCalls);
        Assert.Equal("{\"b\": 2}", messages[4].Text);
    }

    [Theory]
    [InlineData("\"response_format\":{\"type\":\"json_object\",\"schema\":{\"type\":\"array\"}}")]
    [InlineData("\"guided_json\":{\"type\":\"array\"}")]
    [InlineData("\"guided_json\":\"{\\\"type\\\":\\\"array\\\"}\"")]
    [InlineData("\"structured_outputs\":{\"json\":{\"type\":\"array\"}}")]
    public void A_schema_is_taken_in_the_forms_of_other_servers(string members) =>
        Assert.Equal("array", Accept(Body(members)).ResponseSchema!.Schema!.Value.GetProperty("type").GetString());

    [Theory]
    [InlineData("\"guided_regex\":\"a+\"", "guided_regex")]
    [InlineData("\"structured_outputs\":{\"regex\":\"a+\",\"json_object\":false}", "structured_outputs.regex")]
    public void An_answer_can_be_held_to_a_pattern(string members, string name)
    {
        var format = Accept(Body(members)).ResponseSchema!;
        Assert.Equal((name, "a+", null), (format.Name, format.Pattern, format.Texts));
    }

    [Theory]
    [InlineData("\"guided_choice\":[\"a\",\"b c\"]", "guided_choice")]
    [InlineData("\"structured_outputs\":{\"choice\":[\"a\",\"b c\"],\"regex\":null}", "structured_outputs.choice")]
    public void An_answer_can_be_held_to_a_list_of_texts(string members, string name)
    {
        var format = Accept(Body(members)).ResponseSchema!;
        Assert.Equal((name, null), (format.Name, format.Pattern));
        Assert.Equal(["a", "b c"], format.Texts!);
    }

    [Theory]
    [InlineData("\"guided_choice\":[]", "Invalid 'guided_choice': empty array. Expected an array with minimum length 1, but got an empty array instead.", "guided_choice")]
    [InlineData("\"guided_choice\":[\"a\",1]", "Invalid type for 'guided_choice[1]': expected a string, but got an integer instead.", "guided_choice[1]")]
    [InlineData("\"structured_outputs\":{\"regex\":1}", "Invalid type for 'structured_outputs.regex': expected a string, but got an integer instead.", "structured_outputs.regex")]
    [InlineData("\"guided_regex\":\"a\",\"guided_json\":{}", "Invalid request: 'guided_json' and 'guided_regex' can't hold at once: send one of them.", "guided_regex")]
    [InlineData("\"structured_outputs\":{\"regex\":\"a\",\"choice\":[\"a\"]}", "Invalid request: 'structured_outputs.regex' and 'structured_outputs.choice' can't hold at once: send one of them.", "structured_outputs.choice")]
    public void A_guide_that_says_nothing_or_two_things_is_refused(string members, string message, string param)
    {
        var error = Refuse(Body(members));
        Assert.Equal((400, message, param), (error.Status, error.Message, error.Param));
    }

    [Theory]
    [InlineData("\"guided_grammar\":\"root ::= x\"", "guided_grammar")]
    [InlineData("\"structured_outputs\":{\"grammar\":\"root ::= x\"}", "structured_outputs.grammar")]
    [InlineData("\"structured_outputs\":{\"structural_tag\":\"x\"}", "structured_outputs.structural_tag")]
    public void What_would_have_to_be_ignored_is_refused(string members, string param) => Refuse(
        Body(members), $"Unsupported parameter: '{param}' is not supported with this model: use 'response_format' with a JSON schema.", param, "unsupported_parameter");

    [Theory]
    [InlineData("", "", false, true)]
    [InlineData("", ",\"add_generation_prompt\":false", false, false)]
    [InlineData("", ",\"continue_final_message\":false,\"add_generation_prompt\":true", false, true)]
    [InlineData("Well,", ",\"continue_final_message\":true", true, false)]
    [InlineData("Well,", ",\"continue_final_message\":true,\"add_generation_prompt\":false", true, false)]
    public void The_last_message_can_be_continued(string last, string members, bool continues, bool introduces)
    {
        var message = last.Length == 0 ? "" : $",{{\"role\":\"assistant\",\"content\":\"{last}\"}}";
        var request = Accept($"{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}{message}]{members}}}");
        Assert.Equal((continues, introduces), (request.ContinuesMessage, request.IntroducesAnswer));
    }

    [Theory]
    [InlineData("{\"role\":\"assistant\",\"content\":\"x\"}", true, "Invalid request: 'continue_final_message' and 'add_generation_prompt' can't both be true: set 'add_generation_prompt' to false.")]
    [InlineData("{\"role\":\"user\",\"content\":\"x\"}", false, "Invalid request: 'continue_final_message' needs an assistant's message with text at the end of 'messages'.")]
    [InlineData("{\"role\":\"assistant\",\"content\":\" \"}", false, "Invalid request: 'continue_final_message' needs an assistant's message with text at the end of 'messages'.")]
    public void What_can_not_be_continued_is_refused(string last, bool introduces, string message) => Refuse(
        $"{{\"model\":\"m\",\"messages\":[{last}],\"continue_final_message\":true,\"add_generation_prompt\":{(introduces ? "true" : "false")}}}",
        message, "continue_final_message", "invalid_value");

    [Theory]
    [InlineData("Anna Maria")]
    [InlineData("<a|b/>")]
    [InlineData("\u00c4\u4e2d")]
    public void A_name_may_have_any_characters(string name)
    {
        var messages = Accept($$"""{"model":"m","messages":[{"role":"user","content":"x","name":"{{name}}"},{"role":"user","content":"x","name":""}]}""").Messages;
        Assert.Equal((name, null), (messages[0].Name, messages[1].Name));
    }

    [Fact]
    public void A_template_gets_the_variables_of_the_request()
    {
        var variables = Accept(Body("\"chat_template_kwargs\":{\"enable_thinking\":false,\"depth\":3},\"enable_thinking\":true")).TemplateVariables;
        Assert.Equal((JsonValueKind.False, 3), (variables["enable_thinking"].ValueKind, variables["depth"].GetInt32()));
        Assert.Equal(JsonValueKind.True, Accept(Body("\"enable_thinking\":true")).TemplateVariables["enable_thinking"].ValueKind);
        Assert.Equal("low", Accept(Body("\"reasoning_effort\":\"low\"")).TemplateVariables["reasoning_effort"].GetString());
    }
}
