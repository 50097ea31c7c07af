using System.ClientModel;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests.Clients;

/// <summary>The official SDKs for Python and Node and curl, whichever model is behind the hub. The scripts have the assertions.</summary>
public abstract class ProcessClientTests(HubFixture fixture)
{
    protected TestHub Hub => fixture.Hub;

    protected ApiClient Client => fixture.Client;

    [Fact]
    public Task Python_reads_answers() => ClientProcess.PythonAsync(Hub, "answers.py", "Name three colours.");

    [Fact]
    public Task Node_reads_answers() => ClientProcess.NodeAsync(Hub, "answers.mjs", "Name three colours.");

    [Fact]
    public Task R09_Python_leaves_by_with_and_break() => LeaveAsync(() => ClientProcess.StartPythonAsync(Hub, "leave.py", Long()));

    [Theory]
    [InlineData("break")]
    [InlineData("abort")]
    public Task R09_Node_leaves(string way) => LeaveAsync(() => ClientProcess.StartNodeAsync(Hub, "leave.mjs", Long(), way));

    [Fact]
    public async Task Curl_gets_the_bytes()
    {
        var body = await ClientProcess.CurlAsync(Hub, Client.Chat("Hello", "\"stream\":true,\"max_tokens\":8,\"seed\":1"));
        Assert.Equal((await Client.StreamAsync("Hello", "\"max_tokens\":8,\"seed\":1")).Content(), ChatStream.Parse(body).Content());
    }

    [Fact]
    public async Task R09_Curl_is_killed_in_mid_stream()
    {
        using var curl = ClientProcess.StartCurl(Hub, Client.Chat(Long(), "\"stream\":true"));
        Assert.StartsWith("data: {", await curl.StandardOutput.ReadLineAsync(), StringComparison.Ordinal);
        Assert.Equal(1, Hub.ActiveCount);
        curl.Kill();
        await Hub.WhenIdleAsync();
    }

    private async Task LeaveAsync(Func<Task<System.Diagnostics.Process>> start)
    {
        var complaints = Hub.Complaints.Count;
        using var process = await start();
        try
        {
            Assert.Equal("left", await process.StandardOutput.ReadLineAsync());
            await Hub.WhenIdleAsync();
            Assert.False(process.HasExited);
            Assert.Equal(complaints, Hub.Complaints.Count);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    private string Long()
    {
        if (Hub.IsScripted) Hub.Scripts["forever"] = new Script().Say(" one two").Delay(TimeSpan.FromMilliseconds(1)).Say(" three").Forever();
        return Hub.IsScripted ? "forever" : "Write a very long story about the sea.";
    }
}

/// <summary>Tool calls, as the SDKs read and answer them, with the model that knows nothing of tools.</summary>
[Collection(DefaultModelCollection.Name)]
public sealed class ToolClientTests(DefaultModelHub fixture)
{
    [Fact]
    public Task F08_Python_calls_tools() => ClientProcess.PythonAsync(fixture.Hub, "tools.py", "What's the weather in Berlin?");

    [Fact]
    public Task F08_Node_calls_tools() => ClientProcess.NodeAsync(fixture.Hub, "tools.mjs", "What's the weather in Berlin?");

    [Fact]
    public Task F08_LangChain_calls_tools() => ClientProcess.NodeAsync(fixture.Hub, "langchain.mjs", "What's the weather in Berlin?");

    [Fact]
    public async Task F08_DotNet_streams_tool_updates()
    {
        var tool = ChatTool.CreateFunctionTool(
            "get_weather", "Get current weather for a location",
            BinaryData.FromString("""{"type":"object","properties":{"location":{"type":"string"}},"required":["location"]}"""));
        var client = new ChatClient(
            fixture.Hub.Model, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(fixture.Hub.Address, "v1") });
        var options = new ChatCompletionOptions { Tools = { tool }, Temperature = 0, MaxOutputTokenCount = 100 };
        var (arguments, id, name) = (new StringBuilder(), "", "");
        ChatFinishReason? finish = null;
        await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage("What's the weather in Berlin?")], options))
        {
            finish ??= update.FinishReason;
            foreach (var call in update.ToolCallUpdates)
            {
                Assert.Equal(0, call.Index);
                id += call.ToolCallId;
                name += call.FunctionName;
                arguments.Append(call.FunctionArgumentsUpdate);
            }
        }

        Assert.Equal((ChatFinishReason.ToolCalls, "get_weather"), (finish, name));
        Assert.Equal("Berlin", Json.Parse(arguments.ToString()).Text("location"));
        ChatCompletion completion = await client.CompleteChatAsync(
            [
                new UserChatMessage("What's the weather in Berlin?"),
                new AssistantChatMessage([ChatToolCall.CreateFunctionToolCall(id, name, BinaryData.FromString(arguments.ToString()))]),
                new ToolChatMessage(id, "18 degrees and sunny"),
            ],
            options);
        Assert.NotEqual("", Assert.Single(completion.Content).Text);
        Assert.Empty(completion.ToolCalls);
    }
}

public sealed class ScriptedProcessClientTests(ScriptedHub fixture) : ProcessClientTests(fixture), IClassFixture<ScriptedHub>
{
    [Fact]
    public Task R01_Python_raises() => FailAsync(closed => ClientProcess.PythonAsync(Hub, "failures.py", closed));

    [Fact]
    public Task R01_Node_raises() => FailAsync(closed => ClientProcess.NodeAsync(Hub, "failures.mjs", closed));

    [Fact]
    public Task R02_The_Vercel_SDK_gives_an_error_part() => FailAsync(closed => ClientProcess.NodeAsync(Hub, "other-sdks.mjs", closed));

    [Fact]
    public Task T10_Python_waits() => WaitAsync(hub => ClientProcess.PythonAsync(hub, "patience.py"));

    [Fact]
    public Task T10_Node_waits() => WaitAsync(hub => ClientProcess.NodeAsync(hub, "patience.mjs"));

    [Fact]
    public async Task Automatic_retries_of_Python_begin_no_second_generation()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await Task.Delay(1_500, reply.Aborted);
            await ScriptedUpstream.Says("late")(reply);
        });
        var limits = new Limits { UnseenGrace = TimeSpan.FromSeconds(60), Adoptable = TimeSpan.FromSeconds(60) };
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: m, retries: 0, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n", new TestHubOptions { Limits = limits });
        await ClientProcess.PythonAsync(hub, "adopt.py");
        Assert.Equal(3, upstream.Calls.Count);
    }

    [Fact]
    public async Task R08_Nobody_is_there()
    {
        var hub = await TestHub.StartScriptedAsync();
        await hub.DisposeAsync();
        await ClientProcess.PythonAsync(hub, "nobody.py");
        await ClientProcess.NodeAsync(hub, "nobody.mjs");
    }

    private async Task FailAsync(Func<string, Task<string>> run)
    {
        Hub.Scripts["fails"] = new Script().Say(" one two three").Throw();
        Hub.Scripts["fails at once"] = new Script().Throw();
        await using var closed = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = ["sk-right"] });
        await run(new Uri(closed.Address, "v1").ToString());
    }

    private static async Task WaitAsync(Func<TestHub, Task> run)
    {
        var limits = new Limits { HeadersHeld = TimeSpan.FromMilliseconds(20), HeartbeatInterval = TimeSpan.FromMilliseconds(20) };
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Limits = limits });
        hub.Scripts["silent"] = new Script().Delay(TimeSpan.FromMilliseconds(500)).Say("Hello world");
        await run(hub);
    }
}

[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelProcessClientTests(DefaultModelHub fixture) : ProcessClientTests(fixture)
{
    [Fact]
    public Task Door_110_to_114_Python_completes_texts() => ClientProcess.PythonAsync(Hub, "completions.py");
}
