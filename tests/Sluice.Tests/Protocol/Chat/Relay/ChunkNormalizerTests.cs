using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Chat.Relay;

/// <summary>What upstreams send and what clients get: frames that are right pass byte by byte, the rest is put right.</summary>
public sealed class ChunkNormalizerTests
{
    private static readonly RelayOptions s_answer = new("chatcmpl-1", "m", 1_800_000_000) { KeepsUpstreamModel = true };

    private static string Run(RelayOptions answer, params string[] frames)
    {
        var normalizer = new ChunkNormalizer(answer);
        var output = new EventBuffer();
        foreach (var frame in frames) normalizer.Add(Encoding.UTF8.GetBytes(frame), output);
        Assert.Null(normalizer.Error);
        if (normalizer.IsFinished) normalizer.WriteEnd(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string[] Chunks(params string[] frames) => Split(Run(s_answer, frames));

    private static string[] Split(string events) =>
        [.. events.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => Assert.IsType<string>(line.StartsWith("data: {", StringComparison.Ordinal) ? line[6..] : null))];

    private static string[] Choices(params string[] choices) =>
        [.. Chunks([.. choices.Select(choice => ScriptedUpstream.Chunk(choice))]).Select(chunk => Choice(chunk))];

    private static string Choice(string chunk)
    {
        var start = chunk.IndexOf("\"choices\":[", StringComparison.Ordinal) + "\"choices\":[".Length;
        return chunk[start..^2];
    }

    private static string Ours(string frame) => frame.Replace("up-1", "chatcmpl-1", StringComparison.Ordinal);

    private const string RoleChoice = """{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}""";
    private const string FinishChoice = """{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}""";

    [Fact]
    public void Frames_of_the_right_shape_pass_byte_by_byte_but_for_the_id()
    {
        string[] frames =
        [
            ScriptedUpstream.Role(),
            """{ "id" : "up-1", "object":"chat.completion.chunk","created":1700000000,"model":"m","x_new":[1, {"a" : 2}],"choices":[{"index":0, "delta":{"content":"Gr\u00fc\u00dfe 🙂","x":null},"logprobs":null,"finish_reason":null,"token_ids":[1,2]}] , "z":1e-7 }""",
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"content":null,"reasoning_content":"hm"},"finish_reason":null}"""),
            ScriptedUpstream.Finish(),
        ];
        Assert.Equal(frames.Select(Ours), Chunks(frames));
    }

    [Fact]
    public void Usage_that_was_not_asked_for_is_removed_and_nothing_else()
    {
        var chunks = Chunks(
            ScriptedUpstream.Role().Replace("}]}", "}],\"usage\":null}", StringComparison.Ordinal),
            ScriptedUpstream.Finish().Replace("\"choices\"", "\"usage\" : null, \"choices\"", StringComparison.Ordinal),
            ScriptedUpstream.Usage());
        Assert.Equal([Ours(ScriptedUpstream.Role()), Ours(ScriptedUpstream.Finish()).Replace("\"m\",\"choices\"", "\"m\", \"choices\"", StringComparison.Ordinal)], chunks);
    }

    [Fact]
    public void Usage_that_was_asked_for_passes_with_its_unknown_fields()
    {
        var usage = ScriptedUpstream.Usage().Replace("\"total_tokens\"", "\"cost\":0.25,\"total_tokens\"", StringComparison.Ordinal);
        var chunks = Split(Run(s_answer with { IncludesUsage = true }, ScriptedUpstream.Role(), ScriptedUpstream.Finish(), usage));
        Assert.Equal(Ours(usage), chunks[^1]);
    }

    [Fact]
    public void Usage_that_the_upstream_does_not_state_is_estimated_and_flagged()
    {
        var chunks = Split(Run(s_answer with { IncludesUsage = true, EstimatedPromptTokens = 5 }, ScriptedUpstream.Role(), ScriptedUpstream.Text("12345678"), ScriptedUpstream.Finish()));
        Assert.Equal(
            """{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7},"sluice":{"usage_estimated":true}}""",
            chunks[^1]);
    }

    [Fact]
    public void Model_and_created_are_those_of_the_first_frame()
    {
        var other = ScriptedUpstream.Text("a").Replace("1700000000", "1700000009", StringComparison.Ordinal).Replace("\"m\"", "\"m-2\"", StringComparison.Ordinal);
        Assert.Equal([Ours(ScriptedUpstream.Role()), Ours(ScriptedUpstream.Text("a"))], Chunks(ScriptedUpstream.Role(), other));
    }

    [Fact]
    public void A_model_that_was_asked_for_by_another_name_keeps_that_name()
    {
        var chunks = Split(Run(s_answer with { KeepsUpstreamModel = false, Model = "gpt-4.1" }, ScriptedUpstream.Role()));
        Assert.Equal(Ours(ScriptedUpstream.Role()).Replace("\"m\"", "\"gpt-4.1\"", StringComparison.Ordinal), chunks[0]);
    }

    [Fact]
    public void G01_a_frame_without_choices_is_not_passed()
    {
        var azure = """{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}""";
        Assert.Equal([Ours(ScriptedUpstream.Role())], Chunks(azure, ScriptedUpstream.Role()));
    }

    [Fact]
    public void G02_text_finish_and_usage_in_one_frame_become_three()
    {
        var frame = """{"id":"up-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}""";
        var chunks = Split(Run(s_answer with { IncludesUsage = true }, ScriptedUpstream.Role(), frame));
        Assert.Equal("""{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}],"usage":null""", chunks[1][chunks[1].IndexOf("{\"index\"", StringComparison.Ordinal)..^1]);
        Assert.Equal("""{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null""", chunks[2][chunks[2].IndexOf("{\"index\"", StringComparison.Ordinal)..^1]);
        Assert.EndsWith(""","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}""", chunks[3], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"content":""}""")]
    [InlineData("""{"content":null,"role":null}""")]
    [InlineData("""{"role":"assistant","content":""}""")]
    [InlineData("{}")]
    public void G02_a_finish_has_an_empty_delta(string delta) =>
        Assert.Equal([RoleChoice, FinishChoice], Choices(RoleChoice, FinishChoice.Replace("\"delta\":{}", $"\"delta\":{delta}", StringComparison.Ordinal)));

    [Theory]
    [InlineData("{\"error\":{\"message\":\"no luck\",\"code\":502},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}", "no luck", 502)]
    [InlineData("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"message\":\"here\",\"code\":429}}]}", "here", 429)]
    [InlineData("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"insufficient_system_resource\"}]}", "The upstream broke its answer off: insufficient_system_resource.", 502)]
    [InlineData("{\"error\":\"plain\"}", "plain", 500)]
    [InlineData("{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"code\":\"x\"}}", "bad", 400)]
    public void G04_R15_an_error_frame_is_a_failure(string frame, string message, int status)
    {
        var normalizer = new ChunkNormalizer(s_answer);
        var output = new EventBuffer();
        Assert.Equal(FrameKind.Failed, normalizer.Add(Encoding.UTF8.GetBytes(frame), output));
        Assert.Equal((message, status), (normalizer.Error!.Message, normalizer.Error.Status));
        Assert.True(normalizer.Error.Code is null or "x");
        Assert.Equal(0, output.WrittenCount);
    }

    [Fact]
    public void G05_a_role_is_said_once()
    {
        var repeated = """{"index":0,"delta":{"role":"assistant","content":"a"},"logprobs":null,"finish_reason":null}""";
        Assert.Equal(
            [RoleChoice, """{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}"""],
            Choices(RoleChoice, repeated));
    }

    [Theory]
    [InlineData("""{"content":"a"}""")]
    [InlineData("""{"role":"","content":"a"}""")]
    [InlineData("""{"role":null,"content":"a"}""")]
    public void E13_a_role_that_is_missing_is_added(string delta) => Assert.Equal(
        [RoleChoice, """{"index":0,"delta":{"content":"a"},"finish_reason":null}"""],
        Choices($$"""{"index":0,"delta":{{delta}},"finish_reason":null}"""));

    [Theory]
    [InlineData("eos", "stop")]
    [InlineData("end_turn", "stop")]
    [InlineData("STOP", "stop")]
    [InlineData("max_tokens", "length")]
    [InlineData("tool_use", "tool_calls")]
    [InlineData("SAFETY", "content_filter")]
    [InlineData("content_filter", "content_filter")]
    public void G05_a_finish_reason_is_one_of_five(string theirs, string ours) => Assert.Equal(
        FinishChoice.Replace("stop", ours, StringComparison.Ordinal), Choices(RoleChoice, FinishChoice.Replace("stop", theirs, StringComparison.Ordinal))[1]);

    [Fact]
    public void G05_an_empty_finish_reason_is_none() => Assert.Equal(
        """{"index":0,"delta":{"content":"a"},"finish_reason":null}""",
        Choices(RoleChoice, """{"index":0,"delta":{"content":"a"},"finish_reason":""}""")[1]);

    [Fact]
    public void E22_a_finish_is_held_until_the_end_and_the_last_one_counts() => Assert.Equal(
        [RoleChoice, """{"index":0,"delta":{"content":"late"},"finish_reason":null}""", FinishChoice.Replace("stop", "length", StringComparison.Ordinal)],
        Choices(
            RoleChoice, FinishChoice, """{"index":0,"delta":{"content":"late"},"finish_reason":null}""", FinishChoice.Replace("stop", "length", StringComparison.Ordinal)));

    [Fact]
    public void E38_error_null_is_removed()
    {
        var frame = ScriptedUpstream.Text("a").Replace("\"choices\"", "\"error\":null,\"choices\"", StringComparison.Ordinal);
        Assert.Equal(Ours(ScriptedUpstream.Text("a")), Chunks(ScriptedUpstream.Role(), frame)[1]);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("null")]
    public void G09_empty_tool_calls_are_dropped(string value) => Assert.Equal(
        """{"index":0,"delta":{"content":"a"},"finish_reason":null}""",
        Choices(RoleChoice, $$"""{"index":0,"delta":{"content":"a","tool_calls":{{value}}},"finish_reason":null}""")[1]);

    [Fact]
    public void G08_of_many_usages_the_last_counts()
    {
        var frame = ScriptedUpstream.Text("a").Replace("}]}", "}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1,\"total_tokens\":8}}", StringComparison.Ordinal);
        var events = Run(s_answer with { IncludesUsage = true }, ScriptedUpstream.Role(), frame, ScriptedUpstream.Finish(), ScriptedUpstream.Usage());
        Assert.Single(Split(events), chunk => chunk.Contains("prompt_tokens", StringComparison.Ordinal));
        Assert.Contains("\"completion_tokens\":3", events, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hello")]
    [InlineData("<html>")]
    [InlineData("{\"choices\":[{\"index\":0,")]
    [InlineData("{} trailing")]
    [InlineData("[1]")]
    public void G10_what_is_no_chunk_is_a_failure(string data) =>
        Assert.Equal(FrameKind.Failed, new ChunkNormalizer(s_answer).Add(Encoding.UTF8.GetBytes(data), new EventBuffer()));

    [Fact]
    public void G10_bytes_that_are_not_UTF8_are_replaced()
    {
        var frame = Encoding.UTF8.GetBytes(ScriptedUpstream.Text("a~b"));
        frame.AsSpan().Replace((byte)'~', (byte)0xFF);
        var output = new EventBuffer();
        Assert.Equal(FrameKind.Content, new ChunkNormalizer(s_answer).Add(frame, output));
        Assert.Contains("a\uFFFDb", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(": keepalive")]
    [InlineData("{\"type\":\"ping\"}")]
    public void E06_pings_are_swallowed(string data) => Assert.Equal([RoleChoice], Choices(RoleChoice).Concat(Chunks(data)));

    [Fact]
    public void G07_json_over_several_lines_becomes_one() =>
        Assert.DoesNotContain('\n', Chunks(ScriptedUpstream.Role().Replace(",", ",\n", StringComparison.Ordinal))[0]);

    [Fact]
    public void U01_choices_have_their_roles_and_chunks_of_their_own()
    {
        var both = ScriptedUpstream.Chunk("""{"index":1,"delta":{"content":"b"},"finish_reason":null},{"index":0,"delta":{"content":"a"},"finish_reason":null}""");
        var chunks = Split(Run(s_answer with { ChoiceCount = 2 }, both)).Select(Choice);
        Assert.Equal(
            [
                RoleChoice.Replace("0", "1", StringComparison.Ordinal), """{"index":1,"delta":{"content":"b"},"finish_reason":null}""", RoleChoice,
                """{"index":0,"delta":{"content":"a"},"finish_reason":null}""",
            ],
            chunks);
    }

    // Frames that are like the one before are not parsed; nobody may see a difference. Each frame is put between two others, and compared with
    // what becomes of it alone.
    [Theory]
    [InlineData("""{"index":0,"delta":{"content":" plain"},"logprobs":null,"finish_reason":null}""")]
    [InlineData("""{"index":0,"delta":{"content":"Gr\u00fc\u00dfe \n \" \\ 🙂"},"logprobs":null,"finish_reason":null}""")]
    [InlineData("""{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":null}""")]
    [InlineData("""{"index":0,"delta":{"content":"a","content":"b"},"logprobs":null,"finish_reason":null}""")]
    [InlineData("""{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":"length"}""")]
    [InlineData("""{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null},{"index":0,"delta":{"content":"b"},"logprobs":null,"finish_reason":null}""")]
    [InlineData("""{"index":1,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}""")]
    public void A_frame_like_the_one_before_it_becomes_what_it_would_alone(string choice)
    {
        var text = ScriptedUpstream.Text("x");
        var frame = ScriptedUpstream.Chunk(choice);
        var alone = Run(s_answer, ScriptedUpstream.Role(), frame, frame)[Run(s_answer, ScriptedUpstream.Role()).Length..];
        var among = Run(s_answer, ScriptedUpstream.Role(), text, text, frame, frame)[Run(s_answer, ScriptedUpstream.Role(), text, text).Length..];
        Assert.Equal(alone, among);
    }

    [Theory]
    [InlineData("\"a")]
    [InlineData("\\x")]
    public void A_frame_that_is_no_json_is_garbage_also_after_one_that_is(string text)
    {
        var normalizer = new ChunkNormalizer(s_answer);
        var output = new EventBuffer();
        foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("x"), ScriptedUpstream.Text("y")]) normalizer.Add(Encoding.UTF8.GetBytes(frame), output);
        Assert.Equal(FrameKind.Failed, normalizer.Add(Encoding.UTF8.GetBytes(ScriptedUpstream.Text(text)), output));
    }

    [Fact]
    public void Control_characters_in_a_string_are_escaped()
    {
        var chunks = Chunks(ScriptedUpstream.Role(), ScriptedUpstream.Text("x"), ScriptedUpstream.Text("a\tb\u0001"), ScriptedUpstream.Text("y"));
        Assert.Contains("a\\u0009b\\u0001", chunks[2], StringComparison.Ordinal);
        Assert.Equal(4, chunks.Length);
    }

    [Theory]
    [InlineData("\"content\":\"x\"", "stop")]
    [InlineData("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]", "tool_calls")]
    public void An_end_without_a_reason_is_derived_and_says_so(string delta, string reason)
    {
        var normalizer = new ChunkNormalizer(s_answer);
        var output = new EventBuffer();
        var chunk = ScriptedUpstream.Chunk($$"""{"index":0,"delta":{{{delta}}},"finish_reason":null}""");
        foreach (var frame in (string[])[ScriptedUpstream.Role(), chunk, "[DONE]"]) normalizer.Add(Encoding.UTF8.GetBytes(frame), output);
        Assert.True(normalizer.HasAnswer);
        normalizer.WriteEnd(output);
        var text = Encoding.UTF8.GetString(output.WrittenSpan);
        Assert.EndsWith($"\"finish_reason\":\"{reason}\"}}],\"sluice\":{{\"finish_derived\":true}}}}\n\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Pieces_of_content_are_counted_also_where_frames_are_alike()
    {
        var normalizer = new ChunkNormalizer(s_answer);
        foreach (var frame in (string[])[ScriptedUpstream.Role(), .. Enumerable.Repeat(ScriptedUpstream.Text("x"), 10), ScriptedUpstream.Finish()])
            normalizer.Add(Encoding.UTF8.GetBytes(frame), new EventBuffer());
        Assert.Equal(10, normalizer.ContentCount);
    }

    [Fact]
    public void A_frame_that_passes_allocates_nothing()
    {
        var normalizer = new ChunkNormalizer(s_answer with { IncludesUsage = true });
        var output = new EventBuffer(1 << 20);
        normalizer.Add(Encoding.UTF8.GetBytes(ScriptedUpstream.Role()), output);
        var frame = Encoding.UTF8.GetBytes(ScriptedUpstream.Text("token").Replace("}]}", "}],\"usage\":null}", StringComparison.Ordinal));
        for (var i = 0; i < 100; i++) normalizer.Add(frame, output);
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            output.Clear();
            for (var i = 0; i < 1000; i++) normalizer.Add(frame, output);
        }));
    }

    [Fact]
    public void The_fold_joins_the_input_of_a_custom_tool()
    {
        var events = Run(
            s_answer with { IncludesUsage = true },
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"sh","input":""}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":"ls "}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":"-l"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Finish("tool_calls")) + "data: [DONE]\n\n";
        var fold = new ChatCompletionFold();
        fold.Add(Encoding.UTF8.GetBytes(events));
        var output = new EventBuffer();
        fold.WriteTo(output);
        Assert.Contains("""[{"id":"c","type":"custom","custom":{"name":"sh","input":"ls -l"}}]""", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public void The_fold_has_every_image()
    {
        var events = Run(
            s_answer with { IncludesUsage = true },
            ScriptedUpstream.Role(),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"images":[{"url":"a"}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"images":[{"url":"b"}]},"finish_reason":null}"""),
            ScriptedUpstream.Finish()) + "data: [DONE]\n\n";
        var fold = new ChatCompletionFold();
        fold.Add(Encoding.UTF8.GetBytes(events));
        var output = new EventBuffer();
        fold.WriteTo(output);
        Assert.Contains("\"images\":[{\"url\":\"a\"},{\"url\":\"b\"}]", Encoding.UTF8.GetString(output.WrittenSpan), StringComparison.Ordinal);
    }

    [Fact]
    public void The_fold_of_a_relayed_stream_keeps_what_it_does_not_know()
    {
        var events = Run(
            s_answer with { IncludesUsage = true },
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"thi"},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"reasoning_content":"nk"},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}}]},"finish_reason":null}"""),
            ScriptedUpstream.Chunk("""{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]},"finish_reason":null}""").Replace("\"choices\"", "\"provider\":\"P\",\"choices\"", StringComparison.Ordinal),
            ScriptedUpstream.Finish("tool_calls"),
            ScriptedUpstream.Usage()) + "data: [DONE]\n\n";
        var fold = new ChatCompletionFold();
        fold.Add(Encoding.UTF8.GetBytes(events));
        var output = new EventBuffer();
        fold.WriteTo(output);
        Assert.Equal(
            """{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],"annotations":[],"reasoning_content":"think"},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10},"provider":"P"}""",
            Encoding.UTF8.GetString(output.WrittenSpan));
        using var document = JsonDocument.Parse(output.WrittenMemory);
    }
}
