using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Clients of the Responses API over an upstream of the same API: what of state and storage is the hub's, though the upstream's bytes pass.</summary>
public sealed class PassedResponsesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<(HttpStatusCode Status, JsonNode Json)> PostAsync(UpstreamHub hub, string members)
    {
        using var content = new StringContent($$"""{"model":"m",{{members}}}""", Encoding.UTF8, "application/json");
        using var response = await hub.Http.PostAsync(new Uri("/v1/responses", UriKind.Relative), content, Cancellation);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancellation))!);
    }

    private static Task<UpstreamHub> StartAsync(ScriptedUpstream upstream) =>
        UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: responses, url: \"{upstream.Url}\"}}]\n");

    private static Func<UpstreamReply, Task> Whole(string output) => async reply =>
    {
        reply.Response.ContentType = "application/json";
        await reply.SendAsync(Response("completed", output, """{"input_tokens":1,"output_tokens":1,"total_tokens":2}"""));
    };

    [Fact]
    public async Task The_answer_says_how_the_hub_keeps_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Whole(MessageItem(0, "x")));
        await using var hub = await StartAsync(upstream);
        var (_, kept) = await PostAsync(hub, "\"input\":\"a\"");
        Assert.Equal((true, false), ((bool)kept["store"]!, (bool)kept["background"]!));
        var id = (string)kept["id"]!;
        var (_, next) = await PostAsync(hub, $"\"input\":\"b\",\"store\":false,\"previous_response_id\":\"{id}\"");
        Assert.Equal((false, id), ((bool)next["store"]!, (string?)next["previous_response_id"]));
        Assert.All(upstream.Calls, call => Assert.False((bool)JsonNode.Parse(call.Body)!["store"]!));
    }

    // OpenAI refuses an id that doesn't begin as those of its kind do.
    [Fact]
    public async Task Door_018_a_conversation_goes_on_with_the_ids_that_its_items_had()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Whole(MessageItem(0, "x")));
        await using var hub = await StartAsync(upstream);
        const string Turn = """{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}""";
        var (_, first) = await PostAsync(hub, $"\"input\":[{Turn}]");
        await PostAsync(hub, $"\"input\":[],\"previous_response_id\":\"{first["id"]}\"");
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse($"[{Turn},{MessageItem(0, "x")}]"), JsonNode.Parse(upstream.Calls[1].Body)!["input"]), upstream.Calls[1].Body);
        var items = JsonNode.Parse(await hub.Http.GetStringAsync(new Uri($"/v1/responses/{first["id"]}/input_items?order=asc", UriKind.Relative), Cancellation))!["data"]!.AsArray();
        Assert.Equal(["fc", "fco"], items.Select(item => ((string)item!["id"]!).Split('_')[0]));
    }

    // A conversation that only OpenAI keeps would be missing without a word.
    [Fact]
    public async Task A_conversation_of_OpenAIs_is_refused()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Whole(MessageItem(0, "x")));
        await using var hub = await StartAsync(upstream);
        var (status, error) = await PostAsync(hub, "\"input\":\"a\",\"conversation\":\"conv_1\"");
        Assert.Equal((HttpStatusCode.BadRequest, "conversation"), (status, (string?)error["error"]!["param"]));
        Assert.Empty(upstream.Calls);
    }

    // As Vercel's SDK does with everything that it has seen before: the ids are the upstream's, and the upstream has kept nothing.
    [Fact]
    public async Task Door_020_items_are_found_by_the_ids_that_the_upstream_gave_them()
    {
        const string Reasoning = """{"id":"rs_up","type":"reasoning","summary":[],"encrypted_content":"ZW5j"}""";
        const string Call = """{"id":"fc_up","type":"function_call","status":"completed","call_id":"call_up","name":"f","arguments":"{}"}""";
        await using var upstream = await ScriptedUpstream.StartAsync(Whole($"{Reasoning},{Call}"), Whole(MessageItem(7, "done")));
        await using var hub = await StartAsync(upstream);
        await PostAsync(hub, "\"input\":\"a\"");
        const string Turn = """{"role":"user","content":"a"},{"type":"item_reference","id":"rs_up"},{"type":"item_reference","id":"fc_up"},{"type":"function_call_output","call_id":"call_up","output":"1"}""";
        var (status, answer) = await PostAsync(hub, $"\"input\":[{Turn}]");
        Assert.True(status == HttpStatusCode.OK, answer.ToJsonString());
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse($$"""[{"role":"user","content":"a"},{{Reasoning}},{{Call}},{"type":"function_call_output","call_id":"call_up","output":"1"}]"""),
            JsonNode.Parse(upstream.Calls[1].Body)!["input"]), upstream.Calls[1].Body);
        var (missing, error) = await PostAsync(hub, "\"input\":[{\"type\":\"item_reference\",\"id\":\"fc_nowhere\"}]");
        Assert.Equal((HttpStatusCode.BadRequest, "Item with id 'fc_nowhere' not found."), (missing, (string?)error["error"]!["message"]));
    }
}
