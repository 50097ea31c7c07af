using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Responses.Upstream;
using Sluice.Protocol.ServerSentEvents;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.Tests.Protocol.Responses.Upstream;

/// <summary>What events of the Responses API become for a client of chat completions.</summary>
public sealed class ResponsesTranslationTests
{
    private static readonly RelayOptions s_answer = new("chatcmpl-1", "m", 1_700_000_000) { Origin = "responses/x/gpt-x" };
    private static readonly JsonSerializerOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly ReasoningSeal s_seal = new(new byte[ReasoningSeal.KeyBytes]);

    private static ResponsesTranslation Create(bool hasUsage = false, string[]? stops = null, bool hasLogprobs = false) => new(
        s_answer,
        ChatDialect.Instance.CreateWriter(new AnswerHead("chatcmpl-1", 1_700_000_000, "m") { IncludesUsage = hasUsage, Seal = s_seal, HasLogprobs = hasLogprobs }),
        stops ?? []);

    private static JsonNode[] Run(ResponsesTranslation relay, params string[] events)
    {
        var output = new EventBuffer();
        var last = FrameKind.Empty;
        foreach (var data in Number(events))
        {
            last = relay.Add(Encoding.UTF8.GetBytes(data), output);
            if (last == FrameKind.Done) break;
        }
        Assert.Null(relay.Error);
        Assert.Equal(FrameKind.Done, last);
        Assert.True(relay.IsFinished);
        relay.WriteEnd(output);
        return Split(output);
    }

    private static JsonNode[] Split(EventBuffer output) =>
        [.. Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line["data: ".Length..])!)];

    // Without the role, which comes first.
    private static string[] DeltasOf(IEnumerable<JsonNode> chunks) =>
        [.. chunks.Where(chunk => chunk["choices"]!.AsArray().Count > 0).Skip(1).Select(chunk => Compact(chunk["choices"]![0]!))];

    private static string Compact(JsonNode choice) =>
        choice["finish_reason"] is { } reason ? reason.GetValue<string>() : choice["delta"]!.ToJsonString(s_writing);

    private static string[] Deltas(params string[] events) => DeltasOf(Run(Create(), events));

    [Fact]
    public void A_text_is_passed_on_piece_by_piece() => Assert.Equal(
        ["""{"content":"Grü"}""", """{"content":"ß é"}""", "stop"],
        Deltas([.. Start(), .. Message(0, "Gr\\u00fc", "ß \\u00e9"), Completed()]));

    [Fact]
    public void Two_calls_after_a_text_have_their_places_and_the_reason_of_calls() => Assert.Equal(
        [
            """{"content":"Hm"}""",
            """{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}""",
            """{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":""}}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}""",
            "tool_calls",
        ],
        Deltas([.. Start(), .. Message(0, "Hm"), .. CallOf(1, "call_a", "f", "{\\\"x\\\"", ":1}"), .. CallOf(2, "call_b", "g", "{}"), Completed()]));

    [Fact]
    public void Calls_that_overlap_come_one_after_the_other() => Assert.Equal(
        [
            """{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}""",
            """{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":""}}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"[2]"}}]}""",
            "tool_calls",
        ],
        Deltas(
            [
                Added(0, CallItem(0, "call_a", "f", "")), Delta("function_call_arguments", 0, "{\\\"x\\\""), Added(1, CallItem(1, "call_b", "g", "")),
                Delta("function_call_arguments", 1, "[2"), Done(1, CallItem(1, "call_b", "g", "[2]")), Delta("function_call_arguments", 0, ":1}"),
                Done(0, CallItem(0, "call_a", "f", "{\\\"x\\\":1}")), Completed(),
            ]));

    [Fact]
    public void A_custom_tool_gets_text() => Assert.Equal(
        [
            """{"tool_calls":[{"index":0,"id":"call_a","type":"custom","custom":{"name":"sh","input":""}}]}""",
            """{"tool_calls":[{"index":0,"custom":{"input":"ls"}}]}""", """{"tool_calls":[{"index":0,"custom":{"input":" -l"}}]}""", "tool_calls",
        ],
        Deltas(
            [
                Added(0, """{"id":"ctc_1","type":"custom_tool_call","status":"in_progress","call_id":"call_a","name":"sh","input":""}"""),
                Delta("custom_tool_call_input", 0, "ls"), Delta("custom_tool_call_input", 0, " -l"),
                Done(0, """{"id":"ctc_1","type":"custom_tool_call","status":"completed","call_id":"call_a","name":"sh","input":"ls -l"}"""), Completed(),
            ]));

    public static TheoryData<string[], string[]> MadeUp => new()
    {
        // Only the end of items.
        { [Done(0, MessageItem(0, "Hello")), Completed()], ["""{"content":"Hello"}""", "stop"] },
        // A beginning and one event for the whole.
        { [Added(0, CallItem(0, "c", "f", "")), """{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"a\":1}"}""", Done(0, CallItem(0, "c", "f", "{\\\"a\\\":1}")), Completed()],
            ["""{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}""", "tool_calls"] },
        // Deltas that stop short.
        { [Added(0, CallItem(0, "c", "f", "")), Delta("function_call_arguments", 0, "{\\\"a\\\""), Done(0, CallItem(0, "c", "f", "{\\\"a\\\":1}")), Completed()],
            ["""{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}""", "tool_calls"] },
        // A call without arguments.
        { [Done(0, CallItem(0, "c", "f", "")), Completed()],
            ["""{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}""", "tool_calls"] },
        // No events but the last.
        { [Completed(MessageItem(0, "Hello") + "," + CallItem(1, "c", "f", "{}"))],
            ["""{"content":"Hello"}""", """{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}""", "tool_calls"] },
        // The last repeats what came, and has one item more.
        { [.. Message(0, "Hello"), Completed(MessageItem(0, "Hello") + "," + MessageItem(1, " you"))], ["""{"content":"Hello"}""", """{"content":" you"}""", "stop"] },
        // Items and events that nobody knows.
        { [Added(0, """{"id":"ws","type":"web_search_call"}"""), """{"type":"response.web_search_call.searching","output_index":0}""", Done(0, """{"id":"ws","type":"web_search_call"}"""),
            """{"type":"keepalive"}""", """{"type":"response.new_thing.delta","delta":"x","output_index":1}""", .. Message(1, "a"), Completed()], ["""{"content":"a"}""", "stop"] },
        // Text without its beginning.
        { [Text("a"), Text("b"), Completed()], ["""{"content":"a"}""", """{"content":"b"}""", "stop"] },
        { [Delta("refusal", 0, "No"), Delta("refusal", 0, "pe"), Done(0, """{"id":"m","type":"message","content":[{"type":"refusal","refusal":"Nope."}]}"""), Completed()],
            ["""{"refusal":"No"}""", """{"refusal":"pe"}""", """{"refusal":"."}""", "stop"] },
        { [.. Message(0, "a"), Incomplete("max_output_tokens")], ["""{"content":"a"}""", "length"] },
        { [.. Message(0, "a"), Incomplete("content_filter")], ["""{"content":"a"}""", "content_filter"] },
        { [.. Message(0, "a"), Incomplete("steered")], ["""{"content":"a"}""", "length"] },
        { [.. CallOf(0, "c", "f", "{\\\"a"), Incomplete("max_output_tokens")],
            ["""{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]}""", "length"] },
        { [Delta("reasoning_text", 0, "t", ",\"content_index\":0"), Done(0, """{"id":"r","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"th"}]}"""), .. Message(1, "a"), Completed()],
            ["""{"reasoning_content":"t"}""", """{"reasoning_content":"h"}""", """{"content":"a"}""", "stop"] },
        { [Done(0, """{"id":"r","type":"reasoning","summary":[{"type":"summary_text","text":"One."},{"type":"summary_text","text":"Two."}]}"""), .. Message(1, "a"), Completed()],
            ["""{"reasoning_content":"One."}""", """{"reasoning_content":"\n\n"}""", """{"reasoning_content":"Two."}""", """{"content":"a"}""", "stop"] },
    };

    [Theory]
    [MemberData(nameof(MadeUp))]
    public void What_an_upstream_leaves_out_is_made_up(string[] events, string[] deltas) => Assert.Equal(deltas, Deltas(events));

    [Fact]
    public void Usage_has_all_its_details()
    {
        var relay = Create(hasUsage: true);
        var usage = Run(relay, [.. Start(), .. Message(0, "a"), Completed()])[^1]["usage"]!;
        Assert.Equal(new AnswerUsage(25, 5, 15, 4) { CacheWrittenTokens = 3 }, relay.ReadUsage());
        Assert.Equal((25, 15, 40, 4), ((int)usage["prompt_tokens"]!, (int)usage["completion_tokens"]!, (int)usage["total_tokens"]!, (int)usage["completion_tokens_details"]!["reasoning_tokens"]!));
    }

    [Fact]
    public void Reasoning_before_calls_comes_sealed_at_the_end()
    {
        var chunks = Run(Create(), [.. Start(), .. Reasoning(0, "Let me", " see."), .. CallOf(1, "c", "f", "{}"), Completed()]);
        Assert.Equal(["""{"reasoning_content":"Let me"}""", """{"reasoning_content":" see."}"""], DeltasOf(chunks)[..2]);
        var texts = chunks.Select(chunk => chunk["choices"]![0]!["delta"]!["sluice"]?["sealed"]).Single(found => found is not null)!.AsArray();
        Assert.True(s_seal.TryOpen((string?)texts.Single(), out var blob));
        Assert.Equal((s_answer.Origin, ReasoningItem(0, "Let me see.")), (blob.Origin, Encoding.UTF8.GetString(blob.Json.Span)));
    }

    [Theory]
    [InlineData(new[] { "Hello EN", "D more" }, "Hello ")]
    [InlineData(new[] { "Hello EN", "Dless" }, "Hello ")]
    [InlineData(new[] { "E", "E", "N", "D" }, "E")]
    [InlineData(new[] { "üEN", "ü" }, "üENü")]
    [InlineData(new[] { "all E" }, "all E")]
    [InlineData(new[] { "a##b" }, "a")]
    public void Text_is_cut_before_a_stop_sequence(string[] pieces, string expected)
    {
        var relay = Create(stops: ["END", "##"]);
        var chunks = Run(relay, [.. Start(), .. Message(0, pieces), Completed()]);
        Assert.Equal(expected, string.Concat(chunks.Select(chunk => (string?)chunk["choices"]![0]!["delta"]!["content"])));
        Assert.Equal("stop", (string?)chunks[^1]["choices"]![0]!["finish_reason"]);
    }

    [Fact]
    public void Log_probabilities_come_with_their_text()
    {
        const string Logprobs = ",\"content_index\":0,\"logprobs\":[{\"token\":\"Hi\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"Ho\",\"logprob\":-1.5}]}]";
        var chunks = Run(Create(hasLogprobs: true), [.. Start(), Delta("output_text", 0, "Hi", Logprobs), Completed()]);
        Assert.Equal(
            """{"content":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[{"token":"Ho","logprob":-1.5,"bytes":[72,111]}]}],"refusal":null}""",
            chunks[1]["choices"]![0]!["logprobs"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Slow."}}}""", 429, "rate_limit_exceeded", "Slow.")]
    [InlineData("""{"type":"response.failed","response":{"status":"failed","error":null}}""", 502, "upstream_failed", "The model's server could not finish its answer.")]
    [InlineData("""{"type":"error","code":"server_error","message":"Oh.","param":null}""", 500, "server_error", "Oh.")]
    [InlineData("""{"type":"error","code":null,"message":"Out.","error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"Long.","param":"input"}}""", 400, "context_length_exceeded", "Long.")]
    [InlineData("""{"error":{"message":"Gone.","type":"server_error","code":"gone"}}""", 500, "gone", "Gone.")]
    [InlineData("[DONE]", 502, "upstream_truncated", "The model's server ended its answer before it was finished.")]
    [InlineData("""{"type":7}""", 502, "upstream_invalid_event", "The upstream sent an event that is not valid.")]
    [InlineData("""{"type":"response.completed"}""", 502, "upstream_invalid_event", "The upstream sent an event that is not valid.")]
    [InlineData("nonsense", 502, "upstream_invalid_event", "The upstream sent an event that is not valid.")]
    public void A_failure_is_one(string data, int status, string code, string message)
    {
        var relay = Create();
        Assert.Equal(FrameKind.Failed, relay.Add(Encoding.UTF8.GetBytes(data), new EventBuffer()));
        Assert.Equal((status, code, message), (relay.Error!.Status, relay.Error.Code, relay.Error.Message));
        Assert.False(relay.HasAnswer);
    }

    [Fact]
    public void Beginnings_are_no_content()
    {
        var relay = Create();
        var output = new EventBuffer();
        foreach (var data in (string[])[.. Start(), .. Message(0, "a")[..2], .. Reasoning(1)[..2]]) Assert.Equal(FrameKind.Empty, relay.Add(Encoding.UTF8.GetBytes(data), output));
        Assert.Equal((0, false), (output.Count, relay.HasAnswer));
        Assert.Equal(FrameKind.Content, relay.Add(Encoding.UTF8.GetBytes(Text("a")), output));
        Assert.False(relay.IsFinished);
    }

    [Theory]
    [InlineData("completed", "stop")]
    [InlineData("incomplete", "length")]
    public void An_answer_as_one_object_is_taken_apart(string status, string reason)
    {
        var relay = Create();
        var output = new EventBuffer();
        Assert.Equal(FrameKind.Done, relay.AddWhole(Encoding.UTF8.GetBytes(Response(status, MessageItem(0, "Hello"))), output));
        relay.WriteEnd(output);
        Assert.Equal(["""{"content":"Hello"}""", reason], DeltasOf(Split(output)));
        Assert.Equal(FrameKind.Failed, Create().AddWhole(Encoding.UTF8.GetBytes(Response("failed", error: """{"code":"server_error","message":"x"}""")), output));
        Assert.Equal(FrameKind.Failed, Create().AddWhole("{}"u8, output));
    }
}
