using Sluice.Protocol;
using Sluice.Protocol.Chat;
using Xunit;
using static Sluice.Tests.Protocol.Chat.RequestReading;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>What may stand in <c>messages</c>: V-04, V-05, V-18, F-13, F-14, F-17 and their rows of the error table.</summary>
public sealed class RequestMessagesTests
{
    private const string Call = """{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}}""";
    private const string CallB = """{"id":"call_b","type":"function","function":{"name":"f","arguments":"{}"}}""";
    private const string NullContentText = "Invalid value for 'content': expected a string, got null.";

    [Theory]
    [InlineData("\"ping\"", "Invalid type for 'messages': expected an array of objects, but got a string instead.", "messages", "invalid_type")]
    [InlineData("{}", "Invalid type for 'messages': expected an array of objects, but got an object instead.", "messages", "invalid_type")]
    [InlineData("[\"x\"]", "Invalid type for 'messages[0]': expected an object, but got a string instead.", "messages[0]", "invalid_type")]
    [InlineData("[null]", "Invalid type for 'messages[0]': expected an object, but got null instead.", "messages[0]", "invalid_type")]
    [InlineData("[{}]", "Missing required parameter: 'messages[0].role'.", "messages[0].role", "missing_required_parameter")]
    [InlineData("[{\"role\":null}]", "Missing required parameter: 'messages[0].role'.", "messages[0].role", "missing_required_parameter")]
    [InlineData("[{\"role\":123}]", "Invalid type for 'messages[0].role': expected a string, but got an integer instead.", "messages[0].role", "invalid_type")]
    [InlineData(
        "[{\"role\":\"foobar\",\"content\":\"x\"}]",
        "Invalid value: 'foobar'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
        "messages[0].role",
        "invalid_value")]
    [InlineData(
        "[{\"role\":\"user\",\"content\":123}]",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead.",
        "messages[0].content",
        "invalid_type")]
    [InlineData("[{\"role\":\"user\"}]", NullContentText, "messages.[0].content", null)]
    [InlineData("[{\"role\":\"user\",\"content\":null}]", NullContentText, "messages.[0].content", null)]
    [InlineData("[{\"role\":\"assistant\",\"tool_calls\":null}]", NullContentText, "messages.[0].content", null)]
    [InlineData("[{\"role\":\"assistant\",\"refusal\":null}]", NullContentText, "messages.[0].content", null)]
    [InlineData("[{\"role\":\"user\",\"refusal\":\"no\"}]", NullContentText, "messages.[0].content", null)]
    [InlineData("[{\"role\":\"developer\"}]", "Missing required parameter: 'messages[0].content'.", "messages[0].content", "missing_required_parameter")]
    [InlineData("[{\"role\":\"tool\",\"content\":\"x\"}]", "Missing required parameter: 'messages[0].tool_call_id'.", "messages[0].tool_call_id", "missing_required_parameter")]
    [InlineData("[{\"role\":\"function\",\"content\":\"x\"}]", "Missing required parameter: 'messages[0].name'.", "messages[0].name", "missing_required_parameter")]
    [InlineData(
        "[{\"role\":\"assistant\",\"tool_calls\":\"x\"}]",
        "Invalid type for 'messages[0].tool_calls': expected an array of objects, but got a string instead.",
        "messages[0].tool_calls",
        "invalid_type")]
    [InlineData("[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "Missing required parameter: 'messages[0].tool_calls[0].id'.", "messages[0].tool_calls[0].id", "missing_required_parameter")]
    public void A_message_with_a_fault_is_refused_with_its_path(string messages, string message, string param, string? code) =>
        Refuse(Conversation(messages), message, param, code);

    [Fact]
    public void Content_that_is_missing_is_told_after_every_other_fault()
    {
        Assert.Equal("messages[1].content", Refuse(Conversation("""[{"role":"user"},{"role":"user","content":7}]""")).Param);
        Assert.Equal("temperature", Refuse("""{"model":"m","messages":[{"role":"user"}],"temperature":9}""").Param);
    }

    [Fact]
    public void Every_role_is_read()
    {
        var request = Accept(Conversation($$$"""
            [{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c","name":"ann"},
             {"role":"assistant","content":null,"tool_calls":[{{{Call}}}]},{"role":"tool","tool_call_id":"call_a","content":"d"},
             {"role":"assistant","function_call":{"name":"f","arguments":""}},{"role":"function","name":"f","content":"e"},
             {"role":"assistant","refusal":"no"},{"role":"user","content":""}]
            """));
        Assert.Equal(
            [ChatRole.System, ChatRole.Developer, ChatRole.User, ChatRole.Assistant, ChatRole.Tool, ChatRole.Assistant, ChatRole.Function, ChatRole.Assistant, ChatRole.User],
            request.Messages.Select(message => message.Role));
        Assert.Equal(["a", "b", "c", null, "d", null, "e", null, ""], request.Messages.Select(message => message.Text));
        Assert.Equal("ann", request.Messages[2].Name);
        Assert.Equal("call_a", request.Messages[3].ToolCalls!.Value[0].GetProperty("id").GetString());
        Assert.Equal("call_a", request.Messages[4].ToolCallId);
        Assert.Equal("f", request.Messages[5].FunctionCall!.Value.GetProperty("name").GetString());
        Assert.Equal("no", request.Messages[7].Refusal);
        Assert.All(Enum.GetValues<ChatRole>(), role => Assert.Contains(request.Messages, message => message.Role == role));
        Assert.All(request.Messages, message => Assert.Equal(message.Role, ChatRoles.Find(message.Role.ToWireName())));
    }

    // An SDK's own reply object, sent back as it came.
    [Fact]
    public void A_reply_can_be_sent_back_as_it_is() => Accept(Conversation(
        """[{"role":"user","content":"a"},{"role":"assistant","content":"b","refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":null},{"role":"user","content":"c"}]"""));

    [Fact]
    public void Text_parts_are_joined_by_line_feeds()
    {
        var request = Accept(Conversation("""[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""},{"type":"text","text":"b"}]}]"""));
        Assert.Equal("a\n\nb", request.Messages[0].Text);
        Assert.False(request.Messages[0].HasMediaParts);
    }

    [Theory]
    [InlineData("image_url", "{\"url\":\"data:,\"}")]
    [InlineData("input_audio", "{\"data\":\"\",\"format\":\"wav\"}")]
    [InlineData("file", "{\"file_id\":\"f\"}")]
    public void Media_is_recorded_and_refused_only_by_the_local_engine(string type, string value)
    {
        var request = Accept(Conversation($$"""[{"role":"user","content":[{"type":"text","text":"a"},{"type":"{{type}}","{{type}}":{{value}}}]}]"""));
        Assert.Equal("a", request.Messages[0].Text);
        Assert.Equal(new MediaPart(type, 0, 1), Assert.Single(request.Messages[0].MediaParts));
        var refusal = request.FindLocalRefusal();
        Assert.NotNull(refusal);
        AssertFourKeys(refusal);
        Assert.Equal(
            (400, $"Invalid content type. {type} is only supported by certain models.", "messages.[0].content.[1].type", null),
            (refusal.Status, refusal.Message, refusal.Param, refusal.Code));
    }

    [Fact]
    public void A_functions_result_is_valid() =>
        Assert.Null(Accept(Conversation("""[{"role":"user","content":"a"},{"role":"function","name":"f","content":"b"}]""")).FindLocalRefusal());

    [Fact]
    public void F12_A_history_with_tool_calls_is_valid()
    {
        var request = Accept(Conversation("""
            [{"role":"user","content":"a"},
             {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
             {"role":"tool","tool_call_id":"c","content":"b"}]
            """));
        Assert.Null(request.FindLocalRefusal());
    }

    [Theory]
    [InlineData("[]", "Invalid 'messages[0].content': empty array. Expected an array with minimum length 1, but got an empty array instead.", "messages[0].content", "empty_array")]
    [InlineData("[7]", "Invalid type for 'messages[0].content[0]': expected an object, but got an integer instead.", "messages[0].content[0]", "invalid_type")]
    [InlineData("[{}]", "Missing required parameter: 'messages[0].content[0].type'.", "messages[0].content[0].type", "missing_required_parameter")]
    [InlineData("[{\"type\":\"text\"}]", "Missing required parameter: 'messages[0].content[0].text'.", "messages[0].content[0].text", "missing_required_parameter")]
    [InlineData("[{\"type\":\"text\",\"text\":1}]", "Invalid type for 'messages[0].content[0].text': expected a string, but got an integer instead.", "messages[0].content[0].text", "invalid_type")]
    [InlineData("[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"image_url\"}]", "Missing required parameter: 'messages[0].content[1].image_url'.", "messages[0].content[1].image_url", "missing_required_parameter")]
    [InlineData(
        "[{\"type\":\"image\"}]",
        "Invalid value: 'image'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'.",
        "messages[0].content[0].type",
        "invalid_value")]
    public void A_part_with_a_fault_is_refused_with_its_path(string content, string message, string param, string code) =>
        Refuse(Conversation($$"""[{"role":"user","content":{{content}}}]"""), message, param, code);

    [Theory]
    [InlineData("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"tool\",\"tool_call_id\":\"call_a\",\"content\":\"c\"}]", "messages.[2].role")]
    [InlineData("[{\"role\":\"tool\",\"tool_call_id\":\"call_a\",\"content\":\"c\"}]", "messages.[0].role")]
    public void A_tool_message_without_a_call_is_refused(string messages, string param) => Refuse(
        Conversation(messages), "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.", param, null);

    [Fact]
    public void A_tool_message_that_answers_another_call_is_refused() => Refuse(
        Conversation($$"""[{"role":"assistant","tool_calls":[{{Call}}]},{"role":"tool","tool_call_id":"call_x","content":"c"}]"""),
        "Invalid parameter: 'tool_call_id' of 'call_x' not found in 'tool_calls' of previous message.",
        "messages.[1].tool_call_id",
        null);

    [Theory]
    [InlineData(",{\"role\":\"user\",\"content\":\"x\"}", "call_a, call_b", "messages.[1].role")]
    [InlineData("", "call_a, call_b", "messages")]
    [InlineData(",{\"role\":\"tool\",\"tool_call_id\":\"call_a\",\"content\":\"c\"}", "call_b", "messages")]
    [InlineData(",{\"role\":\"tool\",\"tool_call_id\":\"call_b\",\"content\":\"c\"},{\"role\":\"user\",\"content\":\"x\"}", "call_a", "messages.[2].role")]
    public void A_call_without_an_answer_is_refused(string then, string ids, string param) => Refuse(
        Conversation($$"""[{"role":"assistant","tool_calls":[{{Call}},{{CallB}}]}{{then}}]"""),
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        + $"The following tool_call_ids did not have response messages: {ids}",
        param,
        null);

    [Fact]
    public void Calls_may_be_answered_in_any_order() => Accept(Conversation($$"""
        [{"role":"assistant","tool_calls":[{{Call}},{{CallB}}]},{"role":"tool","tool_call_id":"call_b","content":"c"},
         {"role":"tool","tool_call_id":"call_a","content":[{"type":"text","text":"d"}]},{"role":"user","content":"x"}]
        """));

    [Fact]
    public void Messages_are_bounded()
    {
        const string Message = """{"role":"user","content":"x"}""";
        Accept(Conversation($"[{string.Join(',', Enumerable.Repeat(Message, ProtocolLimits.MessagesMax))}]"));
        Assert.Equal(
            "array_above_max_length",
            Refuse(Conversation($"[{string.Join(',', Enumerable.Repeat(Message, ProtocolLimits.MessagesMax + 1))}]")).Code);
    }
}
