using System.Text;
using System.Text.Json.Nodes;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.ConformanceTests;

/// <summary>
/// A model behind Anthropic's API, asked with OpenAI's SDKs. What the hub sends is held to the types of Anthropic's own SDK, and what
/// it answers to what that SDK makes of the same events.
/// </summary>
public sealed class AnthropicSdkTests
{
    private static readonly Func<UpstreamReply, Task> s_answer = Events(
    [
        Start(",\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":3"),
        Block(0, """{"type":"thinking","thinking":"","signature":""}"""),
        Delta(0, """{"type":"thinking_delta","thinking":"The user wants "}"""), Delta(0, """{"type":"thinking_delta","thinking":"the weather."}"""),
        Delta(0, """{"type":"signature_delta","signature":"c2lnbmVk"}"""), End(0),
        .. TextBlock(1, "Let me", " see."),
        .. ToolBlock(2, "toolu_1", "get_weather", "", "{\\\"city\\\":", " \\\"Paris\\\"}"),
        .. ToolBlock(3, "toolu_2", "get_time", ""),
        Finish("tool_use", ",\"output_tokens_details\":{\"thinking_tokens\":4}"), Stop,
    ]);

    // One of each thing that is translated.
    private static readonly string[] s_requests =
    [
        """{"messages":[{"role":"user","content":"Hi"}]}""",
        """
        {"messages":[{"role":"system","content":"Be brief."},{"role":"developer","content":[{"type":"text","text":"And kind.","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":[
          {"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},
          {"type":"image_url","image_url":{"url":"https://example.com/a.png"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0=","filename":"a.pdf"}}]}],
         "max_completion_tokens":50,"temperature":1.5,"top_p":0.9,"top_k":5,"stop":["END"],"user":"u-1","metadata":{"a":"b"},"seed":1}
        """,
        """
        {"messages":[{"role":"user","content":"Weather?"},
          {"role":"assistant","content":"I look.","sluice":{"thinking":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"}]},
           "tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"call_2","type":"function","function":{"name":"f","arguments":""}}]},
          {"role":"tool","tool_call_id":"call_1","content":"sunny"},{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"rain"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},
          {"role":"user","content":"And?"}],
         "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false},"strict":true}},
          {"type":"function","function":{"name":"g"},"cache_control":{"type":"ephemeral"}}],
         "tool_choice":"required","parallel_tool_calls":false}
        """,
        """{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}}""",
        """{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"}""",
        """
        {"messages":[{"role":"user","content":"x"}],"reasoning_effort":"high",
         "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}}
        """,
        """{"messages":[{"role":"user","content":"x"}],"reasoning_effort":"none"}""",
        """{"messages":[{"role":"user","content":"x"}],"thinking":{"type":"enabled","budget_tokens":2048},"max_tokens":4096,"inference_geo":"us"}""",
    ];

    private static Task<TestHub> StartAsync(ScriptedUpstream upstream, string more = "") =>
        TestHub.StartConfiguredAsync($"  - id: claude-x\n    retries: 0\n    upstreams: [{{kind: anthropic, url: \"{upstream.Url}\", api_key: sk-ant-0123456789{more}}}]\n");

    [Theory]
    [InlineData("adaptive")]
    [InlineData("budget")]
    public async Task Its_own_SDK_takes_what_is_sent(string thinking)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await StartAsync(upstream, $", thinking: {thinking}");
        using var client = new ApiClient(hub);
        foreach (var request in s_requests)
        {
            var body = JsonNode.Parse(request)!;
            body["model"] = hub.Model;
            using var http = new HttpClient();
            using var response = await http.PostAsync(
                new Uri(hub.Address, ApiClient.ChatPath), new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllLinesAsync(file, upstream.Calls.Select(call => call.Body), TestContext.Current.CancellationToken);
            Assert.Equal($"{s_requests.Length}", (await ClientProcess.PythonAsync(hub, "messages_requests.py", file)).Trim());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task F_Python_reads_what_its_own_SDK_reads_and_sends_it_back()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_answer);
        await using var hub = await StartAsync(upstream);
        await ClientProcess.PythonAsync(hub, "messages_answers.py", upstream.Root);
        var messages = JsonNode.Parse(upstream.Calls[^1].Body)!["messages"]!.AsArray();
        Assert.Equal(["user", "assistant", "user"], messages.Select(message => (string?)message!["role"]));
        Assert.Equal(["thinking", "text", "tool_use", "tool_use"], messages[1]!["content"]!.AsArray().Select(block => (string?)block!["type"]));
        Assert.Equal("c2lnbmVk", (string?)messages[1]!["content"]![0]!["signature"]);
        Assert.Equal(["toolu_1", "toolu_2"], messages[2]!["content"]!.AsArray().Select(block => (string?)block!["tool_use_id"]));
    }

    [Fact]
    public async Task F_Node_reads_thinking_text_and_calls()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_answer);
        await using var hub = await StartAsync(upstream);
        await ClientProcess.NodeAsync(hub, "messages-answers.mjs");
    }
}
