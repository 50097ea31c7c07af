using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Responses.Upstream;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Tests.Protocol.Chat;
using Sluice.Tests.Protocol.Messages;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.Tests.Protocol.Responses.Upstream;

/// <summary>Requests and events of every kind, right ones and broken ones: texts arrive whole, and nothing throws.</summary>
public sealed class ResponsesFuzzTests
{
    private static readonly RelayOptions s_answer = new("chatcmpl-1", "m", 1_700_000_000);

    private static readonly string[] s_requests =
    [
        """{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA","detail":"low"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"f"}}]}],"user":"u","stop":["a"],"reasoning":{"summary":"auto"},"reasoning_effort":"low"}""",
        """{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text","text":"t"}],"sluice":{"reasoning":[{"type":"reasoning","summary":[]}],"sealed":["slc1.AA"]},"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"x"}]}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false}""",
        """{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{}}},"include":["a"],"logprobs":true,"top_logprobs":2,"max_tokens":5,"verbosity":"low"}""",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_the_reader_accepts_is_translated_or_refused(int seed)
    {
        var random = new Random(seed);
        var outcomes = new HashSet<bool>();
        for (var run = 0; run < 10_000; run++)
        {
            var body = Encoding.UTF8.GetBytes(MessagesFuzzTests.Mutate(random, s_requests[random.Next(s_requests.Length)]));
            if (!ChatCompletionRequestReader.TryRead(new ReadOnlySequence<byte>(body), out var request, out _)) continue;
            try
            {
                var output = new EventBuffer();
                var error = ResponsesRequestWriter.Write(body, request, new ResponsesOptions("gpt-x") { Origin = run % 2 == 0 ? "" : "o" }, output);
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
        string[] events = [.. Number([.. Start(), .. Reasoning(0, "t"), .. Message(1, "a", "b"), .. CallOf(2, "c", "f", "{}"), Completed(MessageItem(1, "ab"))])];
        var random = new Random(seed);
        for (var run = 0; run < 3_000; run++)
        {
            var broken = events.Select(data => random.Next(4) == 0 ? MessagesFuzzTests.Mutate(random, data) : data).ToArray();
            try
            {
                AnswerRelay relay = run % 2 == 0
                    ? new ResponsesTranslation(s_answer, ChatDialect.Instance.CreateWriter(new AnswerHead("chatcmpl-1", 1, "m")), run % 4 == 0 ? ["b"] : [])
                    : new ResponsesRelay(s_answer);
                var output = new EventBuffer();
                foreach (var data in broken)
                {
                    if (relay.Add(Encoding.UTF8.GetBytes(data), output) is FrameKind.Failed or FrameKind.Done) break;
                }
                if (relay is { IsFinished: true, Error: null }) relay.WriteEnd(output);
                foreach (var text in Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
                {
                    Assert.Equal(run % 2 == 0 ? 1 : 2, text.Split('\n').Length);
                    Assert.NotNull(JsonNode.Parse(text[(text.IndexOf("data: ", StringComparison.Ordinal) + "data: ".Length)..]));
                }
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
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var (text, reasoning, argument) = (ArbitraryText.Next(random), ArbitraryText.Next(random), ArbitraryText.Next(random));
            var arguments = $"{{\"x\":{Quote(argument)}}}";
            string[] events =
            [
                .. Pieces(random, reasoning, 0, "reasoning_summary_text", ",\"summary_index\":0"),
                Done(0, $$"""{"id":"r","type":"reasoning","summary":[{"type":"summary_text","text":{{Quote(reasoning)}}}]}"""),
                .. Pieces(random, text, 1, "output_text", ",\"content_index\":0"),
                Done(1, $$"""{"id":"m","type":"message","content":[{"type":"output_text","text":{{Quote(text)}}}]}"""),
                Added(2, CallItem(2, "c", "f", "")), .. Pieces(random, arguments, 2, "function_call_arguments", ""),
                Done(2, $$"""{"id":"f","type":"function_call","call_id":"c","name":"f","arguments":{{Quote(arguments)}}}"""), Completed(),
            ];
            var relay = new ResponsesTranslation(s_answer, ChatDialect.Instance.CreateWriter(new AnswerHead("chatcmpl-1", 1, "m")), []);
            var output = new EventBuffer();
            foreach (var data in events) relay.Add(Encoding.UTF8.GetBytes(data), output);
            Assert.Null(relay.Error);
            relay.WriteEnd(output);
            var fold = new ChatCompletionFold();
            fold.Add([.. output.WrittenSpan, .. "data: [DONE]\n\n"u8]);
            var folded = new EventBuffer();
            fold.WriteTo(folded);
            var message = JsonNode.Parse(folded.WrittenSpan)!["choices"]![0]!["message"]!;
            Assert.Equal((seed, text, reasoning, arguments), (seed, (string?)message["content"] ?? "", (string?)message["reasoning_content"] ?? "", (string?)message["tool_calls"]![0]!["function"]!["arguments"]));
        }
    }

    // Some are lost, from one on, and made up at the end.
    private static IEnumerable<string> Pieces(Random random, string text, int index, string type, string more)
    {
        var piece = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            piece.Append(rune.ToString());
            if (random.Next(3) != 0) continue;
            if (random.Next(8) == 0) yield break;
            yield return Delta(type, index, Quote(piece.ToString())[1..^1], more);
            piece.Clear();
        }
    }

    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}
