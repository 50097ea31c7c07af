using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Responses;
using Xunit;

namespace Sluice.Tests.Protocol.Responses;

/// <summary>What a Responses request becomes as a chat: expectations are written by hand from both APIs' descriptions.</summary>
public sealed class ResponsesRequestTests
{
    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);

    public static TheoryData<string, string> Messages => new()
    {
        { "\"Hi\"", """[{"role":"user","content":"Hi"}]""" },
        // Developers are a system one level down, and those that come first are one.
        {
            """[{"role":"developer","content":"A"},{"role":"system","content":[{"type":"input_text","text":"B"}]},{"role":"user","content":"Hi"},{"role":"developer","content":"C"}]""",
            """[{"role":"system","content":"A\n\nB"},{"role":"user","content":"Hi"},{"role":"system","content":"C"}]"""
        },
        {
            """[{"role":"user","content":[{"type":"input_text","text":"See"},{"type":"input_image","image_url":"https://x/y.png","detail":"low"}]}]""",
            """[{"role":"user","content":[{"type":"text","text":"See"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}]}]"""
        },
        // One turn of the assistant is one message, and its results follow in order.
        {
            """
            [{"role":"user","content":"Hi"},{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}],"encrypted_content":null},
             {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Wait."}]},
             {"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1}"},{"type":"function_call","call_id":"b","name":"g","namespace":"ns","arguments":""},
             {"type":"function_call_output","call_id":"a","output":"1"},{"type":"function_call_output","id":"fco_1","call_id":"b","output":[{"type":"input_text","text":"2"}]}]
            """,
            """
            [{"role":"user","content":"Hi"},
             {"role":"assistant","content":"Wait.","reasoning_content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"function","function":{"name":"ns__g","arguments":"{}"}}]},
             {"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":"2"}]
            """
        },
        // What stands between a call and its result comes after it.
        {
            """
            [{"role":"user","content":"Hi"},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"role":"user","content":"Hurry"},
             {"type":"function_call_output","call_id":"a","output":"1"}]
            """,
            """
            [{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},
             {"role":"tool","tool_call_id":"a","content":"1"},{"role":"user","content":"Hurry"}]
            """
        },
        // An image as a result follows all results of the turn.
        {
            """
            [{"role":"user","content":"Hi"},{"type":"function_call","call_id":"a","name":"view","arguments":"{}"},
             {"type":"function_call_output","call_id":"a","output":[{"type":"input_text","text":"Here"},{"type":"input_image","image_url":"data:image/png;base64,AA=="}]}]
            """,
            """
            [{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"view","arguments":"{}"}}]},
             {"role":"tool","tool_call_id":"a","content":"Here"},
             {"role":"user","content":[{"type":"text","text":"[image of a]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]
            """
        },
        // Items of a vendor, or of a later day, mean nothing here and end no session.
        {
            """[{"type":"compaction","encrypted_content":"x"},{"type":"foo_bar","y":1},{"type":"web_search_call","id":"ws_1","status":"completed"},{"type":"agent_message","author":"a","content":[{"type":"input_text","text":"Hi"}]}]""",
            """[{"role":"user","content":"Hi"}]"""
        },
        // The text of a custom tool is the argument of the function that stands for it.
        {
            """[{"role":"user","content":"Hi"},{"type":"custom_tool_call","call_id":"a","name":"patch","input":"a\"b"},{"type":"custom_tool_call_output","call_id":"a","output":"ok"}]""",
            """[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"patch","arguments":"{\"input\": \"a\\\"b\"}"}}]},{"role":"tool","tool_call_id":"a","content":"ok"}]"""
        },
    };

    [Theory]
    [MemberData(nameof(Messages))]
    public void Items_become_messages(string input, string expected) =>
        AssertSame(expected, Translate($$"""{"model":"m","input":{{input}}}""").GetProperty("messages").GetRawText());

    [Theory]
    [InlineData("\"instructions\":\"Be short.\"", "messages", """[{"role":"system","content":"Be short."},{"role":"user","content":"Hi"}]""")]
    [InlineData("\"max_output_tokens\":5", "max_tokens", "5")]
    [InlineData("\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"}", "reasoning_effort", "\"low\"")]
    [InlineData("\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\"}},\"verbosity\":\"low\"}", "response_format", """{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}""")]
    [InlineData("\"text\":{\"verbosity\":\"low\"}", "verbosity", "\"low\"")]
    [InlineData("\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":2", "top_logprobs", "2")]
    [InlineData("\"stop\":[\"x\"],\"seed\":1", "seed", "1")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"},\"strict\":false}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}", "tool_choice", """{"type":"function","function":{"name":"f"}}""")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true}]", "tools", """[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}]""")]
    [InlineData("\"tools\":[{\"type\":\"namespace\",\"name\":\"ns\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"web_search\"}]", "tools", """[{"type":"function","function":{"name":"ns__g"}}]""")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\",\"name\":\"g\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]}", "tools", """[{"type":"function","function":{"name":"g"}}]""")]
    [InlineData("\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]", "parallel_tool_calls", "false")]
    public void Parameters_have_their_counterparts(string parameters, string name, string expected) =>
        AssertSame(expected, Translate($$"""{"model":"m","input":"Hi",{{parameters}}}""").GetProperty(name).GetRawText());

    [Fact]
    public void A_custom_tool_stays_one_where_it_is_known_and_is_a_function_elsewhere()
    {
        const string Body = """{"model":"m","input":"Hi","tools":[{"type":"custom","name":"patch","description":"d","format":{"type":"grammar","syntax":"lark","definition":"start: /x/"}}]}""";
        AssertSame(
            """[{"type":"custom","custom":{"name":"patch","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: /x/"}}}}]""",
            Translate(Body, NeutralForm.Engine).GetProperty("tools").GetRawText());
        var function = Translate(Body).GetProperty("tools")[0].GetProperty("function");
        Assert.Contains("start: /x/", function.GetProperty("description").GetString(), StringComparison.Ordinal);
        Assert.Equal("string", function.GetProperty("parameters").GetProperty("properties").GetProperty("input").GetProperty("type").GetString());
    }

    // Codex declares its tools within the conversation for some models.
    [Fact]
    public void Tools_in_the_conversation_are_offered_too() => Assert.Equal(
        ["f", "a__g", "h"],
        Translate("""
            {"model":"m","tools":[{"type":"function","name":"f"}],"input":[
             {"type":"additional_tools","role":"developer","tools":[{"type":"namespace","name":"a","tools":[{"type":"function","name":"g"}]}]},
             {"role":"user","content":"Hi"},{"type":"tool_search_call","call_id":"s","execution":"client","arguments":{"query":"h"}},
             {"type":"tool_search_output","call_id":"s","tools":[{"type":"function","name":"h"}]}]}
            """).GetProperty("tools").EnumerateArray().Select(tool => tool.GetProperty("function").GetProperty("name").GetString()));

    [Fact]
    public void Long_names_are_cut_to_what_all_dialects_take_and_stay_apart()
    {
        var (one, two) = (ResponsesTools.Flatten("ns", new string('a', 70) + "1"), ResponsesTools.Flatten("ns", new string('a', 70) + "2"));
        Assert.Equal((64, 64), (one.Length, two.Length));
        Assert.NotEqual(one, two);
        Assert.Equal(one, ResponsesTools.Flatten("ns", new string('a', 70) + "1"));
    }

    [Theory]
    [InlineData("messages/1/m", "messages/1/m", "thinking")]
    [InlineData("responses/1/m", "responses/1/m", "reasoning")]
    [InlineData("messages/1/m", "messages/2/m", null)]
    [InlineData("responses/1/m", "responses/1/other", null)]
    public void Reasoning_goes_back_to_its_producer_alone(string origin, string asked, string? member)
    {
        var text = s_seal.Seal(new ReasoningBlob(origin, """{"type":"x","signature":"s"}"""u8.ToArray()));
        var body = $$"""{"model":"m","input":[{"role":"user","content":"Hi"},{"type":"reasoning","summary":[],"encrypted_content":"{{text}}"},{"role":"assistant","content":"Yes"}]}""";
        var message = Translate(body, NeutralForm.Translation with { Seal = s_seal, Origin = asked }).GetProperty("messages")[1];
        if (member is null) Assert.False(message.TryGetProperty("sluice", out _));
        else Assert.Equal("""[{"type":"x","signature":"s"}]""", message.GetProperty("sluice").GetProperty(member).GetRawText());
    }

    [Fact]
    public void Equal_requests_are_equal_bytes()
    {
        var body = Encoding.UTF8.GetBytes("""{"model":"m","input":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","name":"b"},{"type":"function","name":"a"}]}""");
        Assert.Equal(Write(body, NeutralForm.ChatServer).Json, Write(body, NeutralForm.ChatServer).Json);
    }

    private static JsonElement Translate(string body, NeutralForm? form = null)
    {
        var (json, error) = Write(Encoding.UTF8.GetBytes(body), form ?? NeutralForm.ChatServer);
        Assert.Null(error);
        return JsonElement.Parse(json);
    }

    private static (string Json, ApiError? Error) Write(byte[] body, NeutralForm form)
    {
        var output = new ArrayBufferWriter<byte>();
        var error = ResponsesDialect.Instance.WriteNeutral(body, form, output);
        return (Encoding.UTF8.GetString(output.WrittenSpan), error);
    }

    private static void AssertSame(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), actual);
}
