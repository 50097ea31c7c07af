using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Responses;
using Sluice.Protocol.ServerSentEvents;
using Xunit;

namespace Sluice.Tests.Protocol.Responses;

/// <summary>The events of a response, by the vendor's description of their order and members.</summary>
public sealed class ResponsesDeltaWriterTests
{
    private const string Request =
        """
        {"model":"m","input":"Hi","tools":[{"type":"function","name":"f","parameters":{}},{"type":"custom","name":"patch"},
        {"type":"namespace","name":"ns","tools":[{"type":"function","name":"g"}]},{"type":"tool_search","execution":"client"},{"type":"web_search"}]}
        """;

    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);

    private readonly EventBuffer _events = new();

    private static AnswerHead Head(string request = Request) =>
        new("resp_1", 1_700_000_000, "m") { Body = Encoding.UTF8.GetBytes(request), Seal = s_seal };

    private static string[] Types(EventBuffer events) =>
        [.. Enumerable.Range(0, events.Count).Select(i => Data(events, i).GetProperty("type").GetString()!["response.".Length..])];

    private static JsonElement Data(EventBuffer events, int index)
    {
        var text = Encoding.UTF8.GetString(events[index]);
        Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
        var lines = text.TrimEnd('\n').Split('\n');
        var data = JsonElement.Parse(lines[1]["data: ".Length..]);
        Assert.Equal($"event: {data.GetProperty("type").GetString()}", lines[0]);
        Assert.Equal(index, data.GetProperty("sequence_number").GetInt32());
        return data;
    }

    // What a model may say: every kind of item.
    private static readonly Action<DeltaWriter, IEventOutput>[] s_story =
    [
        static (writer, output) => writer.Begin(output, isText: true),
        static (writer, output) => writer.Reasoning(output, 0, "I \"th"u8),
        static (writer, output) => writer.Reasoning(output, 0, "ink"u8),
        static (writer, output) => writer.Text(output, 0, "He\n"u8, default),
        static (writer, output) => writer.Text(output, 0, "llo 😀"u8, default),
        static (writer, output) => writer.Refusal(output, 0, "No"u8),
        static (writer, output) => writer.Call(output, 0, 0, CallKind.Function, "call_1", "f"),
        static (writer, output) => writer.Input(output, 0, 0, CallKind.Function, "{\"a\":"u8),
        static (writer, output) => writer.Input(output, 0, 0, CallKind.Function, "1}"u8),
        static (writer, output) => writer.Call(output, 0, 1, CallKind.Custom, "call_2", "patch"),
        static (writer, output) => writer.Input(output, 0, 1, CallKind.Custom, "a\"b"u8),
        static (writer, output) => writer.Call(output, 0, 2, CallKind.Function, "call_3", "ns__g"),
        static (writer, output) => writer.Finish(output, 0, AnswerEnd.ToolCalls),
        static (writer, output) => writer.Usage(output, new AnswerUsage(5, 1, 7, 2), isEstimated: false),
    ];

    [Fact]
    public void Items_follow_one_another_and_each_is_opened_filled_and_closed()
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        foreach (var step in s_story) step(writer, _events);
        Assert.Equal(
            [
                "created", "in_progress",
                "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done",
                "content_part.done", "output_item.done",
                "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done", "content_part.done",
                "output_item.done",
                "output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done",
                "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta", "function_call_arguments.done",
                "output_item.done",
                "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
                "output_item.added", "function_call_arguments.done", "output_item.done",
                "completed",
            ],
            Types(_events));
        var response = Data(_events, _events.Count - 1).GetProperty("response");
        Assert.Equal("completed", response.GetProperty("status").GetString());
        var output = response.GetProperty("output").EnumerateArray().ToArray();
        Assert.Equal(["reasoning", "message", "message", "function_call", "custom_tool_call", "function_call"], output.Select(item => item.GetProperty("type").GetString()));
        Assert.Equal("I \"think", output[0].GetProperty("content")[0].GetProperty("text").GetString());
        Assert.StartsWith("slc1.", output[0].GetProperty("encrypted_content").GetString(), StringComparison.Ordinal);
        Assert.Equal("He\nllo 😀", output[1].GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal("No", output[2].GetProperty("content")[0].GetProperty("refusal").GetString());
        Assert.Equal("{\"a\":1}", output[3].GetProperty("arguments").GetString());
        Assert.Equal("a\"b", output[4].GetProperty("input").GetString());
        Assert.Equal(("ns", "g"), (output[5].GetProperty("namespace").GetString(), output[5].GetProperty("name").GetString()));
        Assert.Equal("web_search", response.GetProperty("sluice").GetProperty("ignored_tools")[0].GetString());
        Assert.Equal(
            """{"input_tokens":5,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":0},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":12}""",
            response.GetProperty("usage").GetRawText());
    }

    // D2: a server that knows functions only is asked for one with the argument input.
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(100)]
    public void The_text_of_a_custom_tool_is_taken_out_of_a_functions_arguments(int size)
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        writer.Begin(_events, isText: false);
        writer.Call(_events, 0, 0, CallKind.Function, "call_1", "patch");
        var arguments = """{"input":"a\"b\nc"}"""u8;
        for (var i = 0; i < arguments.Length; i += size) writer.Input(_events, 0, 0, CallKind.Function, arguments[i..int.Min(i + size, arguments.Length)]);
        writer.Finish(_events, 0, AnswerEnd.ToolCalls);
        var deltas = Enumerable.Range(0, _events.Count).Select(i => Data(_events, i)).Where(data => data.GetProperty("type").ValueEquals("response.custom_tool_call_input.delta"));
        Assert.Equal("a\"b\nc", string.Concat(deltas.Select(data => data.GetProperty("delta").GetString())));
    }

    [Fact]
    public void A_search_for_tools_is_a_call_with_an_object()
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        writer.Begin(_events, isText: false);
        writer.Call(_events, 0, 0, CallKind.Function, "call_1", "tool_search");
        writer.Input(_events, 0, 0, CallKind.Function, "{\"query\":\"x\"}"u8);
        writer.Finish(_events, 0, AnswerEnd.ToolCalls);
        var item = Data(_events, _events.Count - 1).GetProperty("item");
        Assert.Equal("tool_search_call", item.GetProperty("type").GetString());
        Assert.Equal(("client", "x"), (item.GetProperty("execution").GetString(), item.GetProperty("arguments").GetProperty("query").GetString()));
    }

    [Fact]
    public void What_is_said_of_a_refusal_is_in_the_last_event()
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        writer.Begin(_events, isText: true);
        writer.Text(_events, 0, "x"u8, default);
        writer.Finish(_events, 0, new AnswerFinish(AnswerEnd.ContentFilter) { Details = Encoding.UTF8.GetBytes("""{"type":"refusal"}""") });
        writer.Usage(_events, new AnswerUsage(1, 0, 1), isEstimated: true);
        Assert.False(Data(_events, 0).GetProperty("response").GetProperty("sluice").TryGetProperty("stop_details", out _));
        var ours = Data(_events, _events.Count - 1).GetProperty("response").GetProperty("sluice");
        Assert.Equal("""{"ignored_tools":["web_search"],"stop_details":{"type":"refusal"},"usage_estimated":true}""", ours.GetRawText());
    }

    // The first attempt may have been another server's, of another dialect.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Reasoning_that_another_attempt_began_is_closed_as_what_it_is(bool isSummary)
    {
        var first = ResponsesDialect.Instance.CreateWriter(Head() with { ReasoningIsSummary = isSummary });
        first.Begin(_events, isText: false);
        first.Reasoning(_events, 0, "Hm"u8);
        var second = ResponsesDialect.Instance.CreateWriter(Head() with { ReasoningIsSummary = !isSummary });
        second.Restore(_events);
        second.Text(_events, 0, "x"u8, default);
        var done = Enumerable.Range(0, _events.Count).Select(i => Data(_events, i)).First(data => data.GetProperty("type").ValueEquals("response.output_item.done")).GetProperty("item");
        Assert.Equal("Hm", done.GetProperty(isSummary ? "summary" : "content")[0].GetProperty("text").GetString());
    }

    [Fact]
    public void A_search_that_was_suspended_in_the_middle_keeps_its_arguments()
    {
        var first = ResponsesDialect.Instance.CreateWriter(Head());
        first.Begin(_events, isText: false);
        first.Call(_events, 0, 0, CallKind.Function, "call_1", "f");
        first.Input(_events, 0, 0, CallKind.Function, "{}"u8);
        first.Call(_events, 0, 1, CallKind.Function, "call_2", "tool_search");
        first.Input(_events, 0, 1, CallKind.Function, "{\"query\":"u8);

        // As the engine replays them.
        var second = ResponsesDialect.Instance.CreateWriter(Head());
        second.Restore(_events);
        second.PassCall(0, "call_1", "search");
        second.PassInput(0, "{}"u8);
        second.PassCall(0, "call_1", "search");
        second.PassInput(0, "{\"query\":"u8);
        second.Input(_events, 0, 1, CallKind.Function, "\"x\"}"u8);
        second.Finish(_events, 0, AnswerEnd.ToolCalls);
        Assert.Equal("""{"query":"x"}""", Data(_events, _events.Count - 1).GetProperty("item").GetProperty("arguments").GetRawText());
    }

    [Fact]
    public void A_writer_that_takes_up_an_answer_at_any_event_writes_the_same_rest()
    {
        var whole = new EventBuffer();
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        var ends = new List<int>();
        foreach (var step in s_story)
        {
            step(writer, whole);
            ends.Add(whole.Count);
        }
        for (var done = 1; done < s_story.Length; done++)
        {
            var events = new EventBuffer();
            for (var i = 0; i < ends[done - 1]; i++)
            {
                events.Write(whole[i]);
                events.EndEvent();
            }
            var other = ResponsesDialect.Instance.CreateWriter(Head());
            other.Restore(events);
            foreach (var step in s_story[done..]) step(other, events);
            Assert.Equal(Encoding.UTF8.GetString(whole.WrittenSpan), Encoding.UTF8.GetString(events.WrittenSpan));
        }
    }

    [Theory]
    [InlineData(AnswerEnd.Length, "max_output_tokens")]
    [InlineData(AnswerEnd.ContentFilter, "content_filter")]
    public void A_cut_answer_is_incomplete_and_so_is_its_last_item(AnswerEnd end, string reason)
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        writer.Begin(_events, isText: true);
        writer.Text(_events, 0, "a"u8, default);
        writer.Finish(_events, 0, end);
        writer.Usage(_events, new AnswerUsage(1, 0, 1), isEstimated: true);
        var last = Data(_events, _events.Count - 1);
        Assert.Equal("response.incomplete", last.GetProperty("type").GetString());
        var response = last.GetProperty("response");
        Assert.Equal(reason, response.GetProperty("incomplete_details").GetProperty("reason").GetString());
        Assert.Equal("incomplete", response.GetProperty("output")[0].GetProperty("status").GetString());
        Assert.True(response.GetProperty("sluice").GetProperty("usage_estimated").GetBoolean());
    }

    [Fact]
    public void The_fold_is_the_object_of_the_last_event_and_before_it_the_items_that_are_closed()
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        var fold = ResponsesDialect.Instance.CreateFold();
        foreach (var step in s_story[..^2]) step(writer, _events);
        fold.Add(_events.WrittenSpan);
        var soFar = new ArrayBufferWriter<byte>();
        fold.WriteSoFar(soFar, Head(), "\"state\":\"running\""u8);
        var early = JsonElement.Parse(soFar.WrittenSpan);
        Assert.Equal(("in_progress", 5), (early.GetProperty("status").GetString(), early.GetProperty("output").GetArrayLength()));
        var from = _events.Count;
        foreach (var step in s_story[^2..]) step(writer, _events);
        for (var i = from; i < _events.Count; i++) fold.Add(_events[i]);
        fold.End();
        Assert.Null(fold.Error);
        var json = new ArrayBufferWriter<byte>();
        fold.WriteTo(json);
        Assert.Equal(Data(_events, _events.Count - 1).GetProperty("response").GetRawText(), Encoding.UTF8.GetString(json.WrittenSpan));
    }

    [Fact]
    public void A_cancelled_answer_ends_with_what_there_is()
    {
        var writer = ResponsesDialect.Instance.CreateWriter(Head());
        foreach (var step in s_story[..5]) step(writer, _events);
        var end = new EventBuffer();
        Assert.True(ResponsesDialect.Instance.TryWriteStop(Head(), _events, isWhole: true, [false], new AnswerUsage(1, 0, 2), isEstimated: false, end));
        end.CopyTo(_events);
        var response = Data(_events, _events.Count - 1).GetProperty("response");
        Assert.Equal(("cancelled", 2), (response.GetProperty("status").GetString(), response.GetProperty("output").GetArrayLength()));
    }

    [Fact]
    public void A_stream_that_fails_ends_with_an_error_and_a_failed_response()
    {
        var output = new ArrayBufferWriter<byte>();
        var error = new Sluice.Protocol.Errors.ApiError(503, "Too busy.", "server_error", null, "server_is_overloaded");
        ResponsesDialect.Instance.WriteFailure(output, new StreamFailure(error, "resp_1", "req_1", 9));
        var frames = Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        var data = frames.Select(frame => JsonElement.Parse(frame.Split("data: ")[1])).ToArray();
        Assert.Equal(("Too busy.", "Too busy."), (data[0].GetProperty("message").GetString(), data[0].GetProperty("error").GetProperty("message").GetString()));
        // Codex gives up at the upstream's own code.
        Assert.Equal("server_error", data[1].GetProperty("response").GetProperty("error").GetProperty("code").GetString());
        Assert.Equal((9, 10), (data[0].GetProperty("sequence_number").GetInt32(), data[1].GetProperty("sequence_number").GetInt32()));
    }

    [Fact]
    public void A_whole_answer_is_unfolded_for_a_reader_of_a_stream_and_folds_to_itself()
    {
        const string Whole = """{"id":"resp_1","object":"response","status":"completed","output":[{"id":"x_1","type":"new_kind","y":1},{"id":"msg_1","type":"message","content":[]}],"usage":{"input_tokens":1},"more":2}""";
        ResponsesDialect.Instance.WriteStreamed(Encoding.UTF8.GetBytes(Whole), _events);
        Assert.Equal(1, _events.Count);
        var frames = Encoding.UTF8.GetString(_events[0]).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            ["created", "in_progress", "output_item.added", "output_item.done", "output_item.added", "output_item.done", "completed"],
            frames.Select(frame => frame.Split('\n')[0]["event: response.".Length..]));
        var first = JsonElement.Parse(frames[0].Split("data: ")[1]).GetProperty("response");
        Assert.Equal(("in_progress", 0), (first.GetProperty("status").GetString(), first.GetProperty("output").GetArrayLength()));
        var fold = ResponsesDialect.Instance.CreateFold();
        fold.Add(_events.WrittenSpan);
        fold.End();
        var json = new ArrayBufferWriter<byte>();
        fold.WriteTo(json);
        Assert.Equal(Whole, Encoding.UTF8.GetString(json.WrittenSpan));
    }
}
