using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using OpenAI;
using OpenAI.Chat;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The official .NET SDK, through the hub, in front of an upstream with a script.</summary>
public sealed class UpstreamSdkTests
{
    private static async Task<(WebApplication Hub, ChatClient Client)> StartAsync(ScriptedUpstream upstream)
    {
        var options = ConfigurationFile.Parse($"listen: http://127.0.0.1:0\nmodels:\n  - id: m\n    retries: 0\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n", "sluice.yaml", _ => null);
        var hub = SluiceServer.CreateApplication(options, ModelCatalog.Create(options, []), builder => builder.Logging.ClearProviders());
        await hub.StartAsync();
        var client = new ChatClient("m", new ApiKeyCredential("client"), new OpenAIClientOptions
        {
            Endpoint = new Uri(hub.Urls.First() + "/v1"),
            RetryPolicy = new ClientRetryPolicy(2),
        });
        return (hub, client);
    }

    [Fact]
    public async Task A_stream_of_a_quirky_upstream_reads_like_OpenAIs()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            """{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}""",
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":""}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"role":"assistant","content":"lo","tool_calls":[]},"finish_reason":""}"""),
            """{"id":"up-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"role":"","content":""},"finish_reason":"eos"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"""));
        var (hub, client) = await StartAsync(upstream);
        await using var _ = hub;
        var text = new StringBuilder();
        var roles = 0;
        ChatFinishReason? finish = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in client.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Hi")]))
        {
            foreach (var part in update.ContentUpdate) text.Append(part.Text);
            if (update.Role is not null) roles++;
            finish = update.FinishReason ?? finish;
            usage = update.Usage ?? usage;
        }
        Assert.Equal(("Hello", 1, ChatFinishReason.Stop, 3), (text.ToString(), roles, finish, usage?.OutputTokenCount));
    }

    [Fact]
    public async Task Tool_calls_arrive_whole_in_both_kinds_of_reply()
    {
        var script = ScriptedUpstream.Frames(
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":null}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":null,"function":{"arguments":"1}"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Finish());
        await using var upstream = await ScriptedUpstream.StartAsync(script);
        var (hub, client) = await StartAsync(upstream);
        await using var _ = hub;
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("f"), ChatTool.CreateFunctionTool("g") } };
        var calls = new SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)>();
        await foreach (var update in client.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Hi")], options))
        {
            foreach (var fragment in update.ToolCallUpdates)
            {
                if (!calls.ContainsKey(fragment.Index)) calls[fragment.Index] = (fragment.ToolCallId, fragment.FunctionName, new StringBuilder());
                calls[fragment.Index].Arguments.Append(fragment.FunctionArgumentsUpdate?.ToString());
            }
        }
        Assert.Equal(["0 a f {\"x\":1}", "1 b g {}"], calls.Select(call => $"{call.Key} {call.Value.Id} {call.Value.Name} {call.Value.Arguments}"));

        ChatCompletion whole = await client.CompleteChatAsync([ChatMessage.CreateUserMessage("Hi")], options);
        Assert.Equal(ChatFinishReason.ToolCalls, whole.FinishReason);
        Assert.Equal(["a f {\"x\":1}", "b g {}"], whole.ToolCalls.Select(call => $"{call.Id} {call.FunctionName} {call.FunctionArguments}"));
    }

    [Fact]
    public async Task R01_a_stream_that_breaks_off_raises()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
        });
        var (hub, client) = await StartAsync(upstream);
        await using var _ = hub;
        var text = "";
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in client.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Hi")])) text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        });
        Assert.Equal("a", text);
    }

    [Fact]
    public async Task R04_the_SDK_retries_a_429_and_then_raises_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(429, """{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}""", ("retry-after", "0")));
        var (hub, client) = await StartAsync(upstream);
        await using var _ = hub;
        var error = await Assert.ThrowsAsync<ClientResultException>(() => client.CompleteChatAsync([ChatMessage.CreateUserMessage("Hi")]));
        Assert.Equal(429, error.Status);
        Assert.Equal(3, upstream.Calls.Count);
    }
}
