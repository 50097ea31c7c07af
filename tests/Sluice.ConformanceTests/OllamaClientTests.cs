using System.Text.Json.Nodes;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Ollama's own client and LangChain's at <c>/api</c>: over the local engine, a chat upstream, and a local model for vectors.</summary>
public sealed class OllamaClientTests
{
    private static readonly Func<UpstreamReply, Task> s_chat = ScriptedUpstream.Frames(
        ScriptedUpstream.Role(), Piece("""{"reasoning_content":"Hm"}"""), ScriptedUpstream.Text("Let me see."),
        Piece("""{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]}"""), Piece("""{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"Paris\"}"}}]}"""),
        Piece("""{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"get_time","arguments":"{}"}}]}"""), ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage());

    private static string Piece(string delta) => ScriptedUpstream.Chunk($$$"""{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":null}""");

    private static Task<TestHub> StartAsync(ScriptedUpstream upstream) =>
        TestHub.StartConfiguredAsync($"  - id: remote\n    retries: 0\n    rescue: off\n    upstreams: [{{url: \"{upstream.Url}\", api_key: sk-0123456789}}]\n");

    private static Task<string> RunAsync(TestHub hub, string what, string? model = null) =>
        ClientProcess.NodeAsync(hub, "ollama.mjs", what, hub.Address.ToString().TrimEnd('/'), model ?? hub.Model);

    [Fact]
    public async Task Its_client_talks_with_the_local_engine()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(" one two three");
        await RunAsync(hub, "local");
    }

    [Fact]
    public async Task Its_client_reads_thinking_and_calls_of_an_upstream_and_sends_results_back()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_chat);
        await using var hub = await StartAsync(upstream);
        await RunAsync(hub, "calls", "remote");
        var first = JsonNode.Parse(upstream.Calls[0].Body)!;
        Assert.Equal("data:image/png;base64,iVBORw0KGgo=", (string?)first["messages"]![0]!["content"]![1]!["image_url"]!["url"]);
        var second = JsonNode.Parse(upstream.Calls[1].Body)!;
        var messages = second["messages"]!.AsArray();
        Assert.Equal(["user", "assistant", "tool", "tool"], messages.Select(message => (string?)message!["role"]));
        Assert.Equal(("Hm", "{\"city\":\"Paris\"}"), ((string?)messages[1]!["reasoning_content"], (string?)messages[1]!["tool_calls"]![0]!["function"]!["arguments"]));
        Assert.Equal(("call_2", "call_1"), ((string?)messages[2]!["tool_call_id"], (string?)messages[3]!["tool_call_id"]));
        Assert.Equal(("json_schema", "END", 0), ((string?)second["response_format"]!["type"], (string?)second["stop"]![0], (int)second["temperature"]!));
    }

    [Fact]
    public async Task LangChain_reads_calls()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(s_chat);
        await using var hub = await StartAsync(upstream);
        await RunAsync(hub, "langchain", "remote");
    }

    [Fact]
    public async Task Its_client_raises_where_an_answer_breaks_off()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("x")]) await reply.EventAsync(frame);
            await reply.CutAsync();
        });
        await using var hub = await StartAsync(upstream);
        await RunAsync(hub, "errors", "remote");
    }

    [Fact]
    public async Task What_its_client_aborts_stops()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["endless"] = new Script().Delay(TimeSpan.FromMilliseconds(1)).Say(" one").Forever();
        await RunAsync(hub, "abort");
        await hub.WhenIdleAsync();
    }

    [Fact]
    public async Task Its_client_gets_vectors_of_a_local_model()
    {
        var path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"sluice-{Guid.NewGuid():N}.gguf");
        await File.WriteAllBytesAsync(path, TinyArchitectures.Get("bert").ToArray(), TestContext.Current.CancellationToken);
        try
        {
            await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: vectors, gguf: {path}}}\n");
            await RunAsync(hub, "embed", "vectors");
        }
        finally
        {
            File.Delete(path);
        }
    }
}
