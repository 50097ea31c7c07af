using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Responses.Upstream;
using Sluice.Protocol.ServerSentEvents;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.Tests.Protocol.Responses.Upstream;

/// <summary>What events of the Responses API become for a client of the same API: the same bytes, but for what is the hub's.</summary>
public sealed class ResponsesRelayTests
{
    private static readonly RelayOptions s_answer = new("resp_hub", "m", 1_700_000_000) { KeepsUpstreamModel = true };

    private static (ResponsesRelay Relay, string Text) Run(RelayOptions answer, IEnumerable<string> events)
    {
        var relay = new ResponsesRelay(answer);
        var output = new EventBuffer();
        var last = FrameKind.Empty;
        foreach (var data in events) last = relay.Add(Encoding.UTF8.GetBytes(data), output);
        Assert.Null(relay.Error);
        Assert.Equal(FrameKind.Done, last);
        Assert.True(relay.IsFinished);
        relay.WriteEnd(output);
        return (relay, Encoding.UTF8.GetString(output.WrittenSpan));
    }

    private static string Wire(params string[] events) => Frame(events).Replace("resp_up", "resp_hub", StringComparison.Ordinal);

    [Fact]
    public void Everything_passes_unchanged_but_the_id_also_what_nobody_knows()
    {
        string[] events =
        [
            .. Start(), .. Reasoning(0, "Let me", " see."), .. Message(1, "Gr\\u00fc", "ß"), .. CallOf(2, "c", "f", "{ }"),
            """{"type":"response.new_thing", "sequence_number":0 , "b" : [1, 2.50 ,{}], "é":"\u00e9"}""",
            """{"type":"response.output_text.annotation.added","sequence_number":0,"output_index":1,"annotation":{"type":"url_citation"}}""", Completed(MessageItem(1, "x")),
        ];
        var (relay, text) = Run(s_answer, Number(events));
        Assert.Equal(Wire(events), text);
        Assert.Equal(new AnswerUsage(25, 5, 15, 4) { CacheWrittenTokens = 3 }, relay.ReadUsage());
        Assert.True(relay.HasUsage && relay.ContentCount > 0);
    }

    [Fact]
    public void A_model_with_another_name_here_has_that_name()
    {
        var (_, text) = Run(s_answer with { KeepsUpstreamModel = false }, Number([.. Start(), .. Message(0, "a"), Completed(MessageItem(0, "a"))]));
        Assert.Equal(3, text.Split("\"model\":\"m\"").Length - 1);
        Assert.DoesNotContain("gpt-x", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_are_places_also_where_an_event_is_dropped_or_has_none()
    {
        string[] events = [.. Start(), """{"type":"keepalive","sequence_number":2}""", .. Message(0, "a"), Completed(MessageItem(0, "a"))];
        string[] without = [.. Start(), .. Message(0, "a"), Completed(MessageItem(0, "a"))];
        Assert.Equal(Wire(without), Run(s_answer, events).Text);
        var missing = events.Select(data => data.Replace(",\"sequence_number\":0", "", StringComparison.Ordinal));
        var numbers = Run(s_answer, missing).Text.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => (int)JsonNode.Parse(line[6..])!["sequence_number"]!).ToArray();
        Assert.Equal(Enumerable.Range(0, numbers.Length), numbers);
    }

    [Theory]
    [InlineData("\"output\":[],")]
    [InlineData("\"output\":[ ],")]
    [InlineData("\"output\":null,")]
    [InlineData("")]
    public void An_end_without_items_gets_those_that_came(string output)
    {
        var end = Completed().Replace("\"output\":[],", output, StringComparison.Ordinal);
        var (_, text) = Run(s_answer, Number([.. Start(), .. Message(0, "a"), .. CallOf(1, "c", "f", "{}"), end]));
        var response = JsonNode.Parse(text.Split("data: ")[^1])!["response"]!;
        Assert.Equal(("a", "{}"), ((string?)response["output"]![0]!["content"]![0]!["text"], (string?)response["output"]![1]!["arguments"]));
    }

    [Theory]
    [InlineData("""{"input_tokens":1,"output_tokens":2}""", """{"input_tokens":1,"output_tokens":2,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}""")]
    [InlineData("""{"input_tokens":1,"input_tokens_details":{},"output_tokens":2,"output_tokens_details":null,"total_tokens":3}""", """{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}""")]
    [InlineData("""{"input_tokens":1,"input_tokens_details":{"cached_tokens":1,"x":2},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":3}""", null)]
    public void Missing_details_of_usage_are_zeros(string usage, string? expected)
    {
        var end = $$$"""{"type":"response.completed","sequence_number":0,"response":{{{Response("completed", MessageItem(0, "a"), usage)}}}}""";
        var (relay, text) = Run(s_answer, Number([.. Start(), .. Message(0, "a"), end]));
        Assert.EndsWith($"\"usage\":{expected ?? usage}}}}}\n\n", text, StringComparison.Ordinal);
        Assert.Equal((1, 2), (relay.ReadUsage().PromptTokens, relay.ReadUsage().CompletionTokens));
    }

    [Theory]
    [InlineData("""{"type":"error","sequence_number":2,"code":"server_error","message":"Oh."}""")]
    [InlineData("""{"type":"response.failed","sequence_number":2,"response":{"id":"resp_up","status":"failed","error":{"code":"server_error","message":"Oh."}}}""")]
    [InlineData("[DONE]")]
    [InlineData("""{"type":"response.completed","sequence_number":2}""")]
    [InlineData("""{"sequence_number":2}""")]
    [InlineData("""{"type":"x"} {"type":"y"}""")]
    public void A_failure_is_no_event(string data)
    {
        var relay = new ResponsesRelay(s_answer);
        var output = new EventBuffer();
        foreach (var before in Number(Start())) Assert.Equal(FrameKind.Empty, relay.Add(Encoding.UTF8.GetBytes(before), output));
        Assert.Equal(FrameKind.Failed, relay.Add(Encoding.UTF8.GetBytes(data), output));
        Assert.Equal((2, false, false), (output.Count, relay.HasAnswer, relay.IsFinished));
        Assert.NotNull(relay.Error);
    }

    [Fact]
    public void The_end_is_held_until_the_stream_has_ended()
    {
        var relay = new ResponsesRelay(s_answer);
        var output = new EventBuffer();
        string[] events = [.. Start(), .. Message(0, "a"), Completed(MessageItem(0, "a"))];
        foreach (var data in Number(events)) relay.Add(Encoding.UTF8.GetBytes(data), output);
        Assert.Equal(events.Length - 1, output.Count);
        relay.WriteEnd(output);
        Assert.Equal(events.Length, output.Count);
    }

    [Fact]
    public void Data_of_several_lines_becomes_one_line()
    {
        var (_, text) = Run(s_answer, Number([.. Start(), .. Message(0, "a"), Completed(MessageItem(0, "a")).Replace("{\"type\"", "{\n\"type\"", StringComparison.Ordinal)]));
        Assert.Contains("event: response.completed\ndata: { \"type\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_whole_answer_is_passed_on_and_what_is_none_is_not()
    {
        var relay = new ResponsesRelay(s_answer);
        var json = Response("completed", MessageItem(0, "a"), """{"input_tokens":1,"output_tokens":2}""");
        Assert.True(relay.TryReadWhole(Encoding.UTF8.GetBytes($" {json}\n"), out var whole));
        var expected = json.Replace("resp_up", "resp_hub", StringComparison.Ordinal).Replace("\"output_tokens\":2}", "\"output_tokens\":2,\"input_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":3}", StringComparison.Ordinal);
        Assert.Equal((expected, false), (Encoding.UTF8.GetString(whole.Json.Span), whole.IsUsageEstimated));
        foreach (var other in (string[])["{}", "[]", "x", Response("failed", error: """{"code":"x","message":"y"}"""), Response("in_progress"), json + "x"])
            Assert.False(new ResponsesRelay(s_answer).TryReadWhole(Encoding.UTF8.GetBytes(other), out _));
    }

    [Fact]
    public void An_object_in_place_of_a_stream_is_taken_apart_by_a_translation()
    {
        var relay = new ResponsesRelay(s_answer, () => new ResponsesTranslation(s_answer, ChatDialect.Instance.CreateWriter(new AnswerHead("resp_hub", 1, "m")), []));
        var output = new EventBuffer();
        Assert.Equal(FrameKind.Done, relay.AddWhole(Encoding.UTF8.GetBytes(Response("completed", MessageItem(0, "Hello"))), output));
        relay.WriteEnd(output);
        Assert.Contains("\"content\":\"Hello\"", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
        Assert.Equal(FrameKind.Failed, new ResponsesRelay(s_answer).AddWhole("{}"u8, output));
    }
}
