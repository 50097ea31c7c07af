using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Messages;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Messages;

/// <summary>What a model says, as events of the Messages API. The expected events are written by hand from the vendor's types.</summary>
public sealed class MessagesDeltaWriterTests
{
    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);
    private static readonly AnswerHead s_head = new("msg_1", 1_700_000_000, "m") { PromptTokens = 7, Seal = s_seal };
    private static readonly AnswerUsage s_usage = new(10, 4, 3, 2);

    private const string Start =
        """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}""";

    private const string Usage =
        """{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3,"output_tokens_details":{"thinking_tokens":2}}""";

    private static string End(string reason, string sequence = "null") =>
        $$$"""{"type":"message_delta","delta":{"stop_reason":"{{{reason}}}","stop_sequence":{{{sequence}}}},"usage":{{{Usage}}}}""";

    private static string Open(int index, string block) => $$$"""{"type":"content_block_start","index":{{{index}}},"content_block":{{{block}}}}""";

    private static string Piece(int index, string delta) => $$$"""{"type":"content_block_delta","index":{{{index}}},"delta":{{{delta}}}}""";

    private static string Close(int index) => $$"""{"type":"content_block_stop","index":{{index}}}""";

    private const string Stop = """{"type":"message_stop"}""";
    private const string TextBlock = """{"type":"text","text":""}""";
    private const string ThinkingBlock = """{"type":"thinking","thinking":"","signature":""}""";

    private static List<string> Split(EventBuffer output)
    {
        var data = new List<string>();
        for (var i = 0; i < output.Count; i++)
        {
            var lines = Encoding.UTF8.GetString(output[i]).Split('\n');
            Assert.Equal($"event: {(string?)JsonNode.Parse(lines[1]["data: ".Length..])!["type"]}", lines[0]);
            Assert.Equal(["", ""], lines[2..]);
            data.Add(lines[1]["data: ".Length..]);
        }
        return data;
    }

    private static List<string> Write(Action<DeltaWriter, EventBuffer> say, AnswerFinish? finish = null)
    {
        var output = new EventBuffer();
        var writer = MessagesDialect.Instance.CreateWriter(s_head);
        writer.Begin(output, isText: true);
        say(writer, output);
        writer.Finish(output, 0, finish ?? AnswerEnd.Stop);
        writer.Usage(output, s_usage, isEstimated: false);
        return Split(output);
    }

    private static List<string> Translate(params string[] chunks)
    {
        var output = new EventBuffer();
        var relay = new ChunkTranslation(new RelayOptions("msg_1", "m", 1) { Origin = "chat/x" }, MessagesDialect.Instance.CreateWriter(s_head));
        foreach (var chunk in chunks) relay.Add(Encoding.UTF8.GetBytes(chunk), output);
        relay.Add("[DONE]"u8, output);
        relay.WriteEnd(output);
        return Split(output);
    }

    private static string Chunk(string delta) => ScriptedUpstream.Chunk($$$"""{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":null}""");

    private static string SignatureOf(string origin, string json) => s_seal.Seal(new ReasoningBlob(origin, Encoding.UTF8.GetBytes(json)));

    [Fact]
    public void Door_071_text_has_the_order_of_the_API() => Assert.Equal(
        [Start, Open(0, TextBlock), Piece(0, """{"type":"text_delta","text":"Hel\n\""}"""), Piece(0, """{"type":"text_delta","text":"lo"}"""), Close(0), End("end_turn"), Stop],
        Write(static (writer, output) =>
        {
            writer.Text(output, 0, "Hel\n\""u8, default);
            writer.Text(output, 0, ""u8, default);
            writer.Text(output, 0, "lo"u8, default);
        }));

    [Fact]
    public void An_answer_of_nothing_has_no_block() => Assert.Equal([Start, End("end_turn"), Stop], Write(static (_, _) => { }));

    [Fact]
    public void Door_073_thinking_is_closed_with_a_signature_before_text_opens() => Assert.Equal(
        [
            Start, Open(0, ThinkingBlock), Piece(0, """{"type":"thinking_delta","thinking":"Hm"}"""),
            Piece(0, $$"""{"type":"signature_delta","signature":"{{SignatureOf("chat/local", "\"Hm\"")}}"}"""), Close(0),
            Open(1, TextBlock), Piece(1, """{"type":"text_delta","text":"a"}"""), Close(1), End("max_tokens"), Stop,
        ],
        Write(
            static (writer, output) =>
            {
                writer.Reasoning(output, 0, "Hm"u8);
                writer.Text(output, 0, "a"u8, default);
            },
            AnswerEnd.Length));

    [Fact]
    public void Reasoning_that_nobody_sees_is_an_empty_block_with_its_seal() => Assert.Equal(
        [
            Start, Open(0, ThinkingBlock), Piece(0, $$"""{"type":"signature_delta","signature":"{{SignatureOf("responses/a", "{\"id\":1}")}}"}"""), Close(0),
            Open(1, TextBlock), Piece(1, """{"type":"text_delta","text":"a"}"""), Close(1), End("refusal"), Stop,
        ],
        Write(
            static (writer, output) =>
            {
                writer.EndReasoning(output, 0, new ReasoningBlob("responses/a", "{\"id\":1}"u8.ToArray()));
                writer.Text(output, 0, "a"u8, default);
            },
            AnswerEnd.ContentFilter));

    [Fact]
    public void Calls_are_blocks_and_wait_for_results_whatever_the_reason_is() => Assert.Equal(
        [
            Start, Open(0, TextBlock), Piece(0, """{"type":"text_delta","text":"I look."}"""), Close(0),
            Open(1, """{"type":"tool_use","id":"call_1","name":"f","input":{}}"""), Piece(1, """{"type":"input_json_delta","partial_json":"{\"x\":"}"""), Piece(1, """{"type":"input_json_delta","partial_json":"1}"}"""), Close(1),
            Open(2, """{"type":"tool_use","id":"a_b","name":"g","input":{}}"""), Close(2), End("tool_use"), Stop,
        ],
        Write(static (writer, output) =>
        {
            writer.Text(output, 0, "I look."u8, default);
            writer.Call(output, 0, 0, CallKind.Function, "call_1", "f");
            writer.Input(output, 0, 0, CallKind.Function, "{\"x\":"u8);
            writer.Input(output, 0, 0, CallKind.Function, "1}"u8);
            writer.Call(output, 0, 1, CallKind.Function, "a.b", "g");
        }));

    [Fact]
    public void Text_within_a_call_waits_for_its_end() => Assert.Equal(
        [
            Start, Open(0, """{"type":"tool_use","id":"a","name":"f","input":{}}"""), Piece(0, """{"type":"input_json_delta","partial_json":"{\"x\":"}"""),
            Piece(0, """{"type":"input_json_delta","partial_json":"1}"}"""), Close(0), Open(1, TextBlock), Piece(1, """{"type":"text_delta","text":"t"}"""), Close(1), End("tool_use"), Stop,
        ],
        Write(static (writer, output) =>
        {
            writer.Call(output, 0, 0, CallKind.Function, "a", "f");
            writer.Input(output, 0, 0, CallKind.Function, "{\"x\":"u8);
            writer.Text(output, 0, "t"u8, default);
            writer.Input(output, 0, 0, CallKind.Function, "1}"u8);
        }));

    [Fact]
    public void Door_098_a_stop_sequence_is_named() =>
        Assert.Equal(End("stop_sequence", "\"END\""), Write(static (_, _) => { }, new AnswerFinish(AnswerEnd.Stop) { StopText = "END" })[1]);

    [Fact]
    public void Door_072_interleaved_calls_of_a_chat_upstream_are_blocks_one_behind_the_other() => Assert.Equal(
        ["message_start 0", "content_block_start 0", "content_block_delta 0", "content_block_stop 0", "content_block_start 1", "content_block_delta 1", "content_block_delta 1",
         "content_block_stop 1", "content_block_start 2", "content_block_delta 2", "content_block_stop 2", "message_delta 0", "message_stop 0"],
        Translate(
            Chunk("""{"role":"assistant","content":""}"""), Chunk("""{"content":"I look."}"""),
            Chunk("""{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}}]}"""),
            Chunk("""{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{\"y\":2}"}}]}"""),
            Chunk("""{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"""), ScriptedUpstream.Finish("stop"))
        .Select(data => JsonNode.Parse(data)!).Select(data => $"{data["type"]} {data["index"] ?? 0}"));

    [Fact]
    public void Reasoning_of_a_chat_upstream_is_sealed_for_the_next_request()
    {
        var events = Translate(Chunk("""{"reasoning_content":"H"}"""), Chunk("""{"reasoning_content":"m"}"""), Chunk("""{"content":"x"}"""), ScriptedUpstream.Finish());
        var signature = (string?)JsonNode.Parse(events[4])!["delta"]!["signature"];
        Assert.True(s_seal.TryOpen(signature, out var blob));
        Assert.Equal(("chat/x", "\"Hm\""), (blob.Origin, Encoding.UTF8.GetString(blob.Json.Span)));
        Assert.Equal(["content_block_stop", "content_block_start"], events[5..7].Select(data => (string?)JsonNode.Parse(data)!["type"]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public void An_answer_is_taken_up_at_any_event(int count)
    {
        static Action[] Steps(DeltaWriter writer, EventBuffer output) =>
        [
            () => writer.Begin(output, true), () => writer.Reasoning(output, 0, "H"u8), () => writer.Reasoning(output, 0, "m"u8), () => writer.Text(output, 0, "a"u8, default),
            () => writer.Text(output, 0, "b"u8, default), () => writer.Call(output, 0, 0, CallKind.Function, "c", "f"), () => writer.Input(output, 0, 0, CallKind.Function, "{}"u8),
            () => writer.Finish(output, 0, AnswerEnd.Stop), () => writer.Usage(output, s_usage, false),
        ];

        var (whole, parts) = (new EventBuffer(), new EventBuffer());
        foreach (var say in Steps(MessagesDialect.Instance.CreateWriter(s_head), whole)) say();
        // The rest is said to another writer, which knows only the events of the first one.
        foreach (var say in Steps(MessagesDialect.Instance.CreateWriter(s_head), parts)[..count]) say();
        var next = MessagesDialect.Instance.CreateWriter(s_head);
        var past = new EventBuffer();
        parts.CopyTo(past);
        next.Restore(past);
        foreach (var say in Steps(next, parts)[count..]) say();
        Assert.Equal(Split(whole), Split(parts));
    }

    [Fact]
    public void A_cancelled_answer_gets_a_regular_end()
    {
        var output = new EventBuffer();
        var writer = MessagesDialect.Instance.CreateWriter(s_head);
        writer.Begin(output, true);
        writer.Text(output, 0, "a"u8, default);
        var end = new EventBuffer();
        Assert.True(MessagesDialect.Instance.TryWriteStop(s_head, output, isWhole: true, [false], s_usage, false, end));
        Assert.Equal([Close(0), End("end_turn"), Stop], Split(end));
        // Whatever is still kept says which block is open.
        var tail = new EventBuffer();
        tail.Write(output[2]);
        tail.EndEvent();
        end.Clear();
        Assert.True(MessagesDialect.Instance.TryWriteStop(s_head, tail, isWhole: false, [false], s_usage, false, end));
        Assert.Equal([Close(0), End("end_turn"), Stop], Split(end));
        Assert.False(MessagesDialect.Instance.TryWriteStop(s_head, new EventBuffer(), isWhole: false, [false], s_usage, false, end));
        end.Clear();
        Assert.True(MessagesDialect.Instance.TryWriteStop(s_head, new EventBuffer(), isWhole: true, [false], s_usage, false, end));
        Assert.Equal([Start, End("end_turn"), Stop], Split(end));
    }

    [Fact]
    public void The_fold_of_the_events_is_the_message()
    {
        var output = new EventBuffer();
        var writer = MessagesDialect.Instance.CreateWriter(s_head);
        writer.Begin(output, true);
        writer.Reasoning(output, 0, "Hm 🙂"u8);
        writer.Text(output, 0, "a\""u8, default);
        writer.Text(output, 0, "b"u8, default);
        writer.Call(output, 0, 0, CallKind.Function, "c", "f");
        writer.Input(output, 0, 0, CallKind.Function, "{\"x\":"u8);
        writer.Input(output, 0, 0, CallKind.Function, "\"\\n\"}"u8);
        writer.Finish(output, 0, AnswerEnd.ToolCalls);
        writer.Usage(output, s_usage, false);
        var fold = MessagesDialect.Instance.CreateFold();
        fold.Add(output.WrittenSpan);
        fold.End();
        Assert.Null(fold.Error);
        var json = new EventBuffer();
        fold.WriteTo(json);
        Assert.Equal(
            """{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"Hm 🙂","signature":"SIGNATURE"},{"type":"text","text":"a\"b"},{"type":"tool_use","id":"c","name":"f","input":{"x":"\n"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":"""
                .Replace("SIGNATURE", SignatureOf("chat/local", "\"Hm 🙂\""), StringComparison.Ordinal) + Usage + "}",
            Encoding.UTF8.GetString(json.WrittenSpan));
        // And a message as one object is given to readers of a stream as the same events.
        var streamed = new EventBuffer();
        MessagesDialect.Instance.WriteStreamed(json.WrittenSpan, streamed);
        Assert.Equal(1, streamed.Count);
        var again = MessagesDialect.Instance.CreateFold();
        again.Add(streamed.WrittenSpan);
        again.End();
        var second = new EventBuffer();
        again.WriteTo(second);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(json.WrittenSpan), JsonNode.Parse(second.WrittenSpan)));
        var numbered = new EventBuffer();
        MessagesDialect.Instance.WriteNumbered(numbered, "msg_1"u8, 4, streamed);
        Assert.EndsWith("\n\nid: msg_1:5\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", Encoding.UTF8.GetString(numbered.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public void A_piece_of_text_costs_no_allocation()
    {
        var output = new EventBuffer(1 << 16);
        var writer = MessagesDialect.Instance.CreateWriter(s_head);
        writer.Begin(output, true);
        writer.Text(output, 0, "Hello"u8, default);
        var bytes = AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 100; i++)
            {
                output.Clear();
                writer.Text(output, 0, "Hello"u8, default);
            }
        });
        Assert.Equal(0, bytes);
    }
}
