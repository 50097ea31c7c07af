using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Messages;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.Tests.Protocol.Messages;

/// <summary>What events of Anthropic's become for a client of OpenAI's API.</summary>
public sealed class MessagesTranslationTests
{
    private static readonly RelayOptions s_answer = new("chatcmpl-1", "m", 1_700_000_000) { Origin = "messages/x" };

    private static MessagesTranslation Create(RelayOptions answer, params string[] customTools) => new(
        answer,
        ChatDialect.Instance.CreateWriter(new AnswerHead(answer.Id, answer.Created, answer.Model) { IncludesUsage = answer.IncludesUsage }),
        customTools.ToHashSet());

    private static string[] Run(params string[] events) => Run(s_answer, events);

    private static string[] Run(RelayOptions answer, params string[] events)
    {
        var stream = Create(answer);
        var output = new EventBuffer();
        var last = FrameKind.Empty;
        foreach (var data in events) last = stream.Add(Encoding.UTF8.GetBytes(data), output);
        Assert.Null(stream.Error);
        Assert.Equal(FrameKind.Done, last);
        Assert.True(stream.IsFinished);
        stream.WriteEnd(output);
        return Split(output);
    }

    private static string[] Split(EventBuffer output) =>
        [.. Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line["data: ".Length..])];

    private static string Chunk(string delta, string finish = "null", string usage = "") =>
        $$"""{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"""
        + $$"""{{delta}}},"logprobs":null,"finish_reason":{{finish}}}]{{usage}}"""
        + "}";

    private static string[] Deltas(params string[] events) =>
        [.. Run([Start(), .. events, Stop]).Skip(1).Select(chunk => JsonNode.Parse(chunk)!["choices"]![0]!["delta"]!.ToJsonString())];

    [Fact]
    public void S_text_is_a_stream_of_OpenAIs_shape() => Assert.Equal(
        [
            Chunk("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"),
            Chunk("\"content\":\"Grü\\n\""),
            Chunk("\"content\":\"🙂 🙂\""),
            Chunk("", "\"stop\""),
        ],
        Run(Start(), """{"type":"ping"}""", Block(0, """{"type":"text","text":""}"""), Text("Gr\\u00fc\\n"), Text(""), Text("\\ud83d\\ude42 🙂"), End(0), Finish(), Stop));

    [Fact]
    public void U_usage_counts_the_cache_and_comes_once()
    {
        var chunks = Run(
            s_answer with { IncludesUsage = true },
            [
                Start(",\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":0"), .. TextBlock(0, "x"),
                Finish(usage: ",\"cache_creation_input_tokens\":7,\"output_tokens_details\":{\"thinking_tokens\":4}"), Stop,
            ]);
        Assert.Equal(Chunk("\"content\":\"x\"", usage: ",\"usage\":null"), chunks[1]);
        Assert.Equal(
            "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":[],"
            + "\"usage\":{\"prompt_tokens\":132,\"completion_tokens\":15,\"total_tokens\":147,\"prompt_tokens_details\":{\"cached_tokens\":100,\"audio_tokens\":0},"
            + "\"completion_tokens_details\":{\"reasoning_tokens\":4,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},"
            + "\"sluice\":{\"cache_creation_input_tokens\":7}}",
            chunks[^1]);
        Assert.Equal(4, chunks.Length);
    }

    [Fact]
    public void The_name_of_the_model_is_its_own_where_it_was_asked_for() =>
        Assert.Contains("\"model\":\"claude-x\"", Run(s_answer with { KeepsUpstreamModel = true }, [Start(), .. TextBlock(0, "x"), Finish(), Stop])[^1], StringComparison.Ordinal);

    [Fact]
    public void F01_F05_F07_calls_come_after_text_each_with_one_head() => Assert.Equal(
        [
            """{"content":"Let me see."}""",
            """{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"f","arguments":""}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\u0022x\u0022:"}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":" 1}"}}]}""",
            """{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"g","arguments":""}}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}""",
            "{}",
        ],
        Deltas([.. TextBlock(0, "Let me see."), .. ToolBlock(1, "toolu_1", "f", "", "{\\\"x\\\":", " 1}"), .. ToolBlock(2, "toolu_2", "g", ""), Finish("tool_use")]));

    [Fact]
    public void F06_arguments_that_come_whole_with_the_head_are_not_lost() => Assert.Equal(
        """{"tool_calls":[{"index":0,"function":{"arguments":"{\u0022x\u0022:\u0022\u00FC\u0022}"}}]}""",
        Deltas(Block(0, """{"type":"tool_use","id":"a","name":"f","input":{"x":"ü"}}"""), End(0), Finish("tool_use"))[1]);

    [Fact]
    public void C09_thinking_is_reasoning_and_its_signatures_are_given_once_where_they_are_needed()
    {
        string[] thinking =
        [
            Block(0, """{"type":"thinking","thinking":"","signature":""}"""), Delta(0, """{"type":"thinking_delta","thinking":"Hm \""}"""),
            Delta(0, """{"type":"thinking_delta","thinking":"ok"}"""), Delta(0, """{"type":"signature_delta","signature":"c2ln"}"""), End(0),
            Block(1, """{"type":"redacted_thinking","data":"cmVk"}"""), End(1),
        ];
        string[] reasoning = ["""{"reasoning_content":"Hm \u0022"}""", """{"reasoning_content":"ok"}"""];
        Assert.Equal([.. reasoning, """{"content":"x"}""", "{}"], Deltas([.. thinking, .. TextBlock(2, "x"), Finish()]));
        Assert.Equal(
            [
                .. reasoning, """{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}""",
                """{"sluice":{"thinking":[{"type":"thinking","thinking":"Hm \u0022ok","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"}]}}""", "{}",
            ],
            Deltas([.. thinking, .. ToolBlock(2, "a", "f"), Finish("tool_use")]));
    }

    [Fact]
    public void Citations_tools_of_the_server_and_events_to_come_are_left_out() => Assert.Equal(
        ["""{"content":"x"}""", "{}"],
        Deltas(
            Block(0, """{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"""), Json("{\\\"q\\\":1}", 0), End(0),
            Block(1, """{"type":"web_search_tool_result","tool_use_id":"s","content":[]}"""), End(1),
            Block(2, """{"type":"text","text":"x","citations":[]}"""), Delta(2, """{"type":"citations_delta","citation":{}}"""), End(2),
            """{"type":"brand_new"}""", """{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":3}}""", Finish()));

    [Fact]
    public void Roles_pings_and_empty_texts_are_no_content()
    {
        var stream = Create(s_answer);
        var output = new EventBuffer();
        foreach (var data in (string[])[Start(), """{"type":"ping"}""", Block(0, """{"type":"text","text":""}"""), Text("")])
            Assert.Equal(FrameKind.Empty, stream.Add(Encoding.UTF8.GetBytes(data), output));
        Assert.Equal(FrameKind.Content, stream.Add(Encoding.UTF8.GetBytes(Text("x")), output));
    }

    [Theory]
    [InlineData("end_turn", "stop")]
    [InlineData("stop_sequence", "stop")]
    [InlineData("max_tokens", "length")]
    [InlineData("model_context_window_exceeded", "length")]
    [InlineData("pause_turn", "length")]
    [InlineData("refusal", "content_filter")]
    [InlineData("something_new", "stop")]
    public void G05_reasons_become_OpenAIs(string reason, string expected) =>
        Assert.Equal(Chunk("", $"\"{expected}\""), Run([Start(), .. TextBlock(0, "x"), Finish(reason), Stop])[^1]);

    [Fact]
    public void What_is_said_of_a_refusal_stands_beside_the_reason() => Assert.EndsWith(
        """finish_reason":"content_filter"}],"sluice":{"stop_details":{"type":"refusal",  "explanation":"No."}}}""",
        Run([Start(), .. TextBlock(0, "x"), "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\",\n \"explanation\":\"No.\"}},\"usage\":{\"output_tokens\":3}}", Stop])[^1], StringComparison.Ordinal);

    [Fact]
    public void S12_an_answer_without_content_is_an_answer() => Assert.Equal(2, Run(Start(), Finish(), Stop).Length);

    [Theory]
    [InlineData("overloaded_error", 529)]
    [InlineData("api_error", 500)]
    [InlineData("rate_limit_error", 429)]
    [InlineData("authentication_error", 401)]
    [InlineData("billing_error", 402)]
    [InlineData("timeout_error", 504)]
    [InlineData("invalid_request_error", 400)]
    public void R01_an_error_event_is_an_error_with_its_status(string type, int status)
    {
        var stream = Create(s_answer);
        var output = new EventBuffer();
        stream.Add(Encoding.UTF8.GetBytes(Start()), output);
        Assert.Equal(FrameKind.Failed, stream.Add(Encoding.UTF8.GetBytes(Error(type, "Too much")), output));
        Assert.Equal((status, "Too much", type, null), (stream.Error!.Status, stream.Error.Message, stream.Error.Type, stream.Error.Code));
    }

    [Theory]
    [InlineData("<html>")]
    [InlineData("{\"type\":\"content_block_delta\",\"index\":0}")]
    [InlineData("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":1}}")]
    [InlineData("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}")]
    [InlineData("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\"}}")]
    [InlineData("{\"type\":\"message_start\"}")]
    [InlineData("{\"choices\":[]}")]
    [InlineData("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"cut")]
    public void G10_garbage_fails(string data)
    {
        var stream = Create(s_answer);
        Assert.Equal(FrameKind.Failed, stream.Add(Encoding.UTF8.GetBytes(data), new EventBuffer()));
        Assert.Equal("upstream_invalid_event", stream.Error!.Code);
    }

    [Fact]
    public async Task G07_however_the_bytes_are_cut_the_frames_are_the_same()
    {
        string[] events = [Start(), .. TextBlock(0, "ü🙂", "b"), .. ToolBlock(1, "a", "f", "{\\\"x\\\":1}"), Finish("tool_use"), Stop];
        var expected = Run(events);
        foreach (var text in Fragmenter.LineEndings(Frame(events)))
        {
            foreach (var fragments in Fragmenter.Fragment(Encoding.UTF8.GetBytes(text)))
            {
                var stream = Create(s_answer);
                var output = new EventBuffer();
                await foreach (var item in ServerSentEventReader.ReadAsync(Fragmenter.ToStream(fragments), cancellationToken: TestContext.Current.CancellationToken))
                    stream.Add(item.Data.Span, output);
                stream.WriteEnd(output);
                if (!expected.SequenceEqual(Split(output))) Assert.Equal(expected, Split(output));
            }
        }
    }

    [Fact]
    public void A_piece_of_text_costs_no_allocation()
    {
        var stream = Create(s_answer with { KeepsUpstreamModel = true });
        var output = new EventBuffer(1 << 16);
        byte[] text = Encoding.UTF8.GetBytes(Text("Hello")), start = Encoding.UTF8.GetBytes(Start()), block = Encoding.UTF8.GetBytes(Block(0, """{"type":"text","text":""}"""));
        foreach (var data in (byte[][])[start, block, text, text]) stream.Add(data, output);
        var bytes = AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 100; i++)
            {
                output.Clear();
                stream.Add(text, output);
            }
        });
        Assert.Equal(0, bytes);
    }

    [Fact]
    public void Calls_whose_blocks_overlap_come_one_behind_the_other() => Assert.Equal(
        [
            """{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\u0022x\u0022:"}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}""",
            """{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"{\u0022y\u0022:2}"}}]}""",
            "{}",
        ],
        Deltas(
            Block(0, """{"type":"tool_use","id":"a","name":"f","input":{}}"""), Json("{\\\"x\\\":", 0),
            Block(1, """{"type":"tool_use","id":"b","name":"g","input":{}}"""), Json("{\\\"y\\\":", 1), Json("1}", 0), Json("2}", 1), End(1), End(0), Finish("tool_use")));

    [Fact]
    public void The_input_of_a_custom_tool_is_taken_out_of_its_only_argument()
    {
        var stream = Create(s_answer, "patch");
        var output = new EventBuffer();
        foreach (var data in (string[])[Start(), .. ToolBlock(0, "a", "patch", "{\\\"inp", "ut\\\":\\\"*** ", "Begin\\\\n\\\"}"), Finish("tool_use"), Stop])
            stream.Add(Encoding.UTF8.GetBytes(data), output);
        stream.WriteEnd(output);
        var calls = Split(output).Select(chunk => JsonNode.Parse(chunk)!["choices"]![0]!["delta"]!["tool_calls"]?[0]!["custom"]).Where(call => call is not null).ToList();
        Assert.Equal("patch", (string?)calls[0]!["name"]);
        Assert.Equal("*** Begin\n", string.Concat(calls.Select(call => (string?)call!["input"])));
    }

    [Fact]
    public void A_message_that_comes_as_one_object_is_taken_apart()
    {
        var stream = Create(s_answer);
        var output = new EventBuffer();
        var kind = stream.AddWhole(
            """
            {"type":"message","id":"msg_1","role":"assistant","model":"claude-x","content":[{"type":"text","text":"a"},
             {"type":"tool_use","id":"t","name":"f","input":{"x": 1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}
            """u8,
            output);
        Assert.Equal(FrameKind.Done, kind);
        Assert.Equal((3, 2), (stream.ReadUsage().PromptTokens, stream.ReadUsage().CompletionTokens));
        stream.WriteEnd(output);
        Assert.Equal(
            ["""{"role":"assistant","content":"","refusal":null}""", """{"content":"a"}""", """{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{\u0022x\u0022: 1}"}}]}""", "{}"],
            Split(output).Select(chunk => JsonNode.Parse(chunk)!["choices"]![0]!["delta"]!.ToJsonString()));
    }
}
