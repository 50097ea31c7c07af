using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Responses requests that are broken, huge or odd: a 400 or an answer, never a fault of the hub.</summary>
public sealed class ResponsesFaultTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<(HttpStatusCode Status, JsonElement Json)> PostAsync(TestHub hub, string body, string path = "/v1/responses")
    {
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var content = new StringContent(body, new UTF8Encoding(false), "application/json");
        using var reply = await http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
        // The answer repeats what was asked, as deep as it was.
        using var document = JsonDocument.Parse(await reply.Content.ReadAsByteArrayAsync(Cancellation), new JsonDocumentOptions { MaxDepth = 1000 });
        return (reply.StatusCode, document.RootElement.Clone());
    }

    public static TheoryData<string, int> Bodies => new()
    {
        { """{"model":"scripted","input":"a","previous_response_id":"\ud800"}""", 400 },
        { """{"model":"scripted","input":"\ud83d"}""", 200 },
        { "\uFEFF" + """{"model":"scripted","input":"a","client_metadata":{"turn_id":"x"}}""", 200 },
        { """{"model":"scripted","input":"a","client_metadata":{"turn_id":"\ud800"}}""", 200 },
        { """{"model":"scripted","input":"a","zz\ud800":1,"client_metadata":5}""", 200 },
        { """{"model":"scripted","input":[{"type":"item_reference","id":5}]}""", 400 },
        { """{"model":"scripted","input":[1]}""", 400 },
        { """{"model":"scripted","input":[{"type":5,"role":"user","content":"a"}]}""", 200 },
        { """{"model":"scripted","input":[{"role":"user","content":[{"type":"input_text"},5]}]}""", 400 },
        { """{"model":"scripted","input":"a","tools":[5,{"type":"function"},{"type":"namespace","name":"n","tools":[7]}],"tool_choice":"auto"}""", 200 },
        { """{"model":"scripted","input":"a","text":{"format":{"type":"json_schema"}}}""", 400 },
        { """{"model":"scripted","input":"a","max_output_tokens":1e400}""", 400 },
        { """{"model":"scripted","input":"a","metadata":""" + string.Concat(Enumerable.Repeat("[", 510)) + string.Concat(Enumerable.Repeat("]", 510)) + "}", 400 },
        { """{"model":"scripted","input":"a","metadata":""" + string.Concat(Enumerable.Repeat("[", 490)) + string.Concat(Enumerable.Repeat("]", 490)) + "}", 200 },
        { """{"model":"scripted","input":[{"role":"user","content":"a"},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"type":"reasoning","summary":[]},{"type":"function_call","call_id":"b","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":"1"},{"type":"function_call_output","call_id":"b","output":"2"}]}""", 200 },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task ABody_ThatIsOdd_IsAnsweredOrRefused(string body, int expected)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var (status, json) = await PostAsync(hub, body);
        Assert.True((int)status == expected, json.GetRawText());
        if (expected != 200) return;
        // What was kept of it can be looked at, and continued from.
        using var http = new HttpClient { BaseAddress = hub.Address };
        var id = json.GetProperty("id").GetString();
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri($"/v1/responses/{id}/input_items", UriKind.Relative), Cancellation)).StatusCode);
        var (again, more) = await PostAsync(hub, $$"""{"model":"scripted","input":"b","previous_response_id":"{{id}}"}""");
        Assert.True(again == HttpStatusCode.OK, more.GetRawText());
        Assert.Empty(hub.Complaints);
    }

    [Fact]
    public async Task ManyKindsOfTools_NobodyKnows_CostLittleAndTheFirstAreNamed()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var tools = string.Join(',', Enumerable.Range(0, 50_000).Select(static i => $$"""{"type":"a{{i}}"}"""));
        var (status, json) = await PostAsync(hub, $$"""{"model":"scripted","input":"a","max_output_tokens":2,"tools":[{{tools}}]}""");
        Assert.True(status == HttpStatusCode.OK, json.GetRawText());
        Assert.Equal(64, json.GetProperty("sluice").GetProperty("ignored_tools").GetArrayLength());
    }

    // An upstream's events may lack what the hub's own have.
    [Fact]
    public async Task AnAnswerOfAnUpstream_ThatIsCancelled_EndsWhateverItsEventsLookLike()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var data in ScriptedResponses.Start()) await reply.EventAsync(data);
            await reply.EventAsync("""{"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}""");
            await reply.EventAsync("""{"type":"response.output_text.delta","output_index":0,"delta":"Hello"}""");
            await reply.StallAsync();
        });
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: m, upstreams: [{{kind: responses, url: \"{upstream.Url}\"}}]}}\n");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/responses") { Content = new StringContent("""{"model":"m","input":"a","stream":true}""", Encoding.UTF8, "application/json") };
        using var reply = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        var id = reply.Headers.GetValues("Sluice-Stream-Id").Single();
        using var cancelled = await http.PostAsync(new Uri($"/v1/responses/{id}/cancel", UriKind.Relative), null, Cancellation);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        var json = JsonElement.Parse(await (await http.GetAsync(new Uri($"/v1/responses/{id}", UriKind.Relative), Cancellation)).Content.ReadAsByteArrayAsync(Cancellation));
        Assert.Equal("cancelled", json.GetProperty("status").GetString());
    }
}
