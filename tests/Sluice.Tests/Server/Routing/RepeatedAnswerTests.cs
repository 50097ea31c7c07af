using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>Answers of other doors than chat that break off and are continued: what is compared is what they say, not their events.</summary>
public sealed class RepeatedAnswerTests
{
    private static Func<UpstreamReply, Task> Breaks(params string[] texts) => async reply =>
    {
        await reply.EventAsync(ScriptedUpstream.Role());
        foreach (var text in texts) await reply.EventAsync(ScriptedUpstream.Text(text));
        await reply.CutAsync();
    };

    private static async Task<(List<JsonElement> Events, string Body)> AskAsync(Func<UpstreamReply, Task> first, Func<UpstreamReply, Task> second)
    {
        await using var one = await ScriptedUpstream.StartAsync(first);
        await using var two = await ScriptedUpstream.StartAsync(second);
        await using var hub = await TestHub.StartConfiguredAsync(
            $"  - {{id: m, retries: 0, upstreams: [{{url: \"{one.Url}\"}}, {{url: \"{two.Url}\"}}]}}\n");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/responses") { Content = new StringContent("""{"model":"m","input":"Hi","stream":true}""", Encoding.UTF8, "application/json") };
        using var reply = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var body = new StringBuilder();
        try
        {
            using var reader = new StreamReader(await reply.Content.ReadAsStreamAsync());
            while (await reader.ReadLineAsync() is { } line) body.AppendLine(line);
        }
        catch (Exception error) when (error is IOException or HttpRequestException)
        {
            // A stream that failed ends like that.
        }
        var events = body.ToString().Split('\n').Where(static line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(static line => JsonElement.Parse(line["data: ".Length..])).ToList();
        return (events, body.ToString());
    }

    private static string Text(List<JsonElement> events) => string.Concat(
        events.Where(static data => data.GetProperty("type").ValueEquals("response.output_text.delta")).Select(static data => data.GetProperty("delta").GetString()));

    [Fact]
    public async Task A_stream_goes_on_where_it_broke_off_as_if_nothing_had_happened()
    {
        var (events, body) = await AskAsync(Breaks("Hel", "lo, "), ScriptedUpstream.Says("Hello", ", wor", "ld."));
        Assert.Equal("Hello, world.", Text(events));
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(static data => data.GetProperty("sequence_number").GetInt32()));
        Assert.Single(events, static data => data.GetProperty("type").ValueEquals("response.created"));
        Assert.Single(events, static data => data.GetProperty("type").ValueEquals("response.output_item.added"));
        var response = events[^1].GetProperty("response");
        Assert.Equal("Hello, world.", response.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal(events[0].GetProperty("response").GetProperty("created_at").GetInt64(), response.GetProperty("created_at").GetInt64());
        Assert.EndsWith("data: [DONE]\n\n", body.ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_goes_on_too()
    {
        await using var one = await ScriptedUpstream.StartAsync(Breaks("Hel", "lo, "));
        await using var two = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("Hello", ", wor", "ld."));
        await using var hub = await TestHub.StartConfiguredAsync(
            $"  - {{id: m, retries: 0, upstreams: [{{url: \"{one.Url}\"}}, {{url: \"{two.Url}\"}}]}}\n");
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var body = new StringContent("""{"model":"m","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json");
        using var reply = await http.PostAsync("/v1/messages", body);
        var events = (await reply.Content.ReadAsStringAsync()).Split('\n').Where(static line => line.StartsWith("data: ", StringComparison.Ordinal))
            .Select(static line => JsonElement.Parse(line["data: ".Length..])).ToList();
        Assert.Equal(
            ["message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_delta", "content_block_delta", "content_block_stop", "message_delta", "message_stop"],
            events.Select(static data => data.GetProperty("type").GetString()).Where(static type => type != "ping"));
        Assert.Equal("Hello, world.", string.Concat(events.Where(static data => data.GetProperty("type").ValueEquals("content_block_delta")).Select(static data => data.GetProperty("delta").GetProperty("text").GetString())));
    }

    [Fact]
    public async Task An_attempt_that_says_something_else_is_not_the_answer()
    {
        var (events, _) = await AskAsync(Breaks("Hello, "), ScriptedUpstream.Says("Good morning."));
        Assert.Equal("Hello, ", Text(events));
        Assert.Equal("response.failed", events[^1].GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_call_that_broke_off_is_never_continued()
    {
        var call = ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]},"finish_reason":null}""");
        var (events, _) = await AskAsync(
            async reply =>
            {
                await reply.EventAsync(call);
                await reply.CutAsync();
            },
            ScriptedUpstream.Says("Hello"));
        Assert.Equal("response.failed", events[^1].GetProperty("type").GetString());
        Assert.DoesNotContain(events, static data => data.GetProperty("type").ValueEquals("response.output_text.delta"));
    }
}
