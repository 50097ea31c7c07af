using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Ollama;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Ollama;

public sealed class OllamaDialectTests
{
    private static readonly AnswerHead s_head = new("id", 1_700_000_000, "m") { Body = Encoding.UTF8.GetBytes("""{"model":"m"}""") };

    private static JsonNode Translate(string body, NeutralForm form, out ApiError? error, OllamaDialect? dialect = null)
    {
        var output = new ArrayBufferWriter<byte>();
        error = (dialect ?? OllamaDialect.Chat).WriteNeutral(Encoding.UTF8.GetBytes(body), form, output);
        return error is null ? JsonNode.Parse(output.WrittenSpan)! : new JsonObject();
    }

    private static JsonNode[] Lines(EventBuffer events) => [.. Encoding.UTF8.GetString(events.WrittenSpan).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonNode.Parse(line)!)];

    private static EventBuffer Write(Action<DeltaWriter, EventBuffer> say, AnswerHead? head = null, OllamaDialect? dialect = null)
    {
        var events = new EventBuffer();
        say((dialect ?? OllamaDialect.Chat).CreateWriter(head ?? s_head), events);
        return events;
    }

    [Fact]
    public void Options_become_parameters_and_unknown_ones_nothing()
    {
        var neutral = Translate(
            """{"model":"m","messages":[{"role":"user","content":"x"}],"options":{"num_predict":12.0,"temperature":3,"top_p":0.9,"top_k":40,"min_p":0.1,"repeat_penalty":1.1,"seed":7,"stop":["a"],"num_ctx":4096,"mirostat":2,"presence_penalty":-5}}""",
            NeutralForm.Engine, out _);
        Assert.Equal((12, 2.0, 0.9, 40), ((int)neutral["max_tokens"]!, (double)neutral["temperature"]!, (double)neutral["top_p"]!, (int)neutral["top_k"]!));
        Assert.Equal((0.1, 1.1, 7, "a", -2), ((double)neutral["min_p"]!, (double)neutral["repetition_penalty"]!, (int)neutral["seed"]!, (string?)neutral["stop"]![0], (int)neutral["presence_penalty"]!));
        Assert.Equal(["model", "stream", "messages", "max_tokens", "temperature", "top_p", "min_p", "presence_penalty", "repetition_penalty", "top_k", "seed", "stop"], neutral.AsObject().Select(static member => member.Key));
        Assert.Null(Translate("""{"model":"m","messages":[],"options":{"seed":-1}}""", NeutralForm.Engine, out _)["seed"]);
        Translate("""{"model":"m","messages":[],"options":{"temperature":"hot"}}""", NeutralForm.Engine, out var error);
        Assert.Equal((400, "options.temperature"), (error!.Status, error.Param));
    }

    [Theory]
    [InlineData("true", "true", null)]
    [InlineData("false", "false", null)]
    [InlineData("\"low\"", "true", "low")]
    public void Thinking_is_a_switch_for_the_engine_and_a_word_for_servers(string think, string engine, string? word)
    {
        var body = $$"""{"model":"m","messages":[{"role":"user","content":"x"}],"think":{{think}}}""";
        Assert.Equal(engine, Translate(body, NeutralForm.Engine, out _)["enable_thinking"]!.ToJsonString());
        Assert.Null(Translate(body, NeutralForm.ChatServer, out _)["enable_thinking"]);
        Assert.Equal(word, (string?)Translate(body, NeutralForm.ChatServer, out _)["reasoning_effort"]);
    }

    [Fact]
    public void Results_of_tools_find_their_calls_by_id_by_name_and_by_place()
    {
        var neutral = Translate(
            """{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{"id":"mine","function":{"name":"g","arguments":{}}},{"function":{"name":"f"}}]},{"role":"tool","content":"1","tool_call_id":"mine"},{"role":"tool","content":"2"},{"role":"tool","content":"3","tool_name":"f"}]}""",
            NeutralForm.Engine, out _);
        var messages = neutral["messages"]!.AsArray();
        Assert.Equal(["call_1_0", "mine", "call_1_2"], messages[1]!["tool_calls"]!.AsArray().Select(static call => (string?)call!["id"]));
        Assert.Equal(["mine", "call_1_0", "call_1_2"], messages.Skip(2).Select(static message => (string?)message!["tool_call_id"]));
        Assert.Equal("{\"a\":1}", (string?)messages[1]!["tool_calls"]![0]!["function"]!["arguments"]);
    }

    [Fact]
    public void A_result_without_a_call_gets_the_call_that_it_answers()
    {
        var neutral = Translate(
            """{"model":"m","messages":[{"role":"user","content":"x"},{"role":"tool","content":"1","tool_name":"f"},{"role":"tool","content":"2","tool_call_id":"mine"}]}""",
            NeutralForm.Engine, out var error);
        Assert.Null(error);
        var messages = neutral["messages"]!.AsArray();
        Assert.Equal(["user", "assistant", "tool", "assistant", "tool"], messages.Select(static message => (string?)message!["role"]));
        Assert.Equal(("f", "{}"), ((string?)messages[1]!["tool_calls"]![0]!["function"]!["name"], (string?)messages[1]!["tool_calls"]![0]!["function"]!["arguments"]));
        Assert.Equal((string?)messages[1]!["tool_calls"]![0]!["id"], (string?)messages[2]!["tool_call_id"]);
        Assert.Equal(("mine", "mine"), ((string?)messages[3]!["tool_calls"]![0]!["id"], (string?)messages[4]!["tool_call_id"]));
    }

    [Fact]
    public void A_prompt_is_a_turn_and_a_raw_one_a_text()
    {
        var neutral = Translate("""{"model":"m","system":"s","prompt":"p","format":"json"}""", NeutralForm.Engine, out _, OllamaDialect.Generate);
        Assert.Equal([("system", "s"), ("user", "p")], neutral["messages"]!.AsArray().Select(static message => ((string?)message!["role"], (string?)message["content"])));
        Assert.Equal("json_object", (string?)neutral["response_format"]!["type"]);
        Assert.Null(OllamaDialect.Generate.FindText(Encoding.UTF8.GetBytes("""{"model":"m","prompt":"p","suffix":""}""")));
        var text = JsonNode.Parse(OllamaDialect.Generate.FindText(Encoding.UTF8.GetBytes("""{"model":"m","prompt":"p","suffix":"s","options":{"temperature":0}}"""))!.Value.Span)!;
        Assert.Equal(("p", "s", -1, 0), ((string?)text["prompt"], (string?)text["suffix"], (int)text["max_tokens"]!, (int)text["temperature"]!));
        Translate("""{"model":"m","prompt":"p","raw":true}""", NeutralForm.ChatServer, out var raw, OllamaDialect.Generate);
        Assert.Contains("/v1/completions", raw!.Message, StringComparison.Ordinal);
        Translate("""{"model":"m","prompt":"p","context":[1,2]}""", NeutralForm.Engine, out var context, OllamaDialect.Generate);
        Assert.Equal("context", context!.Param);
    }

    [Fact]
    public void A_call_is_one_line_and_its_arguments_an_object()
    {
        var lines = Lines(Write(static (writer, events) =>
        {
            writer.Begin(events, isText: false);
            writer.Call(events, 0, 0, CallKind.Function, "c1", "f");
            writer.Input(events, 0, 0, CallKind.Function, "{\"a\":\n"u8);
            writer.Input(events, 0, 0, CallKind.Function, "[1,\"\\n\"]}"u8);
            writer.Call(events, 0, 1, CallKind.Function, "c2", "g");
            writer.Input(events, 0, 1, CallKind.Function, "not json"u8);
            writer.Call(events, 0, 2, CallKind.Function, "c3", "h");
            writer.Finish(events, 0, AnswerEnd.ToolCalls);
            writer.Usage(events, new AnswerUsage(3, 0, 5), isEstimated: false);
        }));
        Assert.Equal(4, lines.Length);
        JsonNode Call(int line) => lines[line]["message"]!["tool_calls"]![0]!["function"]!;
        Assert.Equal(["{\"a\":[1,\"\\n\"]}", "{\"input\":\"not json\"}", "{}"], Enumerable.Range(0, 3).Select(line => Call(line)["arguments"]!.ToJsonString()));
        Assert.Equal([0, 1, 2], Enumerable.Range(0, 3).Select(line => (int)Call(line)["index"]!));
        Assert.Equal(("stop", 3, 5, true), ((string?)lines[3]["done_reason"], (int)lines[3]["prompt_eval_count"]!, (int)lines[3]["eval_count"]!, (bool)lines[3]["done"]!));
    }

    [Fact]
    public void A_call_that_was_open_at_a_suspension_has_all_its_arguments()
    {
        var first = Write(static (writer, events) =>
        {
            writer.Begin(events, isText: true);
            writer.Text(events, 0, "x"u8, default);
            writer.Call(events, 0, 0, CallKind.Function, "c1", "f");
            writer.Input(events, 0, 0, CallKind.Function, "{}"u8);
            writer.Call(events, 0, 1, CallKind.Function, "c2", "g");
            writer.Input(events, 0, 1, CallKind.Function, "{\"a\":"u8);
        });
        var rest = Lines(Write((writer, events) =>
        {
            writer.Restore(first);
            writer.PassCall(0, "c1", "f");
            writer.PassInput(0, "{}"u8);
            writer.PassCall(0, "c2", "g");
            writer.PassInput(0, "{\"a\":"u8);
            writer.Input(events, 0, 1, CallKind.Function, "1}"u8);
            writer.Finish(events, 0, AnswerEnd.ToolCalls);
        }));
        var call = Assert.Single(rest)["message"]!["tool_calls"]![0]!;
        Assert.Equal(("c2", 1, "{\"a\":1}"), ((string?)call["id"], (int)call["function"]!["index"]!, call["function"]!["arguments"]!.ToJsonString()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_whole_reply_is_the_fold_of_the_lines(bool isGenerate)
    {
        var dialect = isGenerate ? OllamaDialect.Generate : OllamaDialect.Chat;
        var events = Write(
            static (writer, events) =>
            {
                writer.Begin(events, isText: false);
                writer.Reasoning(events, 0, "h\u00fc"u8);
                writer.Text(events, 0, "a\n"u8, [new DeltaLogprob("a"u8.ToArray(), -0.5f)]);
                writer.Text(events, 0, "\"b\""u8, default);
                writer.Finish(events, 0, AnswerEnd.Length);
                writer.Usage(events, new AnswerUsage(3, 0, 5), isEstimated: false);
            }, s_head with { HasLogprobs = true }, dialect);
        var fold = dialect.CreateFold();
        for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
        fold.End();
        Assert.Null(fold.Error);
        var output = new ArrayBufferWriter<byte>();
        fold.WriteTo(output);
        var whole = JsonNode.Parse(output.WrittenSpan)!;
        var said = isGenerate ? whole : whole["message"]!;
        Assert.Equal(("a\n\"b\"", "h\u00fc", "length"), ((string?)said[isGenerate ? "response" : "content"], (string?)said["thinking"], (string?)whole["done_reason"]));
        Assert.Equal((true, "m", "a"), ((bool)whole["done"]!, (string?)whole["model"], (string?)whole["logprobs"]![0]!["token"]));
    }

    [Fact]
    public void A_cancelled_answer_gets_a_regular_end_and_only_one()
    {
        var begun = Write(static (writer, events) => writer.Text(events, 0, "\"done\":true,\"done_reason\""u8, default));
        var end = new EventBuffer();
        Assert.True(OllamaDialect.Chat.TryWriteStop(s_head, begun, isWhole: true, [false], new AnswerUsage(1, 0, 1), isEstimated: true, end));
        var last = Assert.Single(Lines(end));
        Assert.Equal(("stop", true), ((string?)last["done_reason"], (bool)last["sluice"]!["cancelled"]!));
        var again = new EventBuffer();
        Assert.True(OllamaDialect.Chat.TryWriteStop(s_head, end, isWhole: true, [true], new AnswerUsage(1, 0, 1), isEstimated: true, again));
        Assert.Equal(0, again.Count);
        Assert.Equal("\"done\":true,\"done_reason\"", Encoding.UTF8.GetString(OllamaDialect.Chat.ReadDelivered(begun)!.Text.Span));
    }

    [Theory]
    [InlineData("\"5m\"", 300.0)]
    [InlineData("\"1h30m\"", 5400.0)]
    [InlineData("\"1.5s\"", 1.5)]
    [InlineData("90", 90.0)]
    [InlineData("\"90\"", 90.0)]
    [InlineData("0", 0.0)]
    [InlineData("-1", null)]
    [InlineData("\"-1m\"", null)]
    public void Times_to_stay_are_durations_and_seconds(string keepAlive, double? seconds)
    {
        var request = OllamaModelRequest.Read(Encoding.UTF8.GetBytes($$"""{"model":"m","keep_alive":{{keepAlive}}}"""), out var error);
        Assert.Null(error);
        Assert.True(request!.SaysKeepAlive);
        Assert.Equal(seconds, request.KeepAlive?.TotalSeconds);
    }

    [Theory]
    [InlineData("\"soon\"")]
    [InlineData("\"5x\"")]
    [InlineData("true")]
    public void Other_times_are_refused(string keepAlive)
    {
        OllamaModelRequest.Read(Encoding.UTF8.GetBytes($$"""{"model":"m","keep_alive":{{keepAlive}}}"""), out var error);
        Assert.Equal("keep_alive", error!.Param);
    }

    [Fact]
    public void Text_without_log_probabilities_allocates_nothing()
    {
        var events = new EventBuffer(1 << 16);
        var writer = OllamaDialect.Chat.CreateWriter(s_head);
        writer.Text(events, 0, "x"u8, default);
        events.Clear();
        var bytes = AllocatedBytes.Least(() => writer.Text(events, 0, "word"u8, default));
        Assert.Equal(0, bytes);
    }
}
