using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Messages;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Tests.Protocol.Chat;
using Xunit;
using static Sluice.Testing.ScriptedMessages;

namespace Sluice.Tests.Protocol.Messages;

/// <summary>Requests and events of every kind, right ones and broken ones: texts arrive whole, and nothing throws.</summary>
public sealed class MessagesFuzzTests
{
    private static readonly RelayOptions s_answer = new("chatcmpl-1", "m", 1_700_000_000) { IncludesUsage = true, Origin = "messages/x" };

    private static readonly string[] s_requests =
    [
        """{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b","cache_control":{"type":"x"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"f"}}]}],"user":"u","stop":["a"]}""",
        """{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text","text":"t"}],"sluice":{"thinking":[{"type":"thinking","thinking":"","signature":""}]},"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"x"}]}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true},"cache_control":{}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false}""",
        """{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{}}},"reasoning_effort":"low","thinking":{"type":"x"},"output_config":null,"max_tokens":5,"temperature":0.5}""",
    ];

    private static readonly string[] s_values =
        ["null", "true", "0", "-1", "1.5", "1e999", "\"\"", "\"x\"", "[]", "{}", "[null]", "[[]]", "[{}]", "{\"type\":\"text\"}", "{\"type\":7}", "\"\\ud800\"", "nul", "\"auto\"", "\"function\"", "\"data:,\"", "\"data:;base64,\"", "\"[]\""];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_the_reader_accepts_is_translated_or_refused(int seed)
    {
        var random = new Random(seed);
        var outcomes = new HashSet<bool>();
        for (var run = 0; run < 20_000; run++)
        {
            var body = Encoding.UTF8.GetBytes(Mutate(random, s_requests[random.Next(s_requests.Length)]));
            if (!ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(body), out var request, out _)) continue;
            try
            {
                var output = new EventBuffer();
                var options = new MessagesOptions("claude-x", 4096, run % 2 == 0 ? ThinkingMode.Adaptive : ThinkingMode.Budget, run % 3 == 0);
                var error = MessagesRequestWriter.Write(body, request, options, output);
                outcomes.Add(error is null);
                if (error is null) using (JsonDocument.Parse(output.WrittenMemory)) continue;
                Assert.Equal(400, error.Status);
                Assert.NotNull(error.Param);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"seed {seed}, run {run}: {Encoding.UTF8.GetString(body)}", exception);
            }
        }
        Assert.Equal(2, outcomes.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Broken_events_fail_or_are_left_out_and_what_goes_out_is_whole(int seed)
    {
        string[] events =
        [
            Start(), Block(0, """{"type":"thinking","thinking":"","signature":""}"""), Delta(0, """{"type":"thinking_delta","thinking":"t"}"""), Delta(0, """{"type":"signature_delta","signature":"s"}"""), End(0),
            .. TextBlock(1, "a"), .. ToolBlock(2, "toolu_1", "f", "{}"), Finish("tool_use"), Stop,
        ];
        var random = new Random(seed);
        for (var run = 0; run < 5_000; run++)
        {
            var broken = events.Select(data => random.Next(4) == 0 ? Mutate(random, data) : data).ToArray();
            try
            {
                var stream = CreateTranslation();
                var relay = new MessagesRelay(s_answer);
                var (output, passed) = (new EventBuffer(), new EventBuffer());
                foreach (var data in broken)
                {
                    if (stream.Add(Encoding.UTF8.GetBytes(data), output) == FrameKind.Failed) break;
                }
                if (stream is { IsFinished: true, Error: null }) stream.WriteEnd(output);
                foreach (var data in broken)
                {
                    if (relay.Add(Encoding.UTF8.GetBytes(data), passed) == FrameKind.Failed) break;
                }
                if (relay is { IsFinished: true, Error: null }) relay.WriteEnd(passed);
                // Whatever was passed on can be folded, and gone on with.
                var message = MessagesDialect.Instance.CreateFold();
                message.Add(passed.WrittenSpan);
                message.End();
                var folded = new EventBuffer();
                if (message.Error is null) message.WriteTo(folded);
                if (message.Error is null) JsonNode.Parse(folded.WrittenSpan);
                MessagesDialect.Instance.CreateWriter(new AnswerHead("msg_1", 0, "m")).Restore(passed);
                foreach (var chunk in Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
                    Assert.Equal("chat.completion.chunk", (string?)JsonNode.Parse(chunk["data: ".Length..])!["object"]);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"seed {seed}, run {run}: {string.Join('\n', broken)}", exception);
            }
        }
    }

    [Fact]
    public void Whatever_is_said_and_called_arrives_as_it_was()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var (text, reasoning, argument) = (ArbitraryText.Next(random), ArbitraryText.Next(random), ArbitraryText.Next(random));
            var arguments = $"{{\"x\":{Quote(argument, JavaScriptEncoder.Default)}}}";
            string[] events =
            [
                Start(), Block(0, """{"type":"thinking","thinking":"","signature":""}"""), .. Pieces(random, reasoning).Select(piece => Delta(0, $$"""{"type":"thinking_delta","thinking":{{piece}}}""")), End(0),
                Block(1, """{"type":"text","text":""}"""), .. Pieces(random, text).Select(piece => Delta(1, $$"""{"type":"text_delta","text":{{piece}}}""")), End(1),
                Block(2, """{"type":"tool_use","id":"a","name":"f","input":{}}"""), .. Pieces(random, arguments).Select(piece => Delta(2, $$"""{"type":"input_json_delta","partial_json":{{piece}}}""")), End(2),
                Finish("tool_use"), Stop,
            ];
            var stream = CreateTranslation();
            var output = new EventBuffer();
            foreach (var data in events) stream.Add(Encoding.UTF8.GetBytes(data), output);
            stream.WriteEnd(output);
            var fold = new ChatCompletionFold();
            fold.Add([.. output.WrittenSpan, .. "data: [DONE]\n\n"u8]);
            var folded = new EventBuffer();
            fold.WriteTo(folded);
            var message = JsonNode.Parse(folded.WrittenSpan)!["choices"]![0]!["message"]!;
            Assert.Equal((seed, text, reasoning, arguments), (seed, (string?)message["content"] ?? "", (string?)message["reasoning_content"] ?? "", (string?)message["tool_calls"]![0]!["function"]!["arguments"]));
            if (reasoning.Length > 0) Assert.Equal(reasoning, (string?)message["sluice"]!["thinking"]![0]!["thinking"]);
        }
    }

    private static readonly string[] s_doorRequests =
    [
        """{"model":"m","max_tokens":5,"system":[{"type":"text","text":"x-anthropic-billing-header: a"},{"type":"text","text":"b"}],"messages":[{"role":"user","content":[{"type":"text","text":"b"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}},{"type":"document","source":{"type":"text","data":"d"},"title":"t"}]},{"role":"system","content":"s"}],"metadata":{"user_id":"u"},"stop_sequences":["a"]}""",
        """{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"slc1.x"},{"type":"text","text":"t"},{"type":"tool_use","id":"c","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","is_error":true,"content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"url","url":"https://x"}}]}]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true},{"type":"web_search_1","name":"w"}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}}""",
        """{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}],"output_config":{"effort":"low","format":{"type":"json_schema","schema":{}}},"thinking":{"type":"enabled","budget_tokens":5},"temperature":0.5,"top_k":3,"mcp_servers":[]}""",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_the_door_takes_becomes_a_chat_request_or_an_error_that_names_its_field(int seed)
    {
        var random = new Random(seed);
        var outcomes = new HashSet<bool>();
        var seal = new ReasoningSeal(new byte[ReasoningSeal.KeyBytes]);
        for (var run = 0; run < 20_000; run++)
        {
            var body = Encoding.UTF8.GetBytes(Mutate(random, s_doorRequests[random.Next(s_doorRequests.Length)]));
            try
            {
                if (!MessagesDialect.Instance.TryReadOutline(body, out _, out _)) continue;
                var form = (run % 3) switch { 0 => NeutralForm.Engine, 1 => NeutralForm.ChatServer, _ => NeutralForm.Translation };
                var output = new EventBuffer();
                var error = MessagesDialect.Instance.WriteNeutral(body, form with { Seal = seal }, output);
                outcomes.Add(error is null);
                if (error is null) using (JsonDocument.Parse(output.WrittenMemory)) { }
                else Assert.Equal(400, error.Status);
                output.Clear();
                MessagesPassedRequest.Write(body, "n", isStream: true, form with { Seal = seal }, output);
                using (JsonDocument.Parse(output.WrittenMemory)) { }
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"seed {seed}, run {run}: {Encoding.UTF8.GetString(body)}", exception);
            }
        }
        Assert.Equal(2, outcomes.Count);
    }

    private static MessagesTranslation CreateTranslation() => new(
        s_answer, ChatDialect.Instance.CreateWriter(new AnswerHead(s_answer.Id, s_answer.Created, s_answer.Model) { IncludesUsage = s_answer.IncludesUsage }));

    // Escaped, each in one of the ways that there are; never cut within a character.
    private static List<string> Pieces(Random random, string text)
    {
        var pieces = new List<string>();
        var piece = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            piece.Append(rune.ToString());
            if (random.Next(3) != 0) continue;
            pieces.Add(Quote(piece.ToString(), random.Next(2) == 0 ? JavaScriptEncoder.UnsafeRelaxedJsonEscaping : JavaScriptEncoder.Default));
            piece.Clear();
        }
        pieces.Add(Quote(piece.ToString(), JavaScriptEncoder.Default));
        return pieces;
    }

    private static string Quote(string text, JavaScriptEncoder encoder) => $"\"{JsonEncodedText.Encode(text, encoder)}\"";

    // Another value in place of one, or a byte lost or doubled.
    internal static string Mutate(Random random, string json)
    {
        var at = random.Next(json.Length);
        switch (random.Next(6))
        {
            case 0:
                return json.Remove(at, 1);
            case 1:
                return json.Insert(at, json[at].ToString());
            default:
                var colon = json.IndexOf(':', at);
                if (colon < 0) return json;
                var (end, depth, isText) = (colon + 1, 0, false);
                for (; end < json.Length; end++)
                {
                    if (json[end] == '\\') end++;
                    else if (json[end] == '"') isText = !isText;
                    else if (isText) continue;
                    else if (json[end] is '{' or '[') depth++;
                    else if (json[end] is '}' or ']' && --depth < 0) break;
                    else if (json[end] == ',' && depth == 0) break;
                }
                return string.Concat(json.AsSpan(0, colon + 1), s_values[random.Next(s_values.Length)], json.AsSpan(int.Min(end, json.Length)));
        }
    }
}
