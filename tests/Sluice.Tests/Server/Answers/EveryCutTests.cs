using System.Text;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>
/// Streams cut after every byte and gone on with: nothing is lost and nothing comes twice. The hub gives the rest behind every event; which
/// event a client had at a cut, a decoder says that is as strict as Python's SDK.
/// </summary>
public sealed class EveryCutTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("text", "")]
    [InlineData("text", "\"stream_options\":{\"include_usage\":true}")]
    [InlineData("text", "\"n\":2,\"seed\":1")]
    [InlineData("text", "\"logprobs\":true,\"top_logprobs\":2")]
    [InlineData("emoji", "")]
    [InlineData("emoji", "\"n\":2,\"logprobs\":true,\"stream_options\":{\"include_usage\":true}")]
    [InlineData("stopped", "\"stop\":[\" four\"]")]
    [InlineData("short", "\"max_tokens\":1")]
    public async Task Of_the_local_engine(string script, string more)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(" one two three four five");
        hub.Scripts["stopped"] = new Script().Say(" one two three four five");
        hub.Scripts["emoji"] = new Script().Bytes("a\U0001F600b\U0001F469‍\U0001F680 \"\\\n ü"u8);
        using var http = new HttpClient { BaseAddress = hub.Address };
        await CutEverywhereAsync(http, $$"""{"model":"scripted","stream":true,"messages":[{"role":"user","content":"{{script}}"}]{{(more.Length > 0 ? "," : "")}}{{more}}}""");
    }

    public static TheoryData<string, string[]> Recorded() => new()
    {
        { "tools", [
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Finish("tool_calls"), ScriptedUpstream.Usage()] },
        { "text", [ScriptedUpstream.Role(), ScriptedUpstream.Text("one"), ScriptedUpstream.Text("\U0001F600"), ScriptedUpstream.Finish("length"), ScriptedUpstream.Usage()] },
        { "reasoning", [ScriptedUpstream.Role(), ScriptedUpstream.Chunk("""{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}"""), ScriptedUpstream.Text("x"), ScriptedUpstream.Finish()] },
        { "choices", [
            ScriptedUpstream.Role(), ScriptedUpstream.Chunk("""{"index":1,"delta":{"role":"assistant","content":""},"finish_reason":null}"""),
            ScriptedUpstream.Text("a"), ScriptedUpstream.Chunk("""{"index":1,"delta":{"content":"b"},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":1,"delta":{},"finish_reason":"stop"}"""), ScriptedUpstream.Finish()] },
    };

    [Theory]
    [MemberData(nameof(Recorded))]
    public async Task Of_an_upstream(string name, string[] frames)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(frames));
        await using var hub = await Hub.StartAsync(Hub.Model("m", upstream));
        foreach (var more in (string[])["", ",\"stream_options\":{\"include_usage\":true}"])
            await CutEverywhereAsync(hub.Http, Hub.Ask(more: (name == "choices" ? ",\"n\":2" : "") + more));
        // Each of the two was asked for with and without ids, and never again.
        Assert.Equal(4, upstream.Calls.Count);
    }

    [Fact]
    public async Task Of_an_answer_that_another_upstream_went_on_with()
    {
        await using var broken = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("one"), ScriptedUpstream.Text("two")]) await reply.EventAsync(frame);
            await reply.CutAsync();
        });
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("one", "two", "three"));
        await using var hub = await Hub.StartAsync(Hub.Model("m", broken, sound));
        var whole = await CutEverywhereAsync(hub.Http, Hub.Ask());
        Assert.Contains(": rescued by rerun\n", whole, StringComparison.Ordinal);
    }

    private static async Task<string> CutEverywhereAsync(HttpClient http, string body)
    {
        var plain = await PostAsync(http, body, ("Idempotency-Key", $"plain-{body.Length}"));
        var rests = new List<List<string>> { Decode(plain).Events };
        for (var n = 1; n < rests[0].Count; n++) rests.Add(Decode(await PostAsync(http, body, ("Idempotency-Key", $"plain-{body.Length}"), ("Last-Event-ID", $"{n}"))).Events);
        Check(plain, cut => rests[Decode(cut).Events.Count]);

        var numbered = await PostAsync(http, body, ("Idempotency-Key", $"numbered-{body.Length}"), ("Sluice-Event-Ids", "1"));
        var byId = new Dictionary<string, List<string>> { [""] = Decode(numbered).Events };
        foreach (var id in Decode(numbered).Ids.Distinct())
        {
            var (completion, number) = (id[..id.LastIndexOf(':')], id[(id.LastIndexOf(':') + 1)..]);
            byId.Add(id, Decode(await http.GetStringAsync($"/v1/chat/completions/{completion}?stream=true&starting_after={number}", Cancellation)).Events);
            Assert.Equal(byId[id], Decode(await PostAsync(http, body, ("Sluice-Event-Ids", "1"), ("Last-Event-ID", id))).Events);
        }
        Check(numbered, cut => byId[Decode(cut).Ids.LastOrDefault("")]);
        return plain;
    }

    private static void Check(string whole, Func<string, List<string>> resume)
    {
        var all = Decode(whole).Events;
        Assert.Equal("[DONE]", all[^1]);
        var bytes = Encoding.UTF8.GetBytes(whole);
        // One decoding for each event that a cut may fall into, and one check for each byte.
        for (var cut = 0; cut < bytes.Length; cut++)
        {
            var received = Encoding.UTF8.GetString(bytes, 0, cut);
            var got = Decode(received).Events;
            if (got.Count == all.Count) continue;
            Assert.Equal(all, got.Concat(resume(received)));
        }
    }

    // A blank line ends an event where there is any field, the last id counting as one: so Python's SDK has it.
    private static (List<string> Events, List<string> Ids) Decode(string text)
    {
        var (events, ids) = (new List<string>(), new List<string>());
        var (data, id) = ("", "");
        var lines = text.Split('\n');
        foreach (var line in lines.AsSpan(0, lines.Length - 1))
        {
            if (line.Length == 0)
            {
                if (data.Length == 0 && id.Length == 0) continue;
                Assert.NotEqual("", data);
                events.Add(data);
                if (data != "[DONE]" && id.Length > 0) ids.Add(id);
                data = "";
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal)) data += line[6..];
            else if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
            else Assert.StartsWith(":", line, StringComparison.Ordinal);
        }
        return (events, ids);
    }

    private static async Task<string> PostAsync(HttpClient http, string body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var response = await http.SendAsync(request, Cancellation);
        var text = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.True(response.IsSuccessStatusCode, text);
        return text;
    }
}
