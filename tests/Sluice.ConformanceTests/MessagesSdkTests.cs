using System.Text.Json.Nodes;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.ConformanceTests;

/// <summary>Anthropic's own SDK at <c>/v1/messages</c>: over the local engine, a chat upstream, and an upstream of Anthropic's.</summary>
public sealed class MessagesSdkTests
{
    private static readonly Func<UpstreamReply, Task> s_messages = Events(
    [
        Start(), Block(0, """{"type":"thinking","thinking":"","signature":""}"""), Delta(0, """{"type":"thinking_delta","thinking":"Hm"}"""),
        Delta(0, """{"type":"signature_delta","signature":"c2lnbmVk"}"""), End(0),
        .. TextBlock(1, "Let me", " see."), .. ToolBlock(2, "toolu_1", "get_weather", "", "{\\\"city\\\":", " \\\"Paris\\\"}"), .. ToolBlock(3, "toolu_2", "get_time", ""),
        Finish("tool_use"), Stop,
    ]);

    private static readonly Func<UpstreamReply, Task> s_chat = ScriptedUpstream.Frames(
        ScriptedUpstream.Role(), Piece("""{"reasoning_content":"Hm"}"""), ScriptedUpstream.Text("Let me see."),
        Piece("""{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]}"""), Piece("""{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"Paris\"}"}}]}"""),
        Piece("""{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"get_time","arguments":"{}"}}]}"""), ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage());

    private static string Piece(string delta) => ScriptedUpstream.Chunk($$$"""{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":null}""");

    private static Task<TestHub> StartAsync(ScriptedUpstream upstream, string kind) =>
        TestHub.StartConfiguredAsync($"  - id: claude-x\n    retries: 0\n    rescue: off\n    upstreams: [{{kind: {kind}, url: \"{upstream.Url}\", api_key: sk-ant-0123456789}}]\n");

    private static async Task RunAsync(TestHub hub, params string[] arguments) =>
        await ClientProcess.PythonAsync(hub, "messages_door.py", [hub.Address.ToString().TrimEnd('/'), .. arguments]);

    [Fact]
    public async Task Door_070_071_Python_reads_the_local_engine_streamed_and_whole()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(" one two three");
        await RunAsync(hub, "local");
    }

    [Fact]
    public async Task Door_072_Python_reads_thinking_text_and_calls_of_a_chat_upstream_and_sends_them_back()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_chat);
        await using var hub = await StartAsync(upstream, "openai");
        await RunAsync(hub, "calls");
        var messages = JsonNode.Parse(upstream.Calls[^1].Body)!["messages"]!.AsArray();
        Assert.Equal(["user", "assistant", "tool", "tool"], messages.Select(message => (string?)message!["role"]));
        Assert.Equal(("Hm", "Let me see."), ((string?)messages[1]!["reasoning_content"], (string?)messages[1]!["content"]));
        Assert.Equal("data:image/png;base64,iVBORw0KGgo=", (string?)messages[0]!["content"]![0]!["image_url"]!["url"]);
    }

    [Fact]
    public async Task Door_082_Python_reads_Anthropics_own_events_and_sends_its_signature_back()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_messages);
        await using var hub = await StartAsync(upstream, "anthropic");
        await RunAsync(hub, "calls");
        var messages = JsonNode.Parse(upstream.Calls[^1].Body)!["messages"]!.AsArray();
        Assert.Equal("c2lnbmVk", (string?)messages[1]!["content"]![0]!["signature"]);
    }

    [Theory]
    [InlineData("anthropic")]
    [InlineData("openai")]
    public async Task Door_080_Python_raises_where_an_answer_breaks_off(string kind)
    {
        Func<UpstreamReply, Task> answer = kind == "openai"
            ? async reply =>
            {
                foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("x")]) await reply.EventAsync(frame);
                await reply.CutAsync();
            }
        : Events(Start(), Block(0, """{"type":"text","text":""}"""), Text("x"), Error("overloaded_error", "Overloaded"));
        await using var upstream = await ScriptedUpstream.StartAsync(answer);
        await using var hub = await StartAsync(upstream, kind);
        await RunAsync(hub, "broken", kind == "openai" ? "api_error" : "overloaded_error");
    }

    [Theory]
    [InlineData(429, "rate_limit_error", "RateLimitError")]
    [InlineData(529, "overloaded_error", "InternalServerError")]
    [InlineData(400, "invalid_request_error", "BadRequestError")]
    [InlineData(413, "request_too_large", "RequestTooLargeError")]
    public async Task Door_081_Python_raises_the_class_of_an_error(int status, string type, string expected)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(status, Error(type, "No")));
        await using var hub = await StartAsync(upstream, "anthropic");
        await RunAsync(hub, "refused", expected);
    }
}
