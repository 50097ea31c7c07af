using System.ClientModel;
using System.Text.Json.Nodes;
using OpenAI.Responses;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;

#pragma warning disable OPENAI001 // The SDK calls this part of itself experimental; the API is not.

namespace Sluice.ConformanceTests.Clients;

/// <summary>Clients that speak Responses or Messages, each with a tool in a loop, over an upstream of every kind. The script has the assertions.</summary>
public sealed class DoorClientTests
{
    private const string Result = "sunny-18";
    private const string Arguments = """{\"city\":\"Paris\"}""";

    [Theory]
    [InlineData("openai")]
    [InlineData("anthropic")]
    [InlineData("vercel")]
    [InlineData("langchain")]
    [InlineData("agents")]
    public async Task A_loop_with_a_tool_comes_to_its_end_and_reasoning_goes_back(string client)
    {
        await using var chat = await ScriptedUpstream.StartAsync(reply => AnswerAsync(reply, s_chat));
        await using var responses = await ScriptedUpstream.StartAsync(reply => AnswerAsync(reply, s_responses));
        await using var messages = await ScriptedUpstream.StartAsync(reply => AnswerAsync(reply, s_messages));
        await using var hub = await StartAsync(chat, responses, messages);
        await ClientProcess.NodeAsync(hub, "doors.mjs", client, "chat-x", "responses-x", "messages-x");
        // Whoever gives reasoning back at all has it given to its producer as it was.
        if (client == "langchain") return;
        Assert.Contains(responses.Calls, call => call.Body.Contains("\"encrypted_content\":\"ZW5j\"", StringComparison.Ordinal));
        Assert.Contains(messages.Calls, call => call.Body.Contains("\"signature\":\"c2lnbmVk\"", StringComparison.Ordinal));
        Assert.Contains(chat.Calls, call => call.Body.Contains("\"reasoning_content\":\"Hm\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("chat-x")]
    [InlineData("responses-x")]
    [InlineData("messages-x")]
    public async Task DotNet_calls_a_tool_and_goes_on_from_the_response(string model)
    {
        await using var chat = await ScriptedUpstream.StartAsync(reply => AnswerAsync(reply, s_chat));
        await using var responses = await ScriptedUpstream.StartAsync(reply => AnswerAsync(reply, s_responses));
        await using var messages = await ScriptedUpstream.StartAsync(reply => AnswerAsync(reply, s_messages));
        await using var hub = await StartAsync(chat, responses, messages);
        var client = new ResponsesClient(new ApiKeyCredential("none"), new ResponsesClientOptions { Endpoint = new Uri(hub.Address, "v1") });
        var parameters = BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}""");
        CreateResponseOptions Ask(bool isStream, params ResponseItem[] items)
        {
            var options = new CreateResponseOptions { Model = model, StreamingEnabled = isStream, Tools = { ResponseTool.CreateFunctionTool("get_weather", parameters, strictModeEnabled: true) } };
            foreach (var item in items) options.InputItems.Add(item);
            return options;
        }

        var (text, types, last) = ("", new List<string>(), default(ResponseResult));
        await foreach (var update in await client.CreateResponseStreamingAsync(Ask(isStream: true, ResponseItem.CreateUserMessageItem("Weather in Paris?"))))
        {
            types.Add(update.GetType().Name);
            if (update is StreamingResponseOutputTextDeltaUpdate piece) text += piece.Delta;
            if (update is StreamingResponseCompletedUpdate completed) last = completed.Response;
        }
        Assert.Equal("Let me see.", text);
        Assert.True(last!.OutputItems is [ReasoningResponseItem, MessageResponseItem, FunctionCallResponseItem]);
        var call = (FunctionCallResponseItem)last.OutputItems[2];
        Assert.Equal(("get_weather", "Paris"), (call.FunctionName, (string?)JsonNode.Parse(call.FunctionArguments)!["city"]));

        var next = Ask(isStream: false, ResponseItem.CreateFunctionCallOutputItem(call.CallId, Result));
        next.PreviousResponseId = last.Id;
        ResponseResult answer = await client.CreateResponseAsync(next);
        Assert.Equal("It is sunny.", answer.GetOutputText());
        Assert.True(answer.Usage.TotalTokenCount > 0);
    }

    private static readonly (Func<UpstreamReply, Task> Calls, Func<UpstreamReply, Task> Says) s_chat = (
        ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), Piece("\"reasoning_content\":\"Hm\""), ScriptedUpstream.Text("Let me see."),
            Piece($"\"tool_calls\":[{{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{{\"name\":\"get_weather\",\"arguments\":\"{Arguments}\"}}}}]"), ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage()),
        ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Text("It is sunny."), ScriptedUpstream.Finish(), ScriptedUpstream.Usage()));

    private static readonly (Func<UpstreamReply, Task> Calls, Func<UpstreamReply, Task> Says) s_responses = (
        Events(
            [.. ScriptedResponses.Start(), .. ScriptedResponses.Reasoning(0, "Hm"), .. ScriptedResponses.Message(1, "Let me see."), .. ScriptedResponses.CallOf(2, "call_1", "get_weather", Arguments)],
            [ScriptedResponses.ReasoningItem(0, "Hm"), ScriptedResponses.MessageItem(1, "Let me see."), ScriptedResponses.CallItem(2, "call_1", "get_weather", Arguments)]),
        Events([.. ScriptedResponses.Start(), .. ScriptedResponses.Message(0, "It is sunny.")], [ScriptedResponses.MessageItem(0, "It is sunny.")]));

    private static readonly (Func<UpstreamReply, Task> Calls, Func<UpstreamReply, Task> Says) s_messages = (
        Blocks(
            [
                ScriptedMessages.Block(0, """{"type":"thinking","thinking":"","signature":""}"""), ScriptedMessages.Delta(0, """{"type":"thinking_delta","thinking":"Hm"}"""),
                ScriptedMessages.Delta(0, """{"type":"signature_delta","signature":"c2lnbmVk"}"""), ScriptedMessages.End(0),
                .. ScriptedMessages.TextBlock(1, "Let me see."), .. ScriptedMessages.ToolBlock(2, "toolu_1", "get_weather", Arguments), ScriptedMessages.Finish("tool_use"),
            ],
            """{"type":"thinking","thinking":"Hm","signature":"c2lnbmVk"},{"type":"text","text":"Let me see."},{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"city":"Paris"}}""", "tool_use"),
        Blocks([.. ScriptedMessages.TextBlock(0, "It is sunny."), ScriptedMessages.Finish()], """{"type":"text","text":"It is sunny."}""", "end_turn"));

    private static Task AnswerAsync(UpstreamReply reply, (Func<UpstreamReply, Task> Calls, Func<UpstreamReply, Task> Says) answers) =>
        reply.Call.Body.Contains(Result, StringComparison.Ordinal) ? answers.Says(reply) : answers.Calls(reply);

    private static string Piece(string delta) => ScriptedUpstream.Chunk($$$"""{"index":0,"delta":{{{{delta}}}},"logprobs":null,"finish_reason":null}""");

    // Streamed where it is asked for, and else whole.
    private static Func<UpstreamReply, Task> Events(string[] events, string[] items) => async reply =>
    {
        // As long as the upstream lives each item has an id of its own.
        var own = $"{Guid.NewGuid():N}";
        string Mark(string json) => json.Replace(":\"item_", $":\"item_{own}_", StringComparison.Ordinal);
        var output = string.Join(',', items);
        if (WantsStream(reply)) await ScriptedResponses.Events([.. events.Select(Mark), Mark(ScriptedResponses.Completed(output))])(reply);
        else await WholeAsync(reply, Mark(ScriptedResponses.Response("completed", output, """{"input_tokens":25,"output_tokens":15,"total_tokens":40}""")));
    };

    private static Func<UpstreamReply, Task> Blocks(string[] events, string content, string reason) => async reply =>
    {
        if (reply.Call.Target.EndsWith("/count_tokens", StringComparison.Ordinal)) await WholeAsync(reply, """{"input_tokens":25}""");
        else if (WantsStream(reply)) await ScriptedMessages.Events([ScriptedMessages.Start(), .. events, ScriptedMessages.Stop])(reply);
        else await WholeAsync(reply, $$"""{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{{content}}],"stop_reason":"{{reason}}","stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":15} }""");
    };

    private static bool WantsStream(UpstreamReply reply) => (bool?)JsonNode.Parse(reply.Call.Body)!["stream"] == true;

    private static async Task WholeAsync(UpstreamReply reply, string json)
    {
        reply.Response.ContentType = "application/json";
        await reply.SendAsync(json);
    }

    private static Task<TestHub> StartAsync(ScriptedUpstream chat, ScriptedUpstream responses, ScriptedUpstream messages) => TestHub.StartConfiguredAsync(
        $$"""
          - {id: chat-x, upstreams: [{url: "{{chat.Url}}"}]}
          - {id: responses-x, upstreams: [{kind: responses, url: "{{responses.Url}}"}]}
          - {id: messages-x, upstreams: [{kind: anthropic, url: "{{messages.Url}}"}]}

        """);
}
