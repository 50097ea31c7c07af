using System.Text;
using System.Text.Json.Nodes;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.ConformanceTests;

/// <summary>Models behind the Responses API: the hub's requests and answers, held to OpenAI's own SDK on both sides.</summary>
public sealed class ResponsesSdkTests
{
    private static readonly string s_output = string.Join(
        ',', ReasoningItem(0, "The user wants the weather."), MessageItem(1, "Let me see."), CallItem(2, "call_1", "get_weather", "{\\\"city\\\": \\\"Paris\\\"}"), CallItem(3, "call_2", "get_time", "{}"));

    private static readonly Func<UpstreamReply, Task> s_answer = Events(
    [
        .. Start(), .. Reasoning(0, "The user wants ", "the weather."), .. Message(1, "Let me", " see."),
        .. CallOf(2, "call_1", "get_weather", "{\\\"city\\\":", " \\\"Paris\\\"}"), .. CallOf(3, "call_2", "get_time", "{}"), Completed(s_output),
    ]);

    // One of each thing that is translated.
    private static readonly string[] s_requests =
    [
        """{"messages":[{"role":"user","content":"Hi"}]}""",
        """
        {"messages":[{"role":"system","content":"Be brief."},{"role":"developer","content":[{"type":"text","text":"And kind."}]},{"role":"user","content":[
          {"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},
          {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0=","filename":"a.pdf"}}]}],
         "max_completion_tokens":50,"temperature":1.5,"top_p":0.9,"stop":["END"],"user":"u-1","metadata":{"a":"b"},"seed":1,"prompt_cache_key":"k","verbosity":"low"}
        """,
        """
        {"messages":[{"role":"user","content":"Weather?"},
          {"role":"assistant","content":"I look.","sluice":{"reasoning":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"ZW5j"}]},
           "tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"call_2","type":"custom","custom":{"name":"c","input":"ls"}}]},
          {"role":"tool","tool_call_id":"call_1","content":"sunny"},{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"rain"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},
          {"role":"user","content":"And?"}],
         "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false},"strict":true}},
          {"type":"function","function":{"name":"g"}},{"type":"custom","custom":{"name":"c","description":"d","format":{"type":"grammar","grammar":{"syntax":"regex","definition":"a+"}}}}],
         "tool_choice":"required","parallel_tool_calls":false}
        """,
        """{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}}""",
        """
        {"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],
         "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}}
        """,
        """
        {"messages":[{"role":"user","content":"x"}],"reasoning_effort":"high","reasoning":{"summary":"auto"},"logprobs":true,"top_logprobs":2,
         "response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}}
        """,
    ];

    private static Task<TestHub> StartAsync(ScriptedUpstream upstream) =>
        TestHub.StartConfiguredAsync($"  - id: gpt-x\n    retries: 0\n    upstreams: [{{kind: responses, url: \"{upstream.Url}\", api_key: sk-up-0123456789}}]\n");

    [Fact]
    public async Task The_SDK_takes_what_is_sent()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("x"));
        await using var hub = await StartAsync(upstream);
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
            Assert.Equal($"{s_requests.Length}", (await ClientProcess.PythonAsync(hub, "responses_requests.py", file)).Trim());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Python_reads_through_the_hub_what_it_reads_from_the_upstream_and_sends_it_back()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_answer);
        await using var hub = await StartAsync(upstream);
        await ClientProcess.PythonAsync(hub, "responses_answers.py", upstream.Url);
        var input = JsonNode.Parse(upstream.Calls[^1].Body)!["input"]!.AsArray();
        Assert.Equal(
            ["message", "reasoning", "message", "function_call", "function_call", "function_call_output", "function_call_output"], input.Select(item => (string?)item!["type"]));
        Assert.Equal(ReasoningItem(0, "The user wants the weather."), input[1]!.ToJsonString());
    }
}
