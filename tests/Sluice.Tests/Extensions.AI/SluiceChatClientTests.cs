using System.ComponentModel;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Sluice.Extensions.AI;
using Sluice.Server;
using Sluice.Testing;
using Sluice.Tests.Server;
using Xunit;

namespace Sluice.Tests.Extensions.AI;

/// <summary>Sluice as a chat client, under the platform's own function calling.</summary>
public sealed class SluiceChatClientTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static Task<EmbeddedHub> StartAsync(ScriptedUpstream upstream) => EmbeddedHub.StartAsync(upstream, static app => app.MapSluice());

    [Fact]
    public async Task Text_reasoning_usage_and_the_end_arrive_as_they_were_said()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}"""),
            ScriptedUpstream.Text("Hel"), ScriptedUpstream.Text("lo"), ScriptedUpstream.Finish("length"), ScriptedUpstream.Usage(7, 3)));
        await using var hub = await StartAsync(upstream);
        using var client = new SluiceChatClient(hub.Services, "m");
        var updates = await client.GetStreamingResponseAsync("Hi", cancellationToken: Cancellation).ToListAsync(Cancellation);
        Assert.Equal(["Hel", "lo"], updates.Select(static update => update.Text).Where(static text => text.Length > 0));
        var answer = updates.ToChatResponse();
        Assert.Equal("hm", Assert.Single(answer.Messages[0].Contents.OfType<TextReasoningContent>()).Text);
        Assert.Equal(ChatFinishReason.Length, answer.FinishReason);
        Assert.Equal((7, 3, 10), (answer.Usage!.InputTokenCount, answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount));
        Assert.StartsWith("chatcmpl-", answer.ResponseId, StringComparison.Ordinal);
        Assert.Equal("m", answer.ModelId);
        Assert.Equal("m", client.GetService<ChatClientMetadata>()!.DefaultModelId);
    }

    [Fact]
    public async Task The_request_says_everything_that_the_options_say()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var client = new SluiceChatClient(hub.Services, "m");
        List<ChatMessage> messages =
        [
            new(ChatRole.User, [new TextContent("What is this?"), new DataContent(new byte[] { 1, 2, 3 }, "image/png"), new UriContent(new Uri("https://example.com/a.png"), "image/png")]),
            new(ChatRole.Assistant, [new TextReasoningContent("hm"), new FunctionCallContent("call_1", "look", new Dictionary<string, object?> { ["at"] = "it", ["times"] = 2 })]),
            new(ChatRole.Tool, [new FunctionResultContent("call_1", "a cat")]),
        ];
        var options = new ChatOptions
        {
            Instructions = "Be short.",
            Temperature = 0.5f,
            TopP = 0.25f,
            TopK = 3,
            MaxOutputTokens = 9,
            Seed = 4,
            StopSequences = ["x"],
            FrequencyPenalty = 0.5f,
            PresencePenalty = -0.5f,
            ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object"}"""), "cat"),
            Tools = [AIFunctionFactory.CreateDeclaration("look", "Looks.", JsonElement.Parse("""{"type":"object","properties":{"at":{"type":"string"}}}"""), null)],
            ToolMode = ChatToolMode.RequireSpecific("look"),
            AllowMultipleToolCalls = false,
            Reasoning = new ReasoningOptions { Effort = ReasoningEffort.Low },
            AdditionalProperties = new() { ["min_p"] = 0.125 },
        };
        await client.GetResponseAsync(messages, options, Cancellation);
        var expected = JsonNode.Parse("""
            {"model":"m","stream":true,"stream_options":{"include_usage":true},
             "messages":[
              {"role":"system","content":"Be short."},
              {"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},
              {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"at\":\"it\",\"times\":2}"}}]},
              {"role":"tool","tool_call_id":"call_1","content":"a cat"}],
             "temperature":0.5,"top_p":0.25,"top_k":3,"max_completion_tokens":9,"frequency_penalty":0.5,"presence_penalty":-0.5,"seed":4,"stop":["x"],"reasoning_effort":"low",
             "response_format":{"type":"json_schema","json_schema":{"name":"cat","schema":{"type":"object"}}},
             "tools":[{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}}],
             "parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"look"}},"min_p":0.125}
            """);
        Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(Assert.Single(upstream.Calls).Body)), upstream.Calls[0].Body);
    }

    [Fact]
    public async Task Functions_are_invoked_by_the_platform()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(
                ScriptedUpstream.Role(),
                ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"Weather","arguments":""}}]},"finish_reason":null}"""),
                ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}"""),
                ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Bonn\"}"}}]},"finish_reason":null}"""),
                ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage(1, 2)),
            ScriptedUpstream.Says("It is warm in Bonn."));
        await using var hub = await StartAsync(upstream);
        using var client = new ChatClientBuilder(new SluiceChatClient(hub.Services, "m")).UseFunctionInvocation().Build();
        string? asked = null;
        var tool = AIFunctionFactory.Create(([Description("Where.")] string city) => { asked = city; return "warm"; }, "Weather", serializerOptions: AIJsonUtilities.DefaultOptions);
        var answer = await client.GetResponseAsync("How is the weather in Bonn?", new ChatOptions { Tools = [tool] }, Cancellation);
        Assert.Equal("Bonn", asked);
        Assert.Equal("It is warm in Bonn.", answer.Text);
        var messages = JsonNode.Parse(upstream.Calls[1].Body)!["messages"]!.AsArray();
        Assert.Equal("{\"city\":\"Bonn\"}", (string?)messages[1]!["tool_calls"]![0]!["function"]!["arguments"]);
        Assert.Equal(("tool", "call_1", "warm"), ((string?)messages[2]!["role"], (string?)messages[2]!["tool_call_id"], (string?)messages[2]!["content"]));
    }

    [Fact]
    public async Task Leaving_an_enumeration_ends_the_generation()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "text/event-stream";
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("first"));
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(upstream);
        using var client = new SluiceChatClient(hub.Services, "m");
        await foreach (var update in client.GetStreamingResponseAsync("Hi", cancellationToken: Cancellation))
        {
            if (update.Text == "first") break;
        }
        await Assert.Single(upstream.Calls).Aborted.WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
    }

    [Fact]
    public async Task A_refusal_has_the_status_and_the_words_of_the_hub()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var client = new SluiceChatClient(hub.Http, "other");
        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetResponseAsync("Hi", cancellationToken: Cancellation));
        Assert.Equal(HttpStatusCode.NotFound, exception.StatusCode);
        Assert.Contains("other", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_file_answers_in_the_process_and_holds_a_schema()
    {
        using var client = new SluiceChatClient(TestFiles.DefaultModel);
        var options = new ChatOptions
        {
            MaxOutputTokens = 60,
            Temperature = 0,
            ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","properties":{"city":{"enum":["Paris","Rome"]}},"required":["city"],"additionalProperties":false}""")),
        };
        var answer = await client.GetResponseAsync("What is the capital of France?", options, Cancellation);
        using var json = JsonDocument.Parse(answer.Text);
        Assert.Contains(json.RootElement.GetProperty("city").GetString(), (string[])["Paris", "Rome"]);
        Assert.True(answer.Usage is { InputTokenCount: > 0, OutputTokenCount: > 0 });
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
    }

    // Of docs/embedding.md. The file is not there; what counts is that it compiles.
    private static async Task AskAsync()
    {
        using var client = new SluiceChatClient("model.gguf");
        await foreach (var update in client.GetStreamingResponseAsync("Why is the sky blue?")) Console.Write(update.Text);
    }

    [Fact]
    public Task A_file_that_is_not_there_is_named() => Assert.ThrowsAsync<FileNotFoundException>(AskAsync);

    [Fact]
    public void A_missing_file_is_named() =>
        Assert.Contains("/nowhere/a.gguf", Assert.Throws<FileNotFoundException>(static () => new SluiceChatClient("/nowhere/a.gguf")).Message, StringComparison.Ordinal);
}
