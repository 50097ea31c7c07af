using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Messages;
using Sluice.Protocol.ServerSentEvents;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.Tests.Protocol.Messages;

/// <summary>Events of an upstream of the Messages API for a client of it: what is changed, what is held, and what fails.</summary>
public sealed class MessagesRelayTests
{
    private static readonly RelayOptions s_answer = new("msg_hub", "m", 1) { EstimatedPromptTokens = 5 };

    private static (string Text, MessagesRelay Relay, FrameKind Last) Run(RelayOptions answer, params string[] events)
    {
        var relay = new MessagesRelay(answer);
        var (output, last) = (new EventBuffer(), FrameKind.Empty);
        foreach (var data in events) last = relay.Add(Encoding.UTF8.GetBytes(data), output);
        if (relay.IsFinished) relay.WriteEnd(output);
        return (Encoding.UTF8.GetString(output.WrittenSpan), relay, last);
    }

    [Theory]
    [InlineData("""{"type":"content_block_stop","index":0} x""")]
    [InlineData("""{"type":"content_block_stop","index":0}{}""")]
    [InlineData("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"\u00fe\"}}")]
    public void What_no_client_could_read_is_not_passed(string data)
    {
        var relay = new MessagesRelay(s_answer);
        var output = new EventBuffer();
        foreach (var first in (string[])[Start(), Block(0, """{"type":"text","text":""}""")]) relay.Add(Encoding.UTF8.GetBytes(first), output);
        // Latin 1: a lone byte that is no UTF-8.
        Assert.Equal(FrameKind.Failed, relay.Add(Encoding.Latin1.GetBytes(data), output));
    }

    [Fact]
    public void Door_082_every_byte_stays_but_the_id_and_an_aliased_name()
    {
        string[] events =
        [
            Start(",\"cache_read_input_tokens\":100,\"server_tool_use\":{\"web_search_requests\": 0}"),
            Block(0, """{"type":"thinking","thinking":"","signature":"", "more":1}"""), Delta(0, """{"type":"thinking_delta","thinking":"\u00fc"}"""), Delta(0, """{"type":"signature_delta","signature":"c2ln"}"""), End(0),
            Block(1, """{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"""), Json("{\\\"q\\\":1}", 1), End(1),
            Block(2, """{"type":"web_search_tool_result","tool_use_id":"s","content":[]}"""), End(2),
            .. TextBlock(3, "x"), Delta(3, """{"type":"brand_new_delta","a": [1.0]}"""), """{"type":"brand_new","b": 1e2}""", Finish("pause_turn", ",\"cache_creation_input_tokens\":7"), Stop,
        ];
        var (text, relay, last) = Run(s_answer, events);
        var expected = Frame(events).Replace("\"id\":\"msg_1\"", "\"id\":\"msg_hub\"", StringComparison.Ordinal).Replace("\"claude-x\"", "\"m\"", StringComparison.Ordinal);
        Assert.Equal(expected, text);
        Assert.Equal(FrameKind.Done, last);
        Assert.Equal(new AnswerUsage(132, 100, 15) { CacheWrittenTokens = 7 }, relay.ReadUsage());
        Assert.Equal(expected.Replace("\"m\"", "\"claude-x\"", StringComparison.Ordinal), Run(s_answer with { KeepsUpstreamModel = true }, events).Text);
    }

    [Fact]
    public void Pings_are_the_hubs_own() =>
        Assert.DoesNotContain("ping", Run(s_answer, Start(), """{"type":"ping"}""", Text("x")).Text, StringComparison.Ordinal);

    [Fact]
    public void The_reason_of_the_end_is_held_until_the_end_has_come()
    {
        var (text, relay, _) = Run(s_answer, [Start(), .. TextBlock(0, "x"), Finish()]);
        Assert.False(relay.IsFinished);
        Assert.True(relay.HasAnswer);
        Assert.DoesNotContain("message_delta", text, StringComparison.Ordinal);
        // What follows it was no end.
        var (later, _, _) = Run(s_answer, [Start(), .. TextBlock(0, "x"), Finish(), .. TextBlock(1, "y")]);
        Assert.True(later.IndexOf("message_delta", StringComparison.Ordinal) < later.IndexOf("\"y\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Only_what_a_model_says_is_content()
    {
        var relay = new MessagesRelay(s_answer);
        foreach (var data in (string[])[Start(), """{"type":"ping"}""", Block(0, """{"type":"text","text":""}"""), End(0)])
            Assert.Equal(FrameKind.Empty, relay.Add(Encoding.UTF8.GetBytes(data), new EventBuffer()));
        Assert.Equal(0, relay.ContentCount);
        foreach (var data in (string[])[Text("x"), Block(1, """{"type":"tool_use","id":"a","name":"f","input":{}}""")])
            Assert.Equal(FrameKind.Content, relay.Add(Encoding.UTF8.GetBytes(data), new EventBuffer()));
    }

    [Theory]
    [InlineData("overloaded_error", 529)]
    [InlineData("api_error", 500)]
    [InlineData("invalid_request_error", 400)]
    public void An_error_event_fails_with_its_words(string type, int status)
    {
        var (_, relay, last) = Run(s_answer, Start(), Error(type, "Too much"));
        Assert.Equal((FrameKind.Failed, status, "Too much"), (last, relay.Error!.Status, relay.Error.Message));
    }

    [Theory]
    [InlineData("<html>")]
    [InlineData("{\"choices\":[]}")]
    [InlineData("{\"type\":\"a b\"}")]
    [InlineData("{\"type\":\"message_start\"}")]
    [InlineData("{\"type\":\"content_block_start\",\"index\":0}")]
    public void Garbage_fails(string data) => Assert.Equal("upstream_invalid_event", Run(s_answer, data).Relay.Error!.Code);

    [Fact]
    public void A_message_as_one_object_keeps_its_bytes()
    {
        const string Message =
            """{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"a", "citations":null},{"type":"brand_new","x":[1.0]}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}""";
        var relay = new MessagesRelay(s_answer);
        Assert.True(relay.TryReadWhole(Encoding.UTF8.GetBytes($"\n{Message}\n"), out var whole));
        Assert.Equal(Message.Replace("msg_1", "msg_hub", StringComparison.Ordinal).Replace("claude-x", "m", StringComparison.Ordinal), Encoding.UTF8.GetString(whole.Json.Span));
        Assert.Equal((new AnswerUsage(3, 0, 2), false), (whole.Usage, whole.IsUsageEstimated));
        // For a client that reads a stream it is taken apart, and says the same.
        var output = new EventBuffer();
        Assert.Equal(FrameKind.Done, relay.AddWhole(Encoding.UTF8.GetBytes(Message), output));
        relay.WriteEnd(output);
        var fold = MessagesDialect.Instance.CreateFold();
        fold.Add(output.WrittenSpan);
        fold.End();
        var folded = new EventBuffer();
        fold.WriteTo(folded);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(whole.Json.Span), JsonNode.Parse(folded.WrittenSpan)));
        foreach (var other in (string[])["{}", """{"type":"error","error":{}}""", """{"type":"message","content":[1]}""", "[]", "x"])
            Assert.False(relay.TryReadWhole(Encoding.UTF8.GetBytes(other), out _));
    }

    [Fact]
    public void A_fold_that_broke_off_is_an_error_and_a_cut_input_is_none()
    {
        var fold = MessagesDialect.Instance.CreateFold();
        fold.Add(Encoding.UTF8.GetBytes(Frame([Start(), .. ToolBlock(0, "a", "f", "{\\\"x\\\":")])));
        var output = new EventBuffer();
        fold.WriteSoFar(output, new AnswerHead("msg_1", 0, "m"), "\"state\":\"running\""u8);
        var message = JsonNode.Parse(output.WrittenSpan)!;
        Assert.Equal(("{}", "running"), (message["content"]![0]!["input"]!.ToJsonString(), (string?)message["sluice"]!["state"]));
        fold.End();
        Assert.NotNull(fold.Error);
    }
}
