using System.Text;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>
/// Streams cut after every byte and gone on with: nothing is lost and nothing comes twice. The hub is asked for the rest behind every event; which
/// events a client had at a cut says .NET's own parser, which gets one byte after the other.
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

    [Theory]
    [InlineData("text", "")]
    [InlineData("emoji", "")]
    [InlineData("stopped", ",\"stop_sequences\":[\" four\"]")]
    [InlineData("short", "")]
    public async Task Of_a_message_of_the_local_engine(string script, string more)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        hub.Scripts["text"] = new Script().Say(" one two three four five");
        hub.Scripts["stopped"] = new Script().Say(" one two three four five");
        hub.Scripts["emoji"] = new Script().Bytes("a\U0001F600b \"\\\n ü"u8);
        using var http = new HttpClient { BaseAddress = hub.Address };
        var tokens = script == "short" ? 1 : 50;
        var body = $$"""{"model":"scripted","stream":true,"max_tokens":{{tokens}},"messages":[{"role":"user","content":"{{script}}"}]{{more}}}""";
        var whole = await CutEverywhereAsync(http, body, "/v1/messages");
        Assert.EndsWith("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", whole, StringComparison.Ordinal);
    }

    /// <summary>Every stream that <c>tests/reference/record_streams.py</c> has recorded.</summary>
    public static TheoryData<string> Recorded => [.. RecordedStream.Names];

    [Theory]
    [MemberData(nameof(Recorded))]
    public async Task Of_a_recorded_stream(string name)
    {
        var recorded = RecordedStream.Load(name);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.SendAsync(recorded.Body);
            if (!recorded.IsWhole) await reply.CutAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    retries: 0\n");
        var whole = await CutEverywhereAsync(hub.Http, recorded.Request);
        // Once without ids, once with them; one that breaks off is asked to go on, until it is left alone after three faults.
        Assert.Equal(recorded.IsWhole ? 2 : 3, upstream.Calls.Count);
        Assert.Equal(recorded.IsWhole, whole.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal));
    }

    [Fact]
    public void The_recorded_streams_are_of_every_kind()
    {
        Assert.InRange(RecordedStream.Names.Count, 20, 100);
        var all = RecordedStream.Names.Select(RecordedStream.Load).ToList();
        foreach (var (word, count) in new (string Word, int Count)[]
        {
            ("\"tool_calls\":[{\"index\":0", 2), ("\"tool_calls\":[{\"index\":1", 1), ("\"function_call\":{", 1), ("\"index\":1,\"delta\":", 1), ("\"usage\":{", 4), ("\"logprobs\":{", 2),
            ("\U0001F389", 1), ("\"reasoning_content\":\"", 1), ("\"finish_reason\":\"length\"", 2), ("\"error\":{", 1), ("\"cancelled\":true", 1),
        })
            Assert.True(all.Count(stream => stream.Text.Contains(word, StringComparison.Ordinal)) >= count, word);
        Assert.Contains(all, stream => !stream.IsWhole && !stream.Text.Contains("error", StringComparison.Ordinal));
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
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", broken, sound));
        var whole = await CutEverywhereAsync(hub.Http, UpstreamHub.Ask());
        Assert.Contains(": rescued by rerun\n", whole, StringComparison.Ordinal);
    }

    private static async Task<string> CutEverywhereAsync(HttpClient http, string body, string door = "/v1/chat/completions")
    {
        var isMessages = door == "/v1/messages";
        var (plain, _) = await PostAsync(http, door, body, ("Idempotency-Key", "plain"));
        // One that failed is asked for again where nothing of it has come, and is another one then; the hub still has the first under its id.
        var rests = new List<List<string>> { plain.Data[^1] == "[DONE]" || isMessages ? (await PostAsync(http, door, body, ("Idempotency-Key", "plain"))).Stream.Data : plain.Data };
        for (var n = 1; n <= plain.Count; n++) rests.Add((await PostAsync(http, door, body, ("Idempotency-Key", "plain"), ("Last-Event-ID", $"{n}"))).Stream.Data);
        Check(plain, (count, _) => rests[count]);

        var (numbered, id) = await PostAsync(http, door, body, ("Sluice-Event-Ids", "1"));
        var path = $"{door}/{id}?stream=true";
        var byId = new Dictionary<string, List<string>> { [""] = (await GetAsync(http, $"{path}&starting_after=0")).Data };
        for (var n = 1; n <= numbered.Count; n++)
        {
            Assert.Equal($"{id}:{n}", numbered.Ids[n - 1]);
            var rest = (await GetAsync(http, $"{path}&starting_after={n}")).Data;
            byId.Add($"{id}:{n}", rest);
            Assert.Equal(rest, (await PostAsync(http, door, body, ("Sluice-Event-Ids", "1"), ("Last-Event-ID", $"{id}:{n}"))).Stream.Data);
            // A browser that has all events of a sound stream is told to come no more.
            var again = await GetAsync(http, path, ("Last-Event-ID", $"{id}:{n}"));
            Assert.Equal(n == numbered.Count && rest is ["[DONE]"] ? [] : rest, again.Data);
        }
        Check(numbered, (_, lastId) => byId[lastId]);
        return plain.Text;
    }

    private static void Check(ParsedStream whole, Func<int, string, List<string>> resume)
    {
        for (var cut = 0; cut < whole.Bytes.Length; cut++)
        {
            var got = whole.CountAfter(cut);
            if (got == whole.Data.Count) continue;
            var rest = resume(got, got == 0 ? "" : whole.Ids[got - 1]);
            Assert.Equal(whole.Data.Count - got, rest.Count);
            for (var i = 0; i < rest.Count; i++) Assert.Equal(whole.Data[got + i], rest[i]);
        }
    }

    private static Task<(ParsedStream Stream, string Id)> PostAsync(HttpClient http, string door, string body, params (string Name, string Value)[] headers) =>
        SendAsync(http, new HttpRequestMessage(HttpMethod.Post, door) { Content = new StringContent(body, Encoding.UTF8, "application/json") }, headers);

    private static async Task<ParsedStream> GetAsync(HttpClient http, string path, params (string Name, string Value)[] headers) =>
        (await SendAsync(http, new HttpRequestMessage(HttpMethod.Get, path), headers)).Stream;

    private static async Task<(ParsedStream Stream, string Id)> SendAsync(HttpClient http, HttpRequestMessage request, (string Name, string Value)[] headers)
    {
        using var message = request;
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        var received = new MemoryStream();
        try
        {
            await response.Content.CopyToAsync(received, Cancellation);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            // A failed stream ends so.
        }
        var stream = new ParsedStream(received.ToArray());
        Assert.True(response.IsSuccessStatusCode, stream.Text);
        return (stream, response.Headers.TryGetValues("Sluice-Stream-Id", out var ids) ? ids.Single() : "");
    }
}
