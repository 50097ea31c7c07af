using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>A loop with a tool over each pair of dialects: reasoning goes back to its producer as it came, and to nobody else.</summary>
public sealed class DoorReasoningTests
{
    private const string Item = """{"id":"item_0","type":"reasoning","summary":[{"type":"summary_text","text":"Hm"}],"encrypted_content":"ZW5j"}""";
    private const string Block = """{"type":"thinking","thinking":"Hm \"ü\"","signature":"c2ln"}""";
    private const string Redacted = """{"type":"redacted_thinking","data":"cmVk"}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Pairs
    {
        get
        {
            var pairs = new TheoryData<string, string>();
            foreach (var client in (string[])["chat", "responses", "messages"])
            {
                foreach (var upstream in (string[])["chat", "responses", "messages"]) pairs.Add(client, upstream);
            }
            return pairs;
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Reasoning_goes_back_to_its_producer_before_the_call_that_it_led_to(string client, string upstream)
    {
        await using var server = await ScriptedUpstream.StartAsync(Thinks(upstream), DoorAnswers.Of(upstream, "text"));
        await using var other = await ScriptedUpstream.StartAsync(DoorAnswers.Of(upstream, "text"));
        await using var chat = await ScriptedUpstream.StartAsync(DoorAnswers.Of("chat", "text"));
        await using var responses = await ScriptedUpstream.StartAsync(DoorAnswers.Of("responses", "text"));
        await using var messages = await ScriptedUpstream.StartAsync(DoorAnswers.Of("messages", "text"));
        await using var hub = await UpstreamHub.StartAsync(
            Model("m", server, upstream) + Model("other", other, upstream) + Model("chat", chat, "chat") + Model("responses", responses, "responses") + Model("messages", messages, "messages"));
        var first = await PostAsync(hub, client, Ask(client, "m", ""));
        var history = History(client, first);
        await PostAsync(hub, client, Ask(client, "m", history));
        var body = JsonNode.Parse(server.Calls[1].Body)!;
        switch (upstream)
        {
            case "chat":
                // A chat client's own server gets the message as the client wrote it.
                var answer = body["messages"]!.AsArray().Single(message => (string?)message!["role"] == "assistant")!;
                Assert.Equal(("Hm", "f"), ((string?)answer["reasoning_content"], (string?)answer["tool_calls"]![0]!["function"]!["name"]));
                break;
            case "responses":
                AssertFollows(body["input"]!.AsArray(), [Item], "function_call");
                break;
            default:
                AssertFollows(body["messages"]!.AsArray().Single(message => (string?)message!["role"] == "assistant")!["content"]!.AsArray(), [Block, Redacted], "tool_use");
                break;
        }

        // The conversation goes on anywhere, and nobody sees what another has sealed.
        foreach (var (model, place) in ((string, ScriptedUpstream)[])[("other", other), ("chat", chat), ("responses", responses), ("messages", messages)])
        {
            await PostAsync(hub, client, Ask(client, model, history));
            // Equal dialects pass what the client wrote, and a client of chat holds signed blocks as they are: see RefusedReasoningTests.
            var dialect = model == "other" ? upstream : model;
            if (client == dialect || (client, upstream, dialect) == ("chat", "messages", "messages")) continue;
            Assert.DoesNotContain("slc1.", place.Calls[0].Body, StringComparison.Ordinal);
            Assert.DoesNotContain("ZW5j", place.Calls[0].Body, StringComparison.Ordinal);
            Assert.DoesNotContain("c2ln", place.Calls[0].Body, StringComparison.Ordinal);
            Assert.Contains("\"call_a\"", place.Calls[0].Body, StringComparison.Ordinal);
        }
    }

    private static void AssertFollows(JsonArray items, string[] expected, string type)
    {
        var call = items.ToList().FindIndex(item => (string?)item!["type"] == type);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected[i]), items[call - expected.Length + i]), items.ToJsonString());
    }

    private static string Model(string id, ScriptedUpstream server, string dialect)
    {
        var kind = dialect switch { "chat" => "openai", "responses" => "responses", _ => "anthropic" };
        return $"  - id: {id}\n    retries: 0\n    upstreams: [{{kind: {kind}, url: \"{server.Url}\", model: {id}}}]\n";
    }

    private static Func<UpstreamReply, Task> Thinks(string dialect) => dialect switch
    {
        "chat" => ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), ScriptedUpstream.Chunk("""{"index":0,"delta":{"reasoning_content":"Hm"},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}"""), ScriptedUpstream.Finish("tool_calls")),
        "responses" => ScriptedResponses.Events([.. ScriptedResponses.Start(), .. ScriptedResponses.Reasoning(0, "Hm"), .. ScriptedResponses.CallOf(1, "call_a", "f", "{}"), ScriptedResponses.Completed($"{Item},{ScriptedResponses.CallItem(1, "call_a", "f", "{}")}")]),
        _ => ScriptedMessages.Events(
        [
            ScriptedMessages.Start(), ScriptedMessages.Block(0, """{"type":"thinking","thinking":"","signature":""}"""),
            ScriptedMessages.Delta(0, """{"type":"thinking_delta","thinking":"Hm \"\u00fc\""}"""), ScriptedMessages.Delta(0, """{"type":"signature_delta","signature":"c2ln"}"""), ScriptedMessages.End(0),
            ScriptedMessages.Block(1, Redacted), ScriptedMessages.End(1), .. ScriptedMessages.ToolBlock(2, "call_a", "f", "{}"), ScriptedMessages.Finish("tool_use"), ScriptedMessages.Stop,
        ]),
    };

    private static string Ask(string client, string model, string history) => client switch
    {
        "chat" => $$$"""{"model":"{{{model}}}","stream":true,"tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"Hi"}{{{history}}}]}""",
        "responses" => $$"""{"model":"{{model}}","stream":true,"store":false,"include":["reasoning.encrypted_content"],"tools":[{"type":"function","name":"f"}],"input":[{"role":"user","content":"Hi"}{{history}}]}""",
        _ => $$$"""{"model":"{{{model}}}","stream":true,"max_tokens":50,"thinking":{"type":"adaptive"},"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"Hi"}{{{history}}}]}""",
    };

    // The answer as the client gives it back, and the result of its call.
    private static string History(string client, JsonNode answer) => client switch
    {
        "chat" => $$""",{{answer["choices"]![0]!["message"]!.ToJsonString()}},{"role":"tool","tool_call_id":"call_a","content":"18"}""",
        "responses" => $$""",{{string.Join(',', answer["output"]!.AsArray().Select(item => item!.ToJsonString()))}},{"type":"function_call_output","call_id":"call_a","output":"18"}""",
        _ => $$""",{"role":"assistant","content":{{answer["content"]!.ToJsonString()}}},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_a","content":"18"}]}""",
    };

    private static async Task<JsonNode> PostAsync(UpstreamHub hub, string client, string body)
    {
        var path = client switch { "chat" => "/v1/chat/completions", "responses" => "/v1/responses", _ => "/v1/messages" };
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await hub.Http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        var events = text.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => JsonNode.Parse(line["data: ".Length..])!).ToList();
        return DoorReadings.Fold(client, events);
    }
}
