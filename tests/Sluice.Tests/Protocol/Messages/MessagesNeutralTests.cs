using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Messages;
using Sluice.Protocol.ServerSentEvents;
using Xunit;

namespace Sluice.Tests.Protocol.Messages;

/// <summary>Requests of the Messages API in the neutral form, written by hand by the tables of both APIs.</summary>
public sealed class MessagesNeutralTests
{
    private static readonly JsonSerializerOptions s_relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);

    private static (JsonNode? Neutral, string? Error, string? Param) Write(string members, NeutralForm? form = null)
    {
        var body = Encoding.UTF8.GetBytes($$"""{"model":"m","max_tokens":9{{(members.Length > 0 ? "," : "")}}{{members}}}""");
        var output = new EventBuffer();
        var error = MessagesDialect.Instance.WriteNeutral(body, (form ?? NeutralForm.ChatServer) with { Seal = s_seal }, output);
        return error is null ? (JsonNode.Parse(output.WrittenSpan), null, null) : (null, error.Message, error.Param);
    }

    private static string Messages(string content, NeutralForm? form = null, string more = "")
    {
        var (neutral, error, _) = Write($"\"messages\":{content}{more}", form);
        Assert.Null(error);
        return neutral!["messages"]!.ToJsonString(s_relaxed);
    }

    private const string Hi = """[{"role":"user","content":"Hi"}]""";

    [Theory]
    [InlineData("""[{"role":"user","content":"Hi"}]""", """[{"role":"user","content":"Hi"}]""")]
    [InlineData("""[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]}]""", """[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]""")]
    [InlineData("""[{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}]""", """[{"role":"user","content":"a"},{"role":"developer","content":"s"},{"role":"user","content":"b"}]""")]
    [InlineData("""[{"role":"user","content":"a"},{"role":"assistant","content":"The answer is"}]""", """[{"role":"user","content":"a"},{"role":"assistant","content":"The answer is"}]""")]
    [InlineData(
        """[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},{"type":"image","source":{"type":"url","url":"https://x"}},{"type":"document","title":"t","source":{"type":"text","media_type":"text/plain","data":"d"}},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}]}]""",
        """[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{"type":"image_url","image_url":{"url":"https://x"}},{"type":"text","text":"t\n\nd"},{"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"document.pdf"}}]}]""")]
    [InlineData(
        """[{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"text","text":"x"},{"type":"brand_new"}]}]""",
        """[{"role":"assistant","content":"x"}]""")]
    public void Content_is_translated(string messages, string expected) => Assert.Equal(expected, Messages(messages));

    [Fact]
    public void A_server_that_has_refused_thinking_gets_none_of_anybodys()
    {
        const string Body = """{"model":"m","max_tokens":9,"thinking":{"type":"adaptive"},"context_management":{"edits":[{"type":"clear_thinking_20251015"}]},"messages":[{"role":"user","content":"the word thinking"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c2ln"},{"type":"redacted_thinking","data":"x"},{"type":"tool_use","id":"t","name":"f","input":{"type": "thinking"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c2ln"}]}]}""";
        var output = new ArrayBufferWriter<byte>();
        MessagesPassedRequest.Write(Encoding.UTF8.GetBytes(Body), "m", null, NeutralForm.Translation, output, leavesOutThinking: true);
        Assert.Equal(
            """{"model":"m","max_tokens":9,"thinking":{"type":"disabled"},"messages":[{"role":"user","content":"the word thinking"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"type": "thinking"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]}]}""",
            Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    public void Door_083_the_first_block_of_Claude_Code_is_left_out() => Assert.StartsWith(
        """[{"role":"system","content":"a\n\nb"},""",
        Messages(Hi, more: ""","system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1; cch=2;"},{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}]"""), StringComparison.Ordinal);

    [Fact]
    public void Door_086_results_with_images_errors_and_nothing_are_translated()
    {
        const string Conversation =
            """
            [{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"x": 1}},{"type":"tool_use","id":"b","name":"f","input":{}},{"type":"tool_use","id":"c","name":"f","input":{}}]},
             {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"t"},{"type":"image","source":{"type":"url","url":"https://x"}}]},{"type":"tool_result","tool_use_id":"b","is_error":true},{"type":"tool_result","tool_use_id":"c"},{"type":"text","text":"And?"}]}]
            """;
        const string Calls =
            """[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},""";
        Assert.Equal(
            Calls + """{"role":"tool","tool_call_id":"a","content":"t"},{"role":"tool","tool_call_id":"b","content":"error"},{"role":"tool","tool_call_id":"c","content":""},"""
            + """{"role":"user","content":[{"type":"text","text":"[image of a]"},{"type":"image_url","image_url":{"url":"https://x"}},{"type":"text","text":"And?"}]}]""",
            Messages(Conversation));
        Assert.Equal(
            Calls + """{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"https://x"}}]},{"role":"tool","tool_call_id":"b","content":"error"},{"role":"tool","tool_call_id":"c","content":""},"""
            + """{"role":"user","content":"And?"}]""",
            Messages(Conversation, NeutralForm.Translation));
    }

    [Fact]
    public void Door_090_reasoning_comes_back_to_who_made_it_and_to_nobody_else()
    {
        string Ask(string signature) => $$"""[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"seen","signature":"{{signature}}"},{"type":"text","text":"t"}]}]""";
        string Seal(string origin, string json) => s_seal.Seal(new ReasoningBlob(origin, Encoding.UTF8.GetBytes(json)));
        const string Plain = """{"role":"assistant","content":"t"}]""";
        var own = NeutralForm.Translation with { Origin = "messages/a/m" };
        Assert.EndsWith("""{"role":"assistant","content":"t","reasoning_content":"Hm"}]""", Messages(Ask(Seal("chat/x", "\"Hm\""))), StringComparison.Ordinal);
        Assert.EndsWith("""{"role":"assistant","content":"t","sluice":{"thinking":[{"type":"thinking"}]}}]""", Messages(Ask(Seal("messages/a/m", """{"type":"thinking"}""")), own), StringComparison.Ordinal);
        Assert.EndsWith("""{"role":"assistant","content":"t","sluice":{"reasoning":[{"id":"rs"}]}}]""", Messages(Ask(Seal("responses/a", """{"id":"rs"}""")), own with { Origin = "responses/a" }), StringComparison.Ordinal);
        Assert.EndsWith(Plain, Messages(Ask(Seal("responses/a", "{}")), own), StringComparison.Ordinal);
        Assert.EndsWith(Plain, Messages(Ask("ErUBCkYIBRgCIkA-of-Anthropic"), own), StringComparison.Ordinal);
        Assert.EndsWith(Plain, Messages(Ask("slc1.broken"), own), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(""" "thinking":{"type":"enabled","budget_tokens":2000} """, "low")]
    [InlineData(""" "thinking":{"type":"enabled","budget_tokens":10000} """, "medium")]
    [InlineData(""" "thinking":{"type":"enabled","budget_tokens":30000} """, "high")]
    [InlineData(""" "thinking":{"type":"adaptive"} """, null)]
    [InlineData(""" "thinking":{"type":"disabled"} """, "none")]
    [InlineData(""" "thinking":{"type":"adaptive"},"output_config":{"effort":"max"} """, "max")]
    public void Door_088_thinking_is_an_effort(string members, string? effort) =>
        Assert.Equal(effort, (string?)Write($"\"messages\":{Hi},{members}").Neutral!["reasoning_effort"]);

    [Fact]
    public void Tools_choices_and_parameters_are_translated()
    {
        var neutral = Write(
            $$$$"""
            "messages":{{{{Hi}}}},"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}},"strict":true,"cache_control":{"type":"ephemeral"}},{"type":"custom","name":"g","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],
            "tool_choice":{"type":"tool","name":"g","disable_parallel_tool_use":true},"stop_sequences":["a","b"],"temperature":0.5,"top_p":0.9,"top_k":4,"metadata":{"user_id":"u"},
            "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},"context_management":{"edits":[]},"service_tier":"auto","container":"c","betas":["x"]
            """).Neutral!.AsObject();
        neutral.Remove("messages");
        Assert.Equal(
            """{"model":"m","max_tokens":9,"stream":true,"temperature":0.5,"top_p":0.9,"top_k":4,"stop":["a","b"],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":true}},{"type":"function","function":{"name":"g","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"g"}},"parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":{"name":"output","strict":true,"schema":{"type":"object"}}},"user":"u"}""",
            neutral.ToJsonString());
    }

    [Theory]
    [InlineData("", "messages", "Missing required parameter: 'messages'.")]
    [InlineData("\"messages\":[]", "messages", "empty array")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"\"}]", "messages", "at least one message")]
    [InlineData("\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]", "messages.0.role", "'user', 'assistant', and 'system'")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "messages.0.content.0.text", "Missing")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}]}]", "messages.0.content.0.source.type", "'base64' and 'url'")]
    [InlineData("\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}]}]", "messages.0", "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the next message.")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\"}]}]", "messages.0.content.0", "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1.")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":0", "max_tokens", ">= 1")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"mcp_servers\":[{}]", "mcp_servers", "mcp_servers")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":1.5", "temperature", "<= 1")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]", "tools.0.type", "input_schema")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"web_search_1\",\"name\":\"w\"}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"w\"}", "tool_choice.name", "Anthropic's servers")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"web_search_1\",\"name\":\"w\"}],\"tool_choice\":{\"type\":\"any\"}", "tool_choice", "'any'")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stop_sequences\":[1]", "stop_sequences.0", "a string")]
    [InlineData("\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"output_config\":{\"effort\":\"huge\"}", "output_config.effort", "'low'")]
    public void Errors_name_their_field(string members, string param, string words)
    {
        var (_, error, path) = Write(members);
        Assert.Equal(param, path);
        Assert.Contains(words, error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_that_needs_a_limit_of_tokens_says_so()
    {
        var error = MessagesDialect.Instance.WriteNeutral(Encoding.UTF8.GetBytes($$$"""{"model":"m","messages":{{{Hi}}}}"""), NeutralForm.Engine, new EventBuffer());
        Assert.Equal(("max_tokens", 400), (error?.Param, error?.Status));
    }

    [Fact]
    public void Door_082_a_request_to_the_same_API_keeps_every_byte_but_the_models_name()
    {
        const string Body = """{ "model" : "m", "max_tokens":9,"brand_new": [1.0],"messages":[{"role":"user","content":[{"type":"text","text":"\u00fc","cache_control":{}}]}] ,"stream":true}""";
        var output = new EventBuffer();
        MessagesPassedRequest.Write(Encoding.UTF8.GetBytes(Body), "claude-x", isStream: true, NeutralForm.Translation with { Seal = s_seal }, output);
        Assert.Equal(Body.Replace("\"m\"", "\"claude-x\"", StringComparison.Ordinal), Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    public void A_seal_in_a_request_to_the_same_API_becomes_its_block_or_goes_with_it()
    {
        const string Block = """{"type":"thinking", "thinking":"x","signature":"c2ln"}""";
        var (own, other) = (s_seal.Seal(new ReasoningBlob("messages/a", Encoding.UTF8.GetBytes(Block))), s_seal.Seal(new ReasoningBlob("chat/a", "\"x\""u8.ToArray())));
        string Ask(string first, string second) => $$"""{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{{first}}{{second}}{"type":"text","text":"t"}]}]}""";
        string Thinking(string signature) => $$"""{"type":"thinking","thinking":"","signature":"{{signature}}"},""";
        var output = new EventBuffer();
        MessagesPassedRequest.Write(Encoding.UTF8.GetBytes(Ask(Thinking(own), Thinking(other))), "m", null, NeutralForm.Translation with { Seal = s_seal, Origin = "messages/a" }, output);
        Assert.Equal(Ask(Block + ",", ""), Encoding.UTF8.GetString(output.WrittenSpan));
        // Nothing but a block of another: the message goes too.
        output.Clear();
        var only = $$"""{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{{Thinking(other).TrimEnd(',')}}]}]}""";
        MessagesPassedRequest.Write(Encoding.UTF8.GetBytes(only), "m", null, NeutralForm.Translation with { Seal = s_seal, Origin = "messages/a" }, output);
        Assert.Equal("""{"model":"m","messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8.GetString(output.WrittenSpan));
    }
}
